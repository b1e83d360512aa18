// What was understood of a manifest or a Compose file, in lines for people.
//
// Pure.
#pragma once

#include <string>

#include "submit/service_parse.hpp"

namespace gangway::submit {

// "service web: 3 replicas of web:1, ports 8080\n"; a line for each thing in the file.
[[nodiscard]] std::string describe(const ServiceFile& file);

}  // namespace gangway::submit
