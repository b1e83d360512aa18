// A whole cluster on one machine: a scheduler and some executors, each a node of its own with its
// own host name and spool and, made by root, its own network namespace (node_network.hpp).
//
// Made by an ordinary user it has neither host names nor networks of its own: the executors meet at
// 127.0.0.1.
//
// bring_up() on a cluster that runs changes nothing; on one of which some daemons have died it
// starts those again, and the jobs of the others go on; on the remains of a killed one it cleans up
// first. take_down() is right from every state, also from none.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "queues/config/config.hpp"
#include "submit/one_machine/cluster_layout.hpp"

namespace gangway::one_machine {

// What was not given keeps the value of an earlier `up` in the same directory, or else the default.
struct ClusterWishes {
  std::optional<int> nodes;           // 4
  std::optional<std::int64_t> cores;  // of each node: an equal part of the machine's, at least 2
  std::optional<Bytes> memory;        // of each node: an equal part of the machine's
  std::optional<Duration> lease;
  std::optional<Duration> heartbeat;
  std::optional<Duration> kill_grace;
  bool allow_root_jobs = false;
  std::optional<TimeSlicing> time_slicing;  // of a queue "sliced"; none: as before
  // What some nodes have besides: named resources and features; none: as before.
  std::vector<config::NodesConfig> extras;
};

struct NodeStatus {
  NodeName node;
  bool process_alive = false;
  bool reached = false;  // by the scheduler's word
  std::string note;      // "drained: disk"
};

struct ClusterStatus {
  bool scheduler_alive = false;  // its process
  bool scheduler_answers = false;
  std::string version;                 // the scheduler's
  std::optional<bool> balancer_alive;  // its process; none: there is to be none
  std::vector<NodeStatus> nodes;
  int waiting = 0;
  int running = 0;                     // starting and completing jobs included
  [[nodiscard]] bool whole() const;    // all of it is up
  [[nodiscard]] bool nothing() const;  // no process of it lives
};

struct UpReport {
  bool was_running = false;            // nothing had to be done
  std::vector<std::string> restarted;  // daemons of a running cluster that had died
  bool own_networks = false;
  std::vector<std::string> waivers;  // "cgroup-memory: <what is missing>"
  std::vector<std::string> warnings;
  int nodes = 0;
};

// Progress lines for people.
using Say = std::function<void(const std::string&)>;

// Errors: Conflict (another command is at work there), Denied, NotFound (ip(8), a program of ours),
// Unavailable (a daemon did not come up: the end of its log is in the message). On failure what was
// started has been stopped; logs and configuration stay.
[[nodiscard]] Result<UpReport> bring_up(const ClusterLayout& layout,
                                        const ClusterWishes& wishes,
                                        const Say& say);
struct DownReport {
  bool was_running = false;
};
// `purge`: the directory goes as well. Errors: what could not be removed.
[[nodiscard]] Result<DownReport> take_down(const ClusterLayout& layout, bool purge);

[[nodiscard]] ClusterStatus look_at(const ClusterLayout& layout);

}  // namespace gangway::one_machine
