// What the image helper (jimage-unpack) says on its standard output about an image that is ready:
// one "key value" a line, ended by "done". Values have backslashes and line ends written as \\ and
// \n.
//
// Pure; shared by the helper and the runtime that starts it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/runtime.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

struct ImageReport {
  std::string tree;     // absolute path of the unpacked root directory
  uid_t owner_uid = 0;  // of everything in it
  gid_t owner_gid = 0;
  std::vector<std::string> env;  // "NAME=value"
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string workdir;
  std::string user;  // as the image's config has it; not honoured, for people
  std::int64_t entries = 0;
  std::int64_t bytes = 0;  // of file contents, unpacked; 0: by an earlier version
  friend bool operator==(const ImageReport&, const ImageReport&) = default;
};

[[nodiscard]] std::string render_image_report(const ImageReport& report);
// Errors: Corrupt (a line that is none of ours, no "done", a tree that is not absolute).
[[nodiscard]] Result<ImageReport> parse_image_report(std::string_view text);

// The words for kinds on the helper's command line, and in what `jimage resolve` prints.
[[nodiscard]] std::string_view to_string(ImageSourceKind kind);  // "oci-layout"
[[nodiscard]] std::optional<ImageSourceKind> parse_image_source_kind(std::string_view text);

// Exit codes of the helper, after sysexits, and back.
[[nodiscard]] int image_exit_code(ErrorKind kind);
[[nodiscard]] ErrorKind image_error_kind(int exit_code);

}  // namespace gangway::containers
