// TreeSnapshot: what a directory holds at one moment, and what has changed since: that is a layer.
//
// A change is seen by the kernel's change time, which no program can set back; the snapshot waits
// until the clock has moved past the newest one it saw, so that a change in the same tick is not
// missed. Nothing else of the file system is asked for: no overlay, no extended attributes, no
// rights. Symlinks are never followed. The tree must not change while it is looked at.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "containers/build/layer_writer.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct SeenFile {
  mode_t mode = 0;  // with the type
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  bool many_names = false;  // hard links
  friend bool operator==(const SeenFile&, const SeenFile&) = default;
};

// By path from the root, without "/" in front; sorted, so that what holds comes before what is
// held. The root itself is not in it.
using TreeSnapshot = std::map<std::string, SeenFile>;

// `root`: an open directory. Directories that their owner may not read are opened up meanwhile.
// Errors: those of reading; Exhausted (more than 5 million names).
[[nodiscard]] Result<TreeSnapshot> take_snapshot(int root);

struct TreeChanges {
  std::vector<std::string> written;  // new, changed, or of another kind
  std::vector<std::string> removed;  // topmost ones only
  [[nodiscard]] bool empty() const { return written.empty() && removed.empty(); }
};
[[nodiscard]] TreeChanges compare(const TreeSnapshot& before, const TreeSnapshot& after);

struct LayerRules {
  std::int64_t uid = 0;  // whom everything in it belongs to
  std::int64_t gid = 0;
  std::optional<std::int64_t> latest_mtime_s;  // times after it become it
  bool set_all_times = false;                  // …and all others too
  bool keep_user_attributes = false;           // extended ones, "user.*"
};
// The changes as a layer: names sorted, whiteouts before what stands beside them.
Result<void> write_changes(int root,
                           const TreeSnapshot& after,
                           const TreeChanges& changes,
                           const LayerRules& rules,
                           LayerWriter& layer);

}  // namespace gangway::containers::build
