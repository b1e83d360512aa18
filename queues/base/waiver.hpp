// Waivers: what an operator allows a node to leave unenforced because its kernel cannot do it.
//
// The rule is fail closed: what was asked for and cannot be applied stops the sandbox with the
// reason, unless its waiver is in the allowed set; then the sandbox starts and says what it did
// without. The configuration, sandboxes and people use the same words. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace gangway {

enum class Waiver {
  CgroupMemory,   // no memory limit, no detection of memory ends
  CgroupCpus,     // cores by affinity alone, which a program can undo
  CgroupPids,     // no bound on processes
  UserNamespace,  // a root executor sets sandboxes up as root and drops all rights afterwards
  Seccomp,        // no system call filter
  OverlayFs,      // images are read-only: no overlay file system
  ProcMount,      // the node's /proc is seen instead of the sandbox's own
};

using WaiverSet = std::set<Waiver>;

[[nodiscard]] std::string_view to_string(Waiver waiver);  // "cgroup-memory"
[[nodiscard]] std::optional<Waiver> parse_waiver(std::string_view text);
[[nodiscard]] std::vector<Waiver> all_waivers();

// What was left out and why, as people are told: "cgroup-memory: <reason>".
[[nodiscard]] std::string render_waived(Waiver waiver, std::string_view reason);

}  // namespace gangway
