// Real inputs by others (job scripts, archives, published cases) that are not part of the project:
// GANGWAY_SHARED_DATA names their directory, else `shared/data` beside the source tree is taken.
// Tests that need them skip with this place as the reason where they are absent.
#pragma once

#include <cstdlib>
#include <string>

namespace gangway::test {

inline std::string shared_data(const std::string& below) {
  const char* directory = std::getenv("GANGWAY_SHARED_DATA");
  return (directory != nullptr ? std::string(directory) : GANGWAY_SOURCE_DIR "/../shared/data") +
         "/" + below;
}

}  // namespace gangway::test
