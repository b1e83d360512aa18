// Controller: the scheduler as a function from what happened to what to do. No I/O, no clock, no
// threads; the daemon (daemon.hpp) performs what it returns, and the simulator does the same.
//
// It owns the cluster's state in memory (cluster_state.hpp), asks the planner, keeps the gang
// protocol of PROTOCOL.md and decides on leases. Memory is ahead of the store by the turns not yet
// durable; nobody sees them before (Turn). If a commit fails the daemon stops and is started again
// from the store.
//
// A gang starts in two phases: every node of the allocation prepares; when all are Prepared, all
// are told to launch; one refusal, failure or timeout releases them all.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/io/transport.hpp"
#include "queues/model/backfill_policy.hpp"
#include "queues/model/queue.hpp"
#include "queues/model/service_ports.hpp"
#include "queues/store/job_store.hpp"
#include "queues/wire/gangway.pb.h"
#include "scheduler/cluster_state.hpp"
#include "scheduler/effect.hpp"
#include "scheduler/policy/fair_share.hpp"
#include "scheduler/policy/priority.hpp"
#include "scheduler/policy/usage.hpp"

namespace gangway::scheduler {

struct ControllerConfig {
  std::string cluster = "gangway";
  std::vector<Queue> queues;     // at least one, exactly one of them the default
  Duration lease = minutes(10);  // an attempt lives this long without contact
  // The longest that attempts may still be held by that were started before; a lease that has been
  // given is never shortened.
  Duration lease_before{};
  Duration lease_drift = seconds(2);  // allowed difference of two boot clocks over a lease
  Duration heartbeat_every = seconds(5);
  Duration suspect_after = seconds(15);
  Duration prepare_timeout = minutes(30);   // unpacking a large image included
  Duration requeue_backoff = seconds(5);    // after a failed start, doubled each time
  Duration kill_grace = kDefaultKillGrace;  // of a job that names none
  BackfillPolicy backfill;
  bool allow_root_jobs = false;
  std::vector<std::string> operators;  // user names that may drain, confirm, see to all jobs
  std::uint32_t own_uid = 0;           // the daemon's: an operator too
  std::string version = GANGWAY_VERSION;
  std::size_t max_jobs = 2'000'000;
  std::size_t max_jobs_per_submission = 1'000'000;
  int pass_work_budget = 10'000;    // jobs looked at in one pass
  std::size_t jobs_of_slice = 500;  // that waited before a restart, looked at in one turn
  PriorityRules priority;
  FairShareKind fair_share = FairShareKind::Tree;
  UsageRules usage;
  PortRange service_ports{20000, 20999};   // of every node, for replicas
  PortRange endpoint_ports{30000, 32767};  // of the balancer, where users ask for none
  int endpoint_ports_per_user = 100;
  bool has_balancer = false;                // replicas leave it before they are told to end
  Duration drain_timeout = seconds(60);     // what is still in flight after it is cut off
  std::map<std::string, std::int64_t> qos;  // names with their priorities; none: any name is taken
};

// Where users' names come from; the daemon asks the host, the simulator makes them up.
class UserDirectory {
 public:
  virtual ~UserDirectory() = default;
  [[nodiscard]] virtual std::string name_of(std::uint32_t uid) const = 0;  // digits if unknown
};

class Controller {
 public:
  // `loaded` is what the store held at start, completed by complete_live_state() (daemon.hpp).
  // `make_secret` gives a gang its secret, by which its shepherds know each other. The same attempt
  // always has the same one, because it is told again after a restart: the daemon derives it from
  // the cluster's key.
  using SecretSource = std::function<std::string(JobKey, Attempt)>;
  Controller(ControllerConfig config,
             Epoch epoch,
             store::LiveState loaded,
             const UserDirectory& users,
             SecretSource make_secret,
             Now now);
  ~Controller();

  // The first turn: orders to repeat, timers to arm.
  [[nodiscard]] Turn start(Now now);

  [[nodiscard]] Turn on_client_request(io::PeerId from,
                                       const io::LocalUser& user,
                                       std::uint32_t stream,
                                       const wire::Request& request,
                                       Now now);
  // A submission of one job, which is accepted without being read if the bytes of its NewJob are
  // those of one that was accepted before; nullopt if they are not, or if anything else is unusual:
  // on_client_request() has to hear it then.
  [[nodiscard]] std::optional<Turn> try_submit_known(io::PeerId from,
                                                     const io::LocalUser& user,
                                                     std::uint32_t stream,
                                                     std::string_view key,
                                                     std::string_view job,
                                                     Now now);
  [[nodiscard]] Turn on_client_closed(io::PeerId peer, Now now);
  [[nodiscard]] Turn on_node_connected(io::PeerId peer, const NodeName& node, Now now);
  [[nodiscard]] Turn on_node_message(io::PeerId from, const wire::FromNode& message, Now now);
  [[nodiscard]] Turn on_node_closed(io::PeerId peer, Now now);
  [[nodiscard]] Turn on_timer(std::uint64_t token, Now now);
  // The answer to effect::AskHistory.
  [[nodiscard]] Turn on_history(std::uint64_t ticket, const History& history, Now now);

  // For invariants and tests.
  [[nodiscard]] const ClusterState& state() const;
  // The nodes on which the newest attempt of a job may still hold something: of a job that is
  // Completing, those that have cleaned up are given to others already.
  [[nodiscard]] std::vector<NodeName> nodes_held_by(JobKey key) const;
  // Whether the programs of a gang stand still (or go on) on all its nodes, by their own word;
  // nullopt: not known, or never asked.
  [[nodiscard]] std::optional<bool> stands_still(JobKey key) const;
  // The tree of accounts with what has been used up to the last turn.
  [[nodiscard]] std::vector<ShareRow> shares() const;
  // Why a waiting job waits; None for others and for those the planner has not looked at yet.
  [[nodiscard]] PendingReason reason_of(JobKey key) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gangway::scheduler
