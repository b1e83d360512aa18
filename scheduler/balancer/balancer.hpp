// Balancer: keeps one HAProxy running as the routes want it, and says which replicas have nothing
// in flight any more.
//
//   Down ----------start----------> Settling --another worker answers--> Serving
//     ^  after a pause that doubles     |  ^                               |
//     \--------its process ended-------/    \----------reload-------------/
//
// Routes that come while it settles wait; only the newest count. What is refused by the machine (a
// port that is taken, no certificate) is tried again every ten seconds.
//
// A file that HAProxy refuses is written again without the users whose routes it refuses, until
// they change them.
//
// Drained: a replica that gets nothing new and was found without a request twice in a row, in all
// workers, or whose time for that is over.
//
// One thread, on the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/time.hpp"
#include "queues/config/config.hpp"
#include "queues/io/event_loop.hpp"
#include "scheduler/balancer/haproxy.hpp"
#include "scheduler/balancer/haproxy_config.hpp"
#include "scheduler/balancer/live_table.hpp"
#include "scheduler/balancer/routes.hpp"

namespace gangway::balancer {

class Balancer {
 public:
  // Called when another version is in force, or another replica is drained; always all of them.
  using Confirm =
      std::function<void(std::uint64_t version, const std::vector<std::uint64_t>& drained)>;

  // All outlive the balancer.
  Balancer(io::EventLoop& loop,
           Haproxy& haproxy,
           config::BalancerConfig settings,
           HaproxySettings for_file,
           Confirm confirm);

  // HAProxy goes on.
  ~Balancer();
  Balancer(const Balancer&) = delete;
  Balancer& operator=(const Balancer&) = delete;

  // Takes over a HAProxy that runs, or starts one with the file that is there.
  void start();
  void set_routes(std::uint64_t version, std::vector<Route> routes);

  [[nodiscard]] bool serving() const { return state_ == State::Serving; }

 private:
  enum class State { Down, Settling, Serving };
  // Versions are the scheduler's, and another scheduler counts anew: what is the newest we count
  // ourselves.
  struct Number {
    std::uint64_t version = 0;
    std::uint64_t serial = 0;
    friend bool operator==(const Number&, const Number&) = default;
  };
  struct Wanted {
    Number number;
    std::vector<Route> routes;
  };
  struct Drain {
    BootTime until;
    int quiet_looks = 0;
    bool done = false;
  };

  void advance();
  void apply();
  bool obey(const Table& table);
  void reload(Table table);
  [[nodiscard]] Result<void> write(Table& table);
  [[nodiscard]] std::vector<Route> served();
  [[nodiscard]] std::vector<Route> shape_of(std::uint32_t uid) const;
  void launch();
  void take_over();
  void watch(pid_t master);
  void on_end();
  void settle();
  void now_in_force(const Table& table);
  void confirm_all();
  void note_drains();
  void look();
  void look_at_drains();
  [[nodiscard]] std::optional<std::map<std::uint64_t, std::int64_t>> count_in_flight();
  void remove_leaving();
  void arm(std::optional<io::TimerId>& timer, Duration after, void (Balancer::*then)());
  [[nodiscard]] Table make();
  [[nodiscard]] Machine machine();
  [[nodiscard]] bool can_listen(const ListenAddress& where) const;

  io::EventLoop& loop_;
  Haproxy& haproxy_;
  config::BalancerConfig settings_;
  HaproxySettings for_file_;
  Confirm confirm_;

  State state_ = State::Down;
  std::optional<Wanted> wanted_;   // the newest
  std::optional<LiveTable> live_;  // none: not known, the file has to be read again
  std::optional<Table> in_file_;   // what a process that settles has read
  Number in_force_;                // what HAProxy does
  Number settling_;                // what a process that settles has read
  std::optional<pid_t> worker_;    // the one that has the listening sockets
  BootTime settle_until_;
  Fd master_;  // a pidfd
  std::optional<io::WatchId> master_watch_;
  Duration pause_;  // before the next start
  BootTime launched_;
  BootTime reloaded_;
  std::map<std::uint64_t, Drain> drains_;
  std::vector<std::string> refused_;
  std::map<std::uint32_t, std::vector<Route>> broken_;  // by user: what HAProxy does not take
  std::optional<io::TimerId> apply_timer_;
  std::optional<io::TimerId> start_timer_;
  std::optional<io::TimerId> settle_timer_;
  std::optional<io::TimerId> look_timer_;
  std::optional<io::TimerId> retry_timer_;
};

}  // namespace gangway::balancer
