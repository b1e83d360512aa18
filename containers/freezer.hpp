// Freezer: the control group through which all processes of a sandbox stand still at once, unseen
// by them, and go on.
//
// v2 has cgroup.freeze in every group (kernel 5.2), v1 a hierarchy of its own. A process that is
// frozen by v2 can be killed; one frozen by v1 dies only when it is let go, so whoever kills a
// group has to thaw it as well.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers {

class Freezer {
 public:
  // Of the directories of one sandbox's groups the one that can freeze, v2 before v1; nullopt:
  // none.
  [[nodiscard]] static std::optional<Freezer> find(const std::vector<std::string>& directories);

  // Asks the kernel for it; nothing to wait for. Errors: of the file.
  Result<void> ask(bool frozen) const;
  // For those who have killed what is in it: a group that is gone holds nobody.
  void thaw() const;
  // Whether every process is as was asked for. A process in an uninterruptible wait may take long.
  [[nodiscard]] Result<bool> is_settled(bool frozen) const;
  [[nodiscard]] int version() const { return version_; }

 private:
  Freezer(std::string directory, int version)
      : directory_(std::move(directory)), version_(version) {}
  std::string directory_;
  int version_ = 2;
};

// Lets the processes of one group go on if it is one of v1 that is frozen.
void thaw_v1(const std::string& directory);

}  // namespace gangway::containers
