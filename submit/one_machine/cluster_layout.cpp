#include "submit/one_machine/cluster_layout.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::one_machine {

Result<ClusterLayout> make_layout(const std::string& directory) {
  if (directory.empty() || directory.front() != '/') {
    return Error(ErrorKind::Invalid, cat("directory '", directory, "': not an absolute path"));
  }
  std::error_code failed;
  auto path = std::filesystem::weakly_canonical(directory, failed).lexically_normal().string();
  if (failed) return errno_error(cat("resolve ", directory), failed.value());
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  constexpr std::size_t kSocketPath = 107;
  constexpr std::size_t kLongestBelow = sizeof("/n001/spool/agent.sock") - 1;
  if (path.size() + kLongestBelow > kSocketPath) {
    return Error(ErrorKind::Invalid,
                 cat("directory ", path, ": too long for the sockets in it (at most ",
                     kSocketPath - kLongestBelow, " bytes)"));
  }
  const std::string digest = sha256_hex(path);
  return ClusterLayout{.directory = path,
                       .name = cat("gangway-", digest.substr(0, 8)),
                       .network = static_cast<int>(std::stoul(digest.substr(8, 2), nullptr, 16))};
}

std::string default_directory() {
  if (::geteuid() == 0) return "/var/lib/gangway/one-machine";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return cat(state, "/gangway");
  }
  std::string home;
  if (const char* given = std::getenv("HOME"); given != nullptr && *given == '/') {
    home = given;
  } else if (const passwd* user = ::getpwuid(::geteuid())) {
    home = user->pw_dir;
  }
  return cat(home, "/.local/state/gangway");
}

std::vector<NodeName> node_names(int count) {
  CHECK(count >= 1 && count <= kMaxNodes);
  const std::size_t width = count < 100 ? 2 : 3;
  std::vector<NodeName> names;
  for (int i = 1; i <= count; ++i) {
    std::string digits = std::to_string(i);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    names.emplace_back(cat('n', digits));
  }
  return names;
}

}  // namespace gangway::one_machine
