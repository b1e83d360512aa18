#include "queues/base/system_program.hpp"

#include <unistd.h>

#include <cstdlib>

#include "queues/base/text.hpp"

namespace gangway {

std::string find_system_program(std::string_view name) {
  const char* const path = std::getenv("PATH");
  const std::string places = cat(path == nullptr ? "" : path, ":/usr/local/sbin:/usr/sbin");
  for (const std::string_view place : split(places, ':')) {
    std::string program = cat(place, "/", name);
    if (place.starts_with('/') && ::access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

}  // namespace gangway
