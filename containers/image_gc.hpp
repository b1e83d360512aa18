// Which images a store gives up: those that nobody has used for long, then those used longest ago
// until the rest is within the quota. What is in use stays, whatever the bounds say.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "containers/image_store.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"

namespace gangway::containers {

struct GcPolicy {
  std::optional<Duration> unused_for;  // this long or longer
  std::optional<Bytes> quota;          // of what images hold together, as unpacked
};

// In the order in which they go. Pure.
[[nodiscard]] std::vector<StoredImage> choose_images_to_remove(std::vector<StoredImage> images,
                                                               const GcPolicy& policy,
                                                               Time now);

struct GcResult {
  std::vector<StoredImage> removed;
  int leftovers = 0;  // of killed unpacks
};
// Images that came into use meanwhile stay. Errors: whatever removing gives; the rest was tried.
[[nodiscard]] Result<GcResult> collect_garbage(const ImageStore& store,
                                               const GcPolicy& policy,
                                               Time now);

}  // namespace gangway::containers
