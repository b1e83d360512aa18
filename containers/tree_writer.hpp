// TreeWriter: applies the entries of image layers, one layer after the other, to a directory.
//
// Semantics of the OCI image-spec (layer.md), where it is silent those of containerd. Every name is
// cleaned and resolved inside the root by openat2(RESOLVE_IN_ROOT): symlinks inside the tree that
// lie on the way are followed (`lib -> usr/lib` is how distributions are laid out), the last
// component never is, and nothing leads out. Existing things are replaced, never written into, so
// that hard links of lower layers keep their contents. Whiteouts hide what lower layers had and
// nothing that this layer has written, wherever in the archive they stand.
//
// Deviations, on purpose: everything belongs to the calling user (one id per sandbox); set-id bits
// are dropped; devices are left out; of extended attributes only `user.*` without the overlay's own
// are kept; files are always readable and directories always searchable by their owner.
//
// The tree must not be changed by others meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "containers/archive_reader.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// Bounds of one image; hostile archives end at them.
struct UnpackLimits {
  std::int64_t max_bytes = std::int64_t{256} << 30;  // of all files, holes counted
  std::int64_t max_file_bytes = std::int64_t{64} << 30;
  std::int64_t max_entries = 5'000'000;      // headers in all layers
  std::int64_t max_xattr_bytes = 1 << 20;    // of one entry
  std::int64_t max_ratio = 200;              // decompressed to compressed, of a layer…
  std::int64_t ratio_free_bytes = 64 << 20;  // …beyond its first bytes
  int max_depth = 256;                       // components of a name
  int seconds = 3600;                        // for all
  friend bool operator==(const UnpackLimits&, const UnpackLimits&) = default;
};

struct WriterCounts {
  std::int64_t entries = 0;
  std::int64_t bytes = 0;
  std::int64_t devices_skipped = 0;
  std::int64_t xattrs_dropped = 0;
};

// Components of an entry's name; none for the root itself.
// Errors: Invalid (climbs out of the root, too long, too deep).
[[nodiscard]] Result<std::vector<std::string>> clean_entry_name(std::string_view name,
                                                                int max_depth);
// Whether an extended attribute may be kept.
[[nodiscard]] bool keeps_xattr(std::string_view name);

class TreeWriter {
 public:
  // `root`: an open directory (not O_PATH). `readable_by_all`: for nodes where owners cannot be
  // mapped, everything becomes readable by everybody.
  TreeWriter(Fd root, UnpackLimits limits, bool readable_by_all);

  using NextBlock = std::function<Result<TarReader::Block>()>;
  // Errors: Invalid (the entry, a bound), Corrupt, Exhausted (the disk is full).
  Result<void> apply(const TarEntry& entry, const NextBlock& next_block);
  // Times of directories, and what this layer has written counts as lower from now on.
  Result<void> end_layer();
  [[nodiscard]] const WriterCounts& counts() const { return counts_; }

 private:
  struct Parent {
    int fd = -1;  // cached, not owned by the caller
    std::uint64_t inode = 0;
  };
  struct DirectoryTimes {
    std::string path;
    timespec mtime{};
  };

  Result<Parent> open_parent(const std::vector<std::string>& name, bool make);
  Result<void> apply_root(const TarEntry& entry);
  Result<void> apply_whiteout(const std::vector<std::string>& name);
  Result<void> write_file(const Parent& parent,
                          const std::string& name,
                          const TarEntry& entry,
                          const NextBlock& next_block);
  Result<void> make_directory(const Parent& parent,
                              const std::string& name,
                              const std::string& path,
                              const TarEntry& entry);
  Result<void> make_symlink(const Parent& parent, const std::string& name, const TarEntry& entry);
  Result<void> make_hardlink(const Parent& parent, const std::string& name, const TarEntry& entry);
  Result<void> make_fifo(const Parent& parent, const std::string& name, const TarEntry& entry);

  // Whatever `name` is, with all below it.
  Result<void> remove_entry(int parent,
                            std::uint64_t parent_inode,
                            const std::string& name,
                            int depth);
  Result<void> remove_empty(int parent,
                            std::uint64_t parent_inode,
                            const std::string& name,
                            std::uint64_t inode);
  Result<void> check_depth(int depth) const;
  // The same but for what this layer has written and the directories above that; true if nothing
  // is left of it.
  Result<bool> hide_entry(int parent,
                          std::uint64_t parent_inode,
                          const std::string& name,
                          int depth);
  Result<bool> hide_children(int directory, std::uint64_t inode, int depth);

  Result<void> set_xattrs(int fd, const TarEntry& entry);
  void note_times(const Parent& parent, const std::vector<std::string>& parent_name);
  [[nodiscard]] mode_t file_mode(mode_t mode) const;
  [[nodiscard]] mode_t directory_mode(mode_t mode) const;
  Result<void> check_numbers(const TarEntry& entry);

  static std::string key(std::uint64_t parent_inode, const std::string& name);

  Fd root_;
  UnpackLimits limits_;
  bool readable_by_all_;
  WriterCounts counts_;
  // Names this layer has written, as (inode of the directory, name): one key for each, by whatever
  // path of symlinks it was reached.
  std::unordered_set<std::string> written_;
  std::map<std::uint64_t, DirectoryTimes> times_;  // of directories, to be set at the layer's end
  bool cache_valid_ = false;
  Fd cached_parent_;  // stays open until the next one, even when it is not valid any more
  std::string cached_path_;
  std::uint64_t cached_inode_ = 0;
};

}  // namespace gangway::containers
