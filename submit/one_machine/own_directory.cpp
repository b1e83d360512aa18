#include "submit/one_machine/own_directory.hpp"

#include <algorithm>
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

}  // namespace

Result<void> require_own(const ClusterLayout& layout) {
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
