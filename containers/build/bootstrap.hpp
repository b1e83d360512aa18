// Base images where no registry can be reached: a small Debian, made by mmdebstrap from the
// machine's own package sources (jimage-bootstrap, a script beside the programs, knows them).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "containers/build/image_library.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct BootstrapRequest {
  std::string system;              // "debian:bookworm"
  std::string packages;            // "nodejs,npm", beside the essential ones and apt
  std::vector<std::string> names;  // normalised
  std::optional<std::int64_t> epoch_s;
  bool quiet = false;
};

// One layer; its owners are those that the packages give. Errors: Invalid (no such system or
// package, as apt says it on the terminal), NotFound (mmdebstrap is not installed).
[[nodiscard]] Result<NamedManifest> bootstrap_image(const ImageLibrary& library,
                                                    const BootstrapRequest& request);

}  // namespace gangway::containers::build
