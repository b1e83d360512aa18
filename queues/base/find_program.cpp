#include "queues/base/find_program.hpp"

#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "queues/base/text.hpp"

namespace gangway {

Result<std::string> find_program(const std::string& name) {
  std::vector<std::string> places;
  if (const char* given = std::getenv("GANGWAY_LIBEXEC"); given != nullptr && *given != '\0') {
    places.emplace_back(given);
  }
  char self[4096];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length > 0) {
    const std::string path(self, static_cast<std::size_t>(length));
    const std::string here = path.substr(0, path.rfind('/'));
    places.push_back(here);
    const std::string parent = here.substr(0, here.rfind('/'));
    for (const char* const sibling : {"/libexec/gangway", "/bin", "/sbin"}) {
      places.push_back(parent + sibling);
    }
    // From libexec/gangway, for what it holds in turn.
    places.push_back(parent.substr(0, parent.rfind('/')) + "/bin");
  }
  for (const std::string& place : places) {
    std::string path = cat(place, "/", name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Error(ErrorKind::NotFound, cat("no program ", name, " in ", join(places, ", ")));
}

}  // namespace gangway
