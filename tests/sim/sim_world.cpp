#include "tests/sim/sim_world.hpp"

#include <cstdio>

#include "queues/base/check.hpp"

namespace gangway::sim {

Process::Process(World& world, std::string host, std::string name)
    : world_(world), host_(std::move(host)), name_(std::move(name)), id_(world.enter(*this)) {}

Process::~Process() { world_.leave(*this); }

Now Process::now() const { return world_.now(); }

io::TimerId Process::arm(BootTime at, std::function<void()> then) {
  const std::uint64_t timer = next_timer_++;
  const BootTime when = at < world_.now().boot ? world_.now().boot : at;
  timers_[timer] = world_.schedule(when, id_, [this, timer, then = std::move(then)] {
    timers_.erase(timer);
    then();
  });
  return {timer};
}

void Process::cancel(io::TimerId id) {
  const auto found = timers_.find(id.value);
  if (found == timers_.end()) return;
  world_.drop(found->second);
  timers_.erase(found);
}

void Process::post(std::function<void()> then) {
  world_.schedule(world_.now().boot, id_, std::move(then));
}

// Simulated processes have no descriptors, children or signals.
io::WatchId Process::watch_readable(int, std::function<void()>) { CHECK(false); }
io::WatchId Process::watch_writable(int, std::function<void()>) { CHECK(false); }
void Process::unwatch(io::WatchId) { CHECK(false); }
void Process::watch_child(pid_t, std::function<void(int)>) { CHECK(false); }
void Process::watch_signal(int, std::function<void()>) { CHECK(false); }

World::World(std::uint64_t seed) : rng_(seed) {
  now_.wall = Time{1'800'000'000LL * 1'000'000'000LL};
  now_.boot = BootTime{3'600LL * 1'000'000'000LL};
}

std::uint64_t World::schedule(BootTime at, std::uint64_t owner, std::function<void()> then) {
  const std::uint64_t number = next_event_++;
  bodies_.emplace(number, Body{owner, std::move(then)});
  queue_.push({at, number});
  return number;
}

void World::drop(std::uint64_t event) { bodies_.erase(event); }

bool World::step(BootTime limit) {
  while (!queue_.empty()) {
    const Event next = queue_.top();
    const auto body = bodies_.find(next.number);
    if (body == bodies_.end() ||
        (body->second.owner != 0 && !alive_.contains(body->second.owner))) {
      if (body != bodies_.end()) bodies_.erase(body);
      queue_.pop();
      continue;
    }
    if (next.at > limit) return false;
    queue_.pop();
    const std::int64_t passed = next.at.ns - now_.boot.ns;
    now_.boot = next.at;
    now_.wall = now_.wall + Duration{passed} + wall_offset_;
    wall_offset_ = {};
    const auto then = std::move(body->second.then);
    bodies_.erase(body);
    ++events_run_;
    hash_ = (hash_ ^ static_cast<std::uint64_t>(next.at.ns)) * 0x100000001b3ULL;
    then();
    if (after_each) after_each();
    return true;
  }
  return false;
}

std::uint64_t World::enter(Process&) {
  const std::uint64_t id = next_process_++;
  alive_.insert(id);
  return id;
}

void World::leave(Process& process) {
  alive_.erase(process.id());
  if (on_leave_) on_leave_(process.id());
}

void World::cut(const std::string& from, const std::string& to, bool on) {
  if (on) {
    cuts_.insert({from, to});
  } else {
    cuts_.erase({from, to});
  }
}

bool World::is_cut(const std::string& from, const std::string& to) const {
  return from != to && cuts_.contains({from, to});
}

void World::note(std::string_view fact) {
  for (const char c : fact) {
    hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  if (trace) {
    std::fprintf(stderr, "%12.6f  %.*s\n", static_cast<double>(now_.boot.ns) / 1e9,
                 static_cast<int>(fact.size()), fact.data());
  }
}

}  // namespace gangway::sim
