// ensure_image: an image is in the node's store, verified and unpacked, whoever asks and however
// many ask at once.
//
// The asking user's rights are tested each time, also if the tree is there already: knowing a
// digest does not open somebody else's image, nor does having its manifest. Who asks for a tree
// that another user's source was unpacked into shows once that all of the image is in his own.
// Blobs are opened by a child with the user's rights, copied while their size and digest are
// checked, and only such copies are parsed, by a worker without rights.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

#include "containers/image_ref.hpp"
#include "containers/image_report.hpp"
#include "containers/image_store.hpp"
#include "containers/privileges.hpp"
#include "containers/runtime.hpp"
#include "containers/tree_writer.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

struct EnsureProgress {
  std::size_t layer = 0;  // that is being read; 1 is the first
  std::size_t layers = 0;
  std::int64_t bytes = 0;        // read so far, of all layers
  std::int64_t total_bytes = 0;  // 0: not known (docker-archive)
};

struct EnsureRequest {
  ImageSourceKind kind = ImageSourceKind::OciLayout;
  std::string path;
  Digest digest;     // of the manifest; docker-archive: of the config
  Credentials user;  // who asks
  bool readable_by_all = false;
  uid_t worker_uid = 65534;  // owns the tree, if the caller is privileged
  gid_t worker_gid = 65534;
  UnpackLimits limits;
  // Called often while a new image is copied and unpacked; may be empty.
  std::function<void(const EnsureProgress&)> progress{};
};

// Requires: a process with one thread. Errors: NotFound and Denied (the source, for this user),
// Corrupt and Invalid (the image, also one beyond a bound), Exhausted (disk, time), Unsupported.
[[nodiscard]] Result<ImageReport> ensure_image(const ImageStore& store,
                                               const EnsureRequest& request);

}  // namespace gangway::containers
