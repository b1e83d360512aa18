// Profile: what is free on each node, now and in the future.
//
// A running job holds its parts of nodes until its expected end; a reservation holds them for a
// span of the future. Each node has a timeline of what is free (timeline.hpp).
//
// A job past its expected end that still runs is taken to go at any moment: kOverrun from now;
// advance() says what now is.
// Nodes are numbered as they were first named; wherever an order can show, nodes are ordered by
// name. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/queue.hpp"
#include "scheduler/policy/amounts.hpp"
#include "scheduler/policy/best_fit.hpp"
#include "scheduler/policy/core_set.hpp"
#include "scheduler/policy/gang.hpp"
#include "scheduler/policy/outlook.hpp"
#include "scheduler/policy/request.hpp"
#include "scheduler/policy/timeline.hpp"

namespace gangway::scheduler {

inline constexpr Duration kOverrun = seconds(1);

// What a job holds, or is to hold, of one node.
struct NodeClaim {
  NodeIndex node = 0;
  Amounts amounts;
  std::vector<std::int32_t> cores;  // empty for a reservation
};

class Profile {
 public:
  // ---- what there is ----
  void set_queues(const std::vector<Queue>& queues);
  void set_node(const NodeName& name,
                const Resources& capacity,
                bool usable,
                const std::vector<std::string>& features = {});
  void drop_node(const NodeName& name);
  // Puts nodes in their order after new ones were named; call before the questions below.
  void settle();

  [[nodiscard]] NodeIndex index_of(const NodeName& name);  // an unknown one gets a number
  [[nodiscard]] const NodeName& name_of(NodeIndex node) const { return nodes_[node].name; }
  [[nodiscard]] const Amounts& capacity_of(NodeIndex node) const { return nodes_[node].capacity; }
  [[nodiscard]] std::uint32_t rank_of(NodeIndex node) const { return ranks_[node]; }
  [[nodiscard]] const CoreSet& free_cores_of(NodeIndex node) const { return nodes_[node].cores; }
  [[nodiscard]] NodeIndex node_count() const { return static_cast<NodeIndex>(nodes_.size()); }
  [[nodiscard]] Kinds& kinds() { return kinds_; }
  [[nodiscard]] const Kinds& kinds() const { return kinds_; }
  using QueueNumber = std::size_t;
  [[nodiscard]] std::optional<QueueNumber> find_queue(const QueueName& queue) const;

  // ---- who holds what ----
  void start(JobKey key, Time end, std::vector<NodeClaim> claims);
  // Time has come to `now`; it never goes back. Call before the questions below.
  void advance(Time now);
  // Whether a job still runs that should have ended by `now`.
  [[nodiscard]] bool has_overrun(Time now) const {
    return !ends_.empty() && ends_.begin()->first <= now;
  }
  // Requires: `from` is in the future.
  void reserve(JobKey key, Time from, Time to, std::vector<NodeClaim> claims);
  // A reservation goes on with `claims` instead of what it holds of `nodes`.
  void move_reservation(JobKey key,
                        const std::vector<NodeIndex>& nodes,
                        std::vector<NodeClaim> claims);
  void end(JobKey key);  // of either; an unknown key changes nothing
  [[nodiscard]] bool is_claimed_by(JobKey key) const { return holders_.contains(key); }

  // ---- what is free ----
  // Whether node `number` may serve `part` at all: it is there, usable if asked so, allowed by the
  // part (by its name and its features), in the queue, and large enough.
  [[nodiscard]] bool may_serve(NodeIndex number,
                               QueueNumber queue,
                               const RequestPart& part,
                               bool even_if_unusable = false) const;
  // The same, however large it is.
  [[nodiscard]] bool is_admitted(NodeIndex number,
                                 QueueNumber queue,
                                 const RequestPart& part,
                                 bool even_if_unusable = false) const;
  // What `part` takes of `node`: the whole of it if it is exclusive.
  [[nodiscard]] const Wanted& wanted_of(NodeIndex node, const RequestPart& part) const {
    return part.exclusive ? nodes_[node].whole : part.wanted;
  }
  [[nodiscard]] const Amounts& amounts_of(NodeIndex node, const RequestPart& part) const {
    return part.exclusive ? nodes_[node].capacity : part.per_node;
  }
  [[nodiscard]] const Timeline& timeline_of(NodeIndex node) const { return timelines_[node]; }
  [[nodiscard]] bool is_free_now(NodeIndex node, const RequestPart& part) const {
    return timelines_[node].fits_now(wanted_of(node, part));
  }
  // Whether what `part` wants of `node` is free all through [from, to).
  [[nodiscard]] bool is_free(NodeIndex node, const RequestPart& part, Time from, Time to) const {
    return timelines_[node].fits(wanted_of(node, part), from, to);
  }
  // Whether a reservation holds something of it, at any time. Of others ever more becomes free.
  [[nodiscard]] bool is_reserved(NodeIndex node) const { return reservations_[node] > 0; }

  // The usable nodes on which what `part` wants is free now, best fit first (best_fit.hpp). Calls
  // visit(node) until it returns false.
  template <typename Visit>
  void visit_by_best_fit(const RequestPart& part, Visit visit) const {
    by_fit_.visit(part.wanted, part.exclusive, visit);
  }

  // ---- what is known of the future of many nodes (outlook.hpp) ----
  // A search begins: tables of those before may go.
  void begin_search() const { outlook_.begin_search(now_); }
  // The tables for what a part wants, for so long. They stay until something changes.
  [[nodiscard]] ByOutlook outlook_for(const RequestPart& part, std::optional<Duration> limit) const;
  // The first start, `from` or later, of what the table is for.
  [[nodiscard]] Time refine(const Outlook::Table& table, NodeIndex node, Time from) const;

  // The expected ends of running jobs in the order of time, from the first after `now`.
  struct End {
    Time at;
    JobKey key;
  };
  [[nodiscard]] std::vector<End> ends_after(Time now) const;
  [[nodiscard]] const std::vector<NodeClaim>& claims_of(JobKey key) const;

 private:
  struct HeldCores {
    JobKey key;
    std::vector<std::int32_t> cores;
  };
  struct Node {
    NodeName name;
    Amounts capacity;
    Wanted whole;  // the capacity
    FeatureBits features;
    CoreSet cores;
    bool shares_cores = false;  // some core was given to two jobs
    std::vector<HeldCores> running;
  };
  struct Holder {
    bool reservation = false;
    Time from;  // kAlways for a running job
    Time end;
    Time held_until;  // later than `end` where a job has overrun it
    std::vector<NodeClaim> claims;
  };

  void refresh_queues(NodeIndex number);
  [[nodiscard]] BestFit::Position position_of(NodeIndex number) const;
  void index(NodeIndex number);
  void unindex(NodeIndex number);
  void hold(const Holder& holder, const NodeClaim& claim);
  void let_go(const Holder& holder, const NodeClaim& claim);
  // Takes the cores of all that run on the node out of its free ones again.
  void retake_cores(NodeIndex number);

  Kinds kinds_;
  std::vector<Node> nodes_;
  // What is asked of a node first stands apart, in few lines of memory for all of them.
  std::vector<Timeline> timelines_;  // may be negative where the capacity shrank under running jobs
  std::vector<bool> usable_;
  std::vector<std::int32_t> reservations_;   // that hold something of it
  std::vector<std::uint32_t> ranks_;         // by name
  std::vector<std::vector<bool>> in_queue_;  // by number of the queue
  std::map<NodeName, NodeIndex> numbers_;
  std::map<QueueName, std::pair<QueueNumber, Queue>> queues_;
  std::unordered_map<JobKey, Holder> holders_;  // never walked
  std::set<std::pair<Time, JobKey>> ends_;      // of running jobs
  BestFit by_fit_;                              // usable nodes
  mutable Outlook outlook_;                     // a memory; says nothing that timelines do not
  bool settled_ = true;                         // ranks are right and by_fit_ is complete
  Time now_;
};

}  // namespace gangway::scheduler
