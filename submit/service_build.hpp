// Images that a Compose file builds, made before its services are submitted: by `jimage build`,
// under the image's name, or under the service's if it has none.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/model/service.hpp"

namespace gangway::submit {

// What `jimage` is told, without its own name. Pure. Requires: the replica has a build.
[[nodiscard]] std::vector<std::string> build_words(const ServiceSpec& spec);

// Builds what is to be built; the templates then name the images. A build that two services share
// is done once. Errors: those of `jimage build`, with the service.
[[nodiscard]] Result<void> build_images(std::vector<ServiceSpec>& services);

}  // namespace gangway::submit
