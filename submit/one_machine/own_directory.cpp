#include "submit/one_machine/own_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "queues/base/text.hpp"
#include "submit/one_machine/files.hpp"

namespace gangway::one_machine {
namespace {

bool is_file(const std::string& path) {
  std::error_code failed;
  return std::filesystem::is_regular_file(std::filesystem::symlink_status(path, failed));
}

bool is_of_a_cluster(const ClusterLayout& layout, const std::string& name) {
  const std::string path = cat(layout.directory, '/', name);
  for (const auto& ours : {layout.config_file(), layout.key_file(), layout.socket(),
                           layout.nodes_file(), layout.lock_file(), layout.scheduler_spool(),
                           layout.log_directory(), layout.run_directory()}) {
    if (path == ours) return true;
  }
  for (const int count : {kMaxNodes, 99}) {  // with three digits, with two
    if (std::ranges::binary_search(node_names(count), NodeName(name))) return true;
  }
  return false;
}

// Who may change a cluster's directory, or what leads to it: we, root, and who has become root by
// sudo.
bool is_trusted(uid_t uid) {
  if (uid == 0 || uid == ::geteuid()) return true;
  const char* before_sudo = ::geteuid() == 0 ? ::getenv("SUDO_UID") : nullptr;
  return before_sudo != nullptr && parse_integer<uid_t>(before_sudo) == uid;
}

// Nobody else can put something else in the place of what is at `path`, a name or a directory on
// the way to it, or itself.
Result<void> require_unchangeable(const std::filesystem::path& path) {
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0) return {};
  const auto refuse = [&](std::string_view why) {
    return Error(ErrorKind::Denied, cat("directory ", path.string(), ": ", why,
                                        "; name one that nobody else can change"));
  };
  if (!is_trusted(file.st_uid)) return refuse(cat("belongs to uid ", file.st_uid));
  const mode_t others = ::geteuid() == 0 ? 022 : 002;
  const bool sticky = (file.st_mode & S_ISVTX) != 0;  // as /tmp is
  if (S_ISDIR(file.st_mode) && (file.st_mode & others) != 0 && !sticky) {
    return refuse("others may write to it");
  }
  return {};
}

}  // namespace

Result<void> require_unchangeable_by_others(const std::string& directory) {
  std::filesystem::path way;
  for (const auto& part : std::filesystem::path(directory)) {
    way /= part;
    GANGWAY_TRY(require_unchangeable(way));
  }
  return {};
}

Result<void> require_own(const ClusterLayout& layout) {
  GANGWAY_TRY(require_unchangeable_by_others(layout.directory));
  std::vector<std::string> names = list_directory(layout.directory);
  std::erase(names, "lost+found");  // of a file system that was made for the cluster
  if (names.empty()) return {};
  if (is_file(layout.nodes_file()) && is_file(layout.config_file()) && is_file(layout.key_file())) {
    return {};
  }
  const auto foreign = std::ranges::find_if_not(
      names, [&](const std::string& name) { return is_of_a_cluster(layout, name); });
  if (foreign == names.end() && is_file(layout.lock_file())) return {};
  return Error(ErrorKind::Conflict,
               cat("directory ", layout.directory, ": holds '",
                   foreign == names.end() ? names.front() : *foreign,
                   "' and no cluster that `gangway up` has made; name one that is empty or does "
                   "not exist"));
}

}  // namespace gangway::one_machine
