#include "containers/freezer.hpp"

#include <unistd.h>

#include <utility>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {

namespace {

constexpr const char* kStateV1 = "/freezer.state";
constexpr const char* kFreezeV2 = "/cgroup.freeze";

bool can_write(const std::string& path) { return access(path.c_str(), W_OK) == 0; }

}  // namespace

std::optional<Freezer> Freezer::find(const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    if (can_write(directory + kFreezeV2)) return Freezer(directory, 2);
  }
  for (const std::string& directory : directories) {
    if (can_write(directory + kStateV1)) return Freezer(directory, 1);
  }
  return std::nullopt;
}

Result<void> Freezer::ask(bool frozen) const {
  if (version_ == 2) return write_existing_file(directory_ + kFreezeV2, frozen ? "1" : "0");
  return write_existing_file(directory_ + kStateV1, frozen ? "FROZEN" : "THAWED");
}

void Freezer::thaw() const { [[maybe_unused]] const Result<void> result = ask(false); }

Result<bool> Freezer::is_settled(bool frozen) const {
  if (version_ == 2) {
    GANGWAY_ASSIGN(const std::string events, read_small_file(directory_ + "/cgroup.events"));
    return events.find(frozen ? "frozen 1" : "frozen 0") != std::string::npos;
  }
  GANGWAY_ASSIGN(const std::string state, read_small_file(directory_ + kStateV1));
  return trim(state) == (frozen ? "FROZEN" : "THAWED");
}

void thaw_v1(const std::string& directory) {
  const std::string path = directory + kStateV1;
  if (!can_write(path)) return;
  // The group may be gone at any moment, and then it holds nobody.
  [[maybe_unused]] const Result<void> result = write_existing_file(path, "THAWED");
}

}  // namespace gangway::containers
