#include "queues/base/waiver.hpp"

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway {

std::string_view to_string(Waiver waiver) {
  switch (waiver) {
    case Waiver::CgroupMemory:
      return "cgroup-memory";
    case Waiver::CgroupCpus:
      return "cgroup-cpus";
    case Waiver::CgroupPids:
      return "cgroup-pids";
    case Waiver::UserNamespace:
      return "user-namespace";
    case Waiver::Seccomp:
      return "seccomp";
    case Waiver::OverlayFs:
      return "overlay-fs";
    case Waiver::ProcMount:
      return "proc-mount";
  }
  CHECK(false);
}

std::vector<Waiver> all_waivers() {
  return {Waiver::CgroupMemory, Waiver::CgroupCpus, Waiver::CgroupPids, Waiver::UserNamespace,
          Waiver::Seccomp,      Waiver::OverlayFs,  Waiver::ProcMount};
}

std::optional<Waiver> parse_waiver(std::string_view text) {
  for (const Waiver waiver : all_waivers()) {
    if (to_string(waiver) == text) return waiver;
  }
  return std::nullopt;
}

std::string render_waived(Waiver waiver, std::string_view reason) {
  return cat(to_string(waiver), ": ", reason);
}

}  // namespace gangway
