// The wire of PMI-1 and PMI-2: commands of a rank to its process manager, and the answers.
//
// PMI-1 is lines, "cmd=put kvsname=a key=b value=c\n", or several lines from "mcmd=spawn" to
// "endcmd". PMI-2 begins as PMI-1 (one "cmd=init" and its answer) and goes on in frames: six
// characters with the length, then "cmd=kvs-put;key=b;value=c;" with ";;" for a ";" in a value.
// Source: "PMI: A Scalable Parallel Process-Management Interface for Extreme-Scale Systems"
// (Balaji, Buntinas, Goodell, Gropp, Krishna, Lusk, Thakur; EuroMPI 2010), and what MPICH 4.0 and
// libpmi2 22.05 send.
//
// Pure. What ranks send is not trusted: commands are bounded, and what makes no sense is an error.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::executor {

inline constexpr std::size_t kMaxPmiCommandBytes = std::size_t{256} << 10;
inline constexpr std::size_t kMaxPmiKeyBytes = 64;
inline constexpr std::size_t kMaxPmiValueBytes = 1024;

using PmiValues = std::vector<std::pair<std::string, std::string>>;

struct PmiCommand {
  std::string name;  // "put", "spawn", "kvs-put"
  PmiValues values;  // in order; keys may come twice (apps of a spawn)
  // The first of that key; nullptr: not given.
  [[nodiscard]] const std::string* find(std::string_view key) const;
  [[nodiscard]] std::string get_or(std::string_view key, std::string_view other) const;
};

enum class PmiVersion { One = 1, Two = 2 };

// Takes bytes as they come and gives whole commands.
class PmiReader {
 public:
  void push(std::string_view bytes) { waiting_.append(bytes); }
  // From the next command on.
  void set_version(PmiVersion version) { version_ = version; }
  // nullopt: it is not complete yet. Errors: Corrupt; after one, nothing that follows has a
  // meaning.
  [[nodiscard]] Result<std::optional<PmiCommand>> next();

 private:
  Result<std::optional<PmiCommand>> next_line();
  Result<std::optional<PmiCommand>> next_lines();
  Result<std::optional<PmiCommand>> next_frame();

  PmiVersion version_ = PmiVersion::One;
  std::string waiting_;
};

[[nodiscard]] std::string render_pmi(PmiVersion version,
                                     std::string_view name,
                                     const PmiValues& values);

// "(vector,(0,4,2))": ranks of consecutive nodes; (first node, nodes, ranks on each). Empty if it
// is longer than a value may be: the ranks then ask each other.
[[nodiscard]] std::string render_process_mapping(const std::vector<std::size_t>& ranks_of_node);

}  // namespace gangway::executor
