#include "executor/topology.hpp"

#include <hwloc.h>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

class Loaded {
 public:
  Loaded() { made_ = hwloc_topology_init(&topology_) == 0; }
  ~Loaded() {
    if (made_) hwloc_topology_destroy(topology_);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  // Of this machine, or of a file's text.
  Result<Topology> read(const std::string* xml) {
    if (!made_) return Error(ErrorKind::Unsupported, "hwloc cannot be used");
    if (xml != nullptr && hwloc_topology_set_xmlbuffer(topology_, xml->c_str(),
                                                       static_cast<int>(xml->size() + 1)) != 0) {
      return Error(ErrorKind::Invalid, "it is no topology");
    }
    if (hwloc_topology_load(topology_) != 0) {
      return Error(ErrorKind::Invalid, "hwloc cannot load it");
    }
    Topology pus;
    const int count = hwloc_get_nbobjs_by_type(topology_, HWLOC_OBJ_PU);
    for (int i = 0; i < count; ++i) {
      hwloc_obj_t const pu =
          hwloc_get_obj_by_type(topology_, HWLOC_OBJ_PU, static_cast<unsigned>(i));
      if (pu == nullptr) continue;
      Pu one{.os = static_cast<int>(pu->os_index), .core = i, .socket = 0, .numa = 0};
      if (hwloc_obj_t const core = hwloc_get_ancestor_obj_by_type(topology_, HWLOC_OBJ_CORE, pu)) {
        one.core = static_cast<int>(core->logical_index);
      }
      if (hwloc_obj_t const socket =
              hwloc_get_ancestor_obj_by_type(topology_, HWLOC_OBJ_PACKAGE, pu)) {
        one.socket = static_cast<int>(socket->logical_index);
      }
      // Memory hangs beside the processors, and not on every machine where they meet.
      hwloc_obj_t node = nullptr;
      while ((node = hwloc_get_next_obj_by_type(topology_, HWLOC_OBJ_NUMANODE, node)) != nullptr) {
        if (hwloc_bitmap_isset(node->cpuset, pu->os_index) == 0) continue;
        one.numa = static_cast<int>(node->logical_index);
        break;
      }
      pus.push_back(one);
    }
    if (pus.empty()) return Error(ErrorKind::Invalid, "hwloc knows no processors");
    return pus;
  }

 private:
  hwloc_topology_t topology_ = nullptr;
  bool made_ = false;
};

}  // namespace

Result<Topology> read_topology() { return Loaded().read(nullptr); }

Result<Topology> read_topology_file(const std::string& path) {
  GANGWAY_ASSIGN(std::string text, read_small_file(path, 64 << 20));
  // hwloc 2 refuses what hwloc 3 has written for its version alone: objects and sets of processors
  // are the same in both.
  constexpr std::string_view kThree = "<topology version=\"3.";
  if (const std::size_t at = text.find(kThree); at != std::string::npos) {
    text[at + kThree.size() - 2] = '2';
  }
  Result<Topology> topology = Loaded().read(&text);
  if (!topology) return topology.error().with_context(cat("read topology ", path));
  return topology;
}

}  // namespace gangway::executor
