// ImageStore: the unpacked images of a node, each under the digest of its manifest.
//
//   <store>/trees/sha256/<hex>[.open]/   rootfs/  report  manifest.json  config.json  boot  pin
//                                        users/  [listing  durable]
//   <store>/tmp/<hex>[.open].<random>/   an unpack under way, or left behind by a killed one
//   <store>/locks/<hex>[.open]           held (flock) while one process unpacks that image
//
// ".open" is the variant whose files everybody may read, for nodes that cannot map owners. A tree
// is complete when it is under trees/: it comes there by rename. Until it is known to be on the
// disk it is valid only in the boot in which it was made ("boot"), so that nobody has to wait for
// the disk; what it holds is written down then too ("listing"), for verify(). Who uses a tree holds
// a shared lock on "pin", whose time says when it was used last; a pinned tree is not removed.
//
// Whoever has an image's manifest can name the image; "users" has a file for each user who was seen
// to have all of it, contents too, and only they may use the tree.
//
// The store is private to the executor's user (mode 0700), because images may be private; jobs see
// a tree through a mount that the executor makes. Any number of processes use a store at once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "containers/image_ref.hpp"
#include "containers/image_report.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"

namespace gangway::containers {

struct ImageKey {
  Digest digest;
  bool readable_by_all = false;
  [[nodiscard]] std::string name() const {
    return readable_by_all ? digest.hex() + ".open" : digest.hex();
  }
  friend auto operator<=>(const ImageKey&, const ImageKey&) = default;
};

// An unpack under way. What was not published is removed with the object.
class Staging {
 public:
  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&&) = delete;
  ~Staging();
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string rootfs() const { return path_ + "/rootfs"; }

 private:
  friend class ImageStore;
  Staging() = default;
  std::string path_;
};

struct StoredImage {
  ImageKey key;
  ImageReport report;
  Time last_used;
  bool in_use = false;
};

// What a tree does not hold as it was unpacked: "etc/passwd: has other contents".
struct ImageCheck {
  bool recorded = false;  // false: killed before it was written down, or unpacked long ago
  std::vector<std::string> differences;  // at most a few
  std::int64_t difference_count = 0;
};

class ImageStore {
 public:
  // Makes the directories where they are missing. Errors: Denied, Exhausted.
  [[nodiscard]] static Result<ImageStore> open(const std::string& path);
  // For find() alone, whether there is a store or not.
  [[nodiscard]] static ImageStore at(const std::string& path) { return ImageStore(path); }

  [[nodiscard]] const std::string& path() const { return path_; }
  // The image, if it is here and whole.
  [[nodiscard]] std::optional<ImageReport> find(const ImageKey& key) const;
  // Waits until no other process unpacks this image. Released with the descriptor.
  [[nodiscard]] Result<Fd> lock(const ImageKey& key) const;
  // An empty rootfs owned by `uid`, `gid`; first removes what killed unpacks have left behind.
  // Requires: the lock.
  [[nodiscard]] Result<Staging> stage(const ImageKey& key, uid_t uid, gid_t gid) const;
  // A file in tmp/ without a name.
  [[nodiscard]] Result<Fd> make_scratch_file() const;
  // Makes the staged tree the image, which `user` may use. `report.tree` is set. Requires: the
  // lock.
  [[nodiscard]] Result<ImageReport> publish(const ImageKey& key,
                                            Staging staging,
                                            uid_t user,
                                            ImageReport report,
                                            const std::string& manifest,
                                            const std::string& config) const;
  // Whether the user was seen to have the whole image; and that it was.
  [[nodiscard]] bool may_use(const ImageKey& key, uid_t user) const;
  [[nodiscard]] Result<void> admit(const ImageKey& key, uid_t user) const;
  // Writes down what it holds and brings it to the disk, so that it outlives this boot. Slow: reads
  // it all.
  Result<void> make_durable(const ImageKey& key) const;

  // It stays until the descriptor and all its copies are closed; a look does not count as a use.
  // Errors: NotFound.
  enum class PinFor { Use, Look };
  [[nodiscard]] Result<Fd> pin(const ImageKey& key, PinFor purpose = PinFor::Use) const;

  // By their keys.
  [[nodiscard]] std::vector<StoredImage> list() const;
  // Reads it all. Errors: NotFound.
  [[nodiscard]] Result<ImageCheck> verify(const ImageKey& key) const;
  // Waits for an unpack under way. Errors: NotFound, Conflict (it is in use).
  Result<void> remove(const ImageKey& key) const;
  // What killed unpacks have left behind, and trees that a power failure has. Returns how many.
  [[nodiscard]] int remove_leftovers() const;

 private:
  explicit ImageStore(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] std::string tree_path(const ImageKey& key) const;
  [[nodiscard]] int clear_staging(const std::optional<ImageKey>& held) const;

  std::string path_;
};

}  // namespace gangway::containers
