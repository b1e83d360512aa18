// Which shared libraries a program links, directly or through others: what the loader would look
// for, read from the files themselves and in the mount namespace of the caller.
//
// Libraries are looked for as the loader does it: the run path of who needs them, LD_LIBRARY_PATH,
// then the directories of /etc/ld.so.conf and the usual ones. What is not found is named all the
// same. No code of the program runs. Files are not trusted: reads are bounded, and a file that is
// no 64-bit ELF file of this machine links nothing.
//
// parse_dynamic() is pure; find_linked_libraries() reads files and never waits for one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gangway::containers {

struct DynamicSection {
  std::vector<std::string> needed;    // "libmpi.so.40"
  std::vector<std::string> run_path;  // directories; may begin with $ORIGIN
};

// Gives `size` bytes of a file from `offset` on; fewer if it ends before.
using ReadAt = std::function<std::string(std::uint64_t offset, std::size_t size)>;

// nullopt: not an ELF file that could be run here, or one without a dynamic section.
[[nodiscard]] std::optional<DynamicSection> parse_dynamic(const ReadAt& read);

inline constexpr std::size_t kMaxLibraries = 256;

// The names of all libraries that `argv0`, looked up by the PATH in `env`, would be loaded with, in
// the order they are found; the first line of a script; empty for what is neither.
[[nodiscard]] std::vector<std::string> find_linked_libraries(const std::string& argv0,
                                                             const std::vector<std::string>& env);

}  // namespace gangway::containers
