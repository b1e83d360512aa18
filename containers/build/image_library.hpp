// ImageLibrary: a user's own images by name, and what builds remember.
//
//   <library>/oci-layout, index.json, blobs/sha256/<hex>   one OCI layout of all images
//   <library>/build/steps/<hex>     what a step of a build gave: its layer, by the step's key
//   <library>/build/caches/<hex>/   RUN --mount=type=cache, by id
//   <library>/build/work/<random>/  builds under way; those of dead ones are removed by the next
//   <library>/lock                  held while index.json is written
//
// $GANGWAY_IMAGE_LIBRARY, else $XDG_DATA_HOME/gangway/images, else ~/.local/share/gangway/images.
// Jobs read images from here: with several nodes it must lie on a file system that all of them see.
//
// Names are Docker's: "node" is "node:latest", "docker.io/library/node:14" is "node:14". Blobs are
// written beside their place and renamed, so that what is there is whole. Any number of processes
// use a library at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/build/image_settings.hpp"
#include "containers/build/layer_writer.hpp"
#include "containers/image_ref.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

// "library/name:tag" as it is kept. Errors: Invalid.
[[nodiscard]] Result<std::string> normalise_image_name(std::string_view name);

// A directory that goes with the object, and with the next build if this process is killed.
class WorkDirectory {
 public:
  WorkDirectory(WorkDirectory&& other) noexcept;
  WorkDirectory& operator=(WorkDirectory&&) = delete;
  ~WorkDirectory();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  friend class ImageLibrary;
  WorkDirectory(std::string path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  Fd lock_;
};

struct StepRecord {
  std::optional<LayerBlob> layer;  // none: the step changed nothing
  std::string created;
};

class ImageLibrary {
 public:
  // Where it is by the environment of this process. Errors: NotFound (no home directory).
  [[nodiscard]] static Result<std::string> default_path();
  // Makes it where it is missing.
  [[nodiscard]] static Result<ImageLibrary> open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string blob_path(const Digest& digest) const;
  [[nodiscard]] bool has_blob(const Digest& digest, std::int64_t size) const;

  // A new file that becomes a blob by keep_blob(), else goes with it.
  struct NewBlob {
    Fd fd;
    std::string path;
  };
  [[nodiscard]] Result<NewBlob> make_blob() const;
  Result<void> keep_blob(NewBlob blob, const Digest& digest) const;
  [[nodiscard]] Result<Digest> add_document(std::string_view text) const;

  // Named images. `name` normalised.
  [[nodiscard]] Result<std::vector<NamedManifest>> list() const;
  [[nodiscard]] Result<std::optional<NamedManifest>> find(std::string_view name) const;
  // Takes the name away from whatever had it. Errors: NotFound of remove().
  Result<void> set(const NamedManifest& manifest) const;
  Result<void> remove(std::string_view name) const;

  struct Pruned {
    std::int64_t blobs = 0;
    std::int64_t bytes = 0;
  };
  // Removes what builds remember, and blobs that no name needs. Errors: Conflict (a build or import
  // is under way).
  [[nodiscard]] Result<Pruned> prune() const;

  [[nodiscard]] std::optional<StepRecord> find_step(const std::string& key) const;
  void remember_step(const std::string& key, const StepRecord& record) const;
  // An own directory for the cache of this id. Errors: those of making it.
  [[nodiscard]] Result<std::string> cache_directory(std::string_view id) const;
  [[nodiscard]] Result<WorkDirectory> make_work_directory() const;

 private:
  explicit ImageLibrary(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Result<Fd> lock() const;
  Result<void> write_index(const std::vector<NamedManifest>& manifests) const;
  void remove_dead_work() const;
  std::string path_;
};

}  // namespace gangway::containers::build
