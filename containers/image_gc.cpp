#include "containers/image_gc.hpp"

#include <algorithm>
#include <utility>

namespace gangway::containers {

std::vector<StoredImage> choose_images_to_remove(std::vector<StoredImage> images,
                                                 const GcPolicy& policy,
                                                 Time now) {
  std::ranges::sort(images, [](const StoredImage& a, const StoredImage& b) {
    return std::pair(a.last_used, a.key) < std::pair(b.last_used, b.key);
  });
  std::int64_t held = 0;
  for (const StoredImage& image : images) held += image.report.bytes;
  std::vector<StoredImage> chosen;
  for (const StoredImage& image : images) {
    const bool is_old = policy.unused_for && now - image.last_used >= *policy.unused_for;
    const bool is_too_much = policy.quota && held > policy.quota->value;
    if (image.in_use || (!is_old && !is_too_much)) continue;
    held -= image.report.bytes;
    chosen.push_back(image);
  }
  return chosen;
}

Result<GcResult> collect_garbage(const ImageStore& store, const GcPolicy& policy, Time now) {
  GcResult result;
  result.leftovers = store.remove_leftovers();
  Result<void> failure;
  for (StoredImage& image : choose_images_to_remove(store.list(), policy, now)) {
    const Result<void> removed = store.remove(image.key);
    if (removed) {
      result.removed.push_back(std::move(image));
    } else if (removed.error().kind() != ErrorKind::Conflict &&
               removed.error().kind() != ErrorKind::NotFound) {
      failure = removed;
    }
  }
  if (!failure) return failure.error();
  return result;
}

}  // namespace gangway::containers
