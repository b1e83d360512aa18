// Images of elsewhere, brought into a library: an OCI layout directory, an archive of one, or what
// `docker save` writes.
#pragma once

#include <string>

#include "containers/build/image_library.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

// "PATH[:reference]", as jimage resolve takes it. Its blobs are in the library afterwards, sizes
// and digests checked; it has no name yet. Errors: of resolve_image(); Corrupt.
[[nodiscard]] Result<NamedManifest> import_image(const ImageLibrary& library,
                                                 const std::string& source);

// An image of the library, as a build begins from it.
struct LoadedImage {
  ImageSettings settings;
  std::vector<LayerBlob> layers;
};
// Errors: Corrupt, Unsupported (another platform).
[[nodiscard]] Result<LoadedImage> load_image(const ImageLibrary& library, const Digest& digest);

// Documents of a new image; its layers are in the library already.
[[nodiscard]] Result<NamedManifest> store_image(const ImageLibrary& library,
                                                const ImageSettings& settings,
                                                const std::vector<LayerBlob>& layers);

}  // namespace gangway::containers::build
