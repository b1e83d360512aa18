// A world in one thread: virtual time, processes on hosts, a network between them.
//
// Events are ordered by time, then by the order in which they were made, so that a seed gives one
// history. The habit is that of FoundationDB's and TigerBeetle's simulators: the production code
// runs unchanged over these versions of its interfaces.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/rng.hpp"
#include "queues/base/time.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/io/transport.hpp"

namespace gangway::sim {

class World;

// A process: what dies at once. Whatever it had armed, posted or connected goes with it.
class Process final : public io::EventLoop {
 public:
  Process(World& world, std::string host, std::string name);
  ~Process() override;

  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] std::uint64_t id() const { return id_; }

  [[nodiscard]] Now now() const override;
  io::TimerId arm(BootTime at, std::function<void()> then) override;
  void cancel(io::TimerId id) override;
  void post(std::function<void()> then) override;
  io::WatchId watch_readable(int fd, std::function<void()> then) override;
  io::WatchId watch_writable(int fd, std::function<void()> then) override;
  void unwatch(io::WatchId id) override;
  void watch_child(pid_t pid, std::function<void(int)> then) override;
  void watch_signal(int signal_number, std::function<void()> then) override;
  void run() override {}
  void stop() override {}

 private:
  World& world_;
  std::string host_;
  std::string name_;
  std::uint64_t id_;
  std::uint64_t next_timer_ = 1;
  std::map<std::uint64_t, std::uint64_t> timers_;  // timer -> event
};

// How the network behaves. Per mille values are chances per frame.
struct NetworkFaults {
  Duration delay_min = microseconds(50);
  Duration delay_max = microseconds(400);
  int slow_per_mille = 0;  // a frame takes up to slow_max
  Duration slow_max = seconds(3);
  int break_per_mille = 0;           // the connection breaks; what is under way is lost
  int repeat_per_mille = 0;          // the frame arrives twice (as after a re-send)
  Duration dead_after = seconds(6);  // silence after which both ends give a connection up
};

class World {
 public:
  explicit World(std::uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] Now now() const { return now_; }
  Rng& rng() { return rng_; }
  NetworkFaults faults;

  // Runs the next event; false if there is none. `limit` is the end of the run.
  bool step(BootTime limit);
  // Called after every event: invariants.
  std::function<void()> after_each;

  // Schedules `then` for `owner` (0: the world itself, never dropped). Returns the event's number.
  std::uint64_t schedule(BootTime at, std::uint64_t owner, std::function<void()> then);
  void drop(std::uint64_t event);

  std::uint64_t enter(Process& process);  // gives it an id
  void leave(Process& process);           // drops its events, breaks its connections

  // Hosts that cannot hear each other: frames from `from` to `to` do not arrive.
  void cut(const std::string& from, const std::string& to, bool on);
  [[nodiscard]] bool is_cut(const std::string& from, const std::string& to) const;

  // A hash over everything that happened: equal for equal seeds.
  void note(std::string_view fact);
  [[nodiscard]] std::uint64_t history_hash() const { return hash_; }
  [[nodiscard]] std::uint64_t events_run() const { return events_run_; }
  bool trace = false;

  // The wall clock may jump; the boot clock does not.
  void jump_wall_clock(Duration by) { wall_offset_ = wall_offset_ + by; }

 private:
  struct Event {
    BootTime at;
    std::uint64_t number;
    friend bool operator>(const Event& a, const Event& b) {
      return a.at != b.at ? a.at > b.at : a.number > b.number;
    }
  };
  struct Body {
    std::uint64_t owner;
    std::function<void()> then;
  };
  Now now_;
  Duration wall_offset_;
  Rng rng_;
  std::uint64_t next_event_ = 1;
  std::uint64_t next_process_ = 1;
  std::uint64_t events_run_ = 0;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  std::map<std::uint64_t, Body> bodies_;
  std::set<std::uint64_t> alive_;
  std::set<std::pair<std::string, std::string>> cuts_;
  friend class Network;
  std::function<void(std::uint64_t)> on_leave_;
};

}  // namespace gangway::sim
