// Binding: which logical processors each rank of a node runs on, as a function of the machine's
// topology, the processors that were given, and what was asked.
//
// Two steps, as Slurm's task/affinity does it: every rank is dealt its `cpus_per_task` processors,
// in the order of the socket distribution; then its set is widened to all given processors of the
// cores, sockets or NUMA domains that it touches. docs/binding.md has the table for four machines.
//
// Pure: no hwloc here (topology.hpp reads it), no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::executor {

// A logical processor. Numbers of cores, sockets and NUMA domains are unique on the machine.
struct Pu {
  int os = 0;  // the kernel's number: what a cpuset holds
  int core = 0;
  int socket = 0;
  int numa = 0;
  friend bool operator==(const Pu&, const Pu&) = default;
};

// In hwloc's logical order: threads of a core side by side, cores of a socket side by side.
using Topology = std::vector<Pu>;

// How ranks are dealt to the sockets of a node.
enum class SocketDistribution : std::uint32_t {
  Cyclic = 0,      // rank after rank to the next socket; all processors of one rank in its socket
  Block = 1,       // the first socket is filled first
  FullCyclic = 2,  // also the processors of one rank go round the sockets
};

enum class BindTo : std::uint32_t {
  Auto = 0,     // to cores, if every rank can have its own processors; else not at all
  None = 1,     // all ranks run on all given processors
  Threads = 2,  // to the dealt processors alone
  Cores = 3,
  Sockets = 4,
  Numa = 5,
  MapCpu = 6,   // rank i of the node to the i-th of the list, over and over
  MaskCpu = 7,  // the same with sets of processors
};

struct BindRequest {
  int ranks = 1;
  int cpus_per_task = 1;
  SocketDistribution distribution = SocketDistribution::Cyclic;
  BindTo to = BindTo::Auto;
  std::vector<std::vector<int>> list;  // of MapCpu and MaskCpu: the kernel's numbers
};

// A set for each rank, sorted. An empty set means: everything that the sandbox may use. `given` are
// the kernel's numbers of processors; those that the topology does not know count as cores of their
// own, in one socket. With fewer processors than ranks times cpus_per_task they are dealt again
// from the beginning (and Auto does not bind). Requires: ranks >= 0, cpus_per_task >= 1.
[[nodiscard]] std::vector<std::vector<int>> bind_ranks(const Topology& topology,
                                                       const std::vector<int>& given,
                                                       const BindRequest& request);

// "0-3,8": ranges of numbers, and back. Errors: Invalid.
[[nodiscard]] std::string render_cpus(const std::vector<int>& cpus);
[[nodiscard]] Result<std::vector<int>> parse_cpus(std::string_view text);

}  // namespace gangway::executor
