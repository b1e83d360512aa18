#include "scheduler/balancer/balancer.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "queues/base/check.hpp"
#include "queues/base/log.hpp"
#include "queues/base/process.hpp"
#include "queues/base/text.hpp"

namespace gangway::balancer {

namespace {

constexpr Duration kTogether = milliseconds(5);
constexpr Duration kSettleEvery = milliseconds(20);
constexpr Duration kSettleLimit = seconds(10);
constexpr Duration kLookEvery = milliseconds(50);
constexpr Duration kLookSeldom = seconds(1);
constexpr Duration kReloadEvery = seconds(1);
constexpr Duration kRetryEvery = seconds(10);
constexpr Duration kFirstPause = milliseconds(100);
constexpr Duration kLongestPause = seconds(10);
// A HAProxy that ran so long did not end because of how it was started.
constexpr Duration kRanWell = seconds(30);
constexpr int kQuietLooks = 2;

// A socket belongs to the namespace that its maker was in.
Fd socket_in(const std::string& network, int family) {
  if (network.empty()) return Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  const Fd there(::open(cat("/run/netns/", network).c_str(), O_RDONLY | O_CLOEXEC));
  if (!home || !there || ::setns(there.get(), CLONE_NEWNET) != 0) return Fd();
  Fd made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Staying there would mean to reach no node any more.
  CHECK(::setns(home.get(), CLONE_NEWNET) == 0);
  return made;
}

}  // namespace

Balancer::Balancer(io::EventLoop& loop,
                   Haproxy& haproxy,
                   config::BalancerConfig settings,
                   HaproxySettings for_file,
                   Confirm confirm)
    : loop_(loop),
      haproxy_(haproxy),
      settings_(std::move(settings)),
      for_file_(std::move(for_file)),
      confirm_(std::move(confirm)),
      pause_(kFirstPause) {}

Balancer::~Balancer() {
  for (const auto& timer : {start_timer_, settle_timer_, look_timer_, retry_timer_, apply_timer_}) {
    if (timer) loop_.cancel(*timer);
  }
  if (master_watch_) loop_.unwatch(*master_watch_);
}

void Balancer::start() {
  settle_until_ = loop_.now().boot + kSettleLimit;
  take_over();
}

// One that lives is waited for, even if it answers late: two would share the ports, and the one
// that nobody tells anything would serve what was yesterday.
void Balancer::take_over() {
  if (const auto running = haproxy_.processes(); running && running->worker) {
    worker_ = running->worker;
    watch(running->master);
    if (!master_) return launch();
    log_info("haproxy_taken_over", {{"pid", cat(running->master)}});
    state_ = State::Serving;
    if (wanted_) advance();
    return;
  } else if (running || running.error().kind() != ErrorKind::NotFound) {
    state_ = State::Settling;
    if (loop_.now().boot < settle_until_) {
      return arm(settle_timer_, kSettleEvery, &Balancer::take_over);
    }
    log_error("haproxy_does_not_answer",
              {{"why", running ? "it has no worker" : running.error().message()}});
    haproxy_.end_master();
  }
  state_ = State::Down;
  if (::access(haproxy_.config_file().c_str(), R_OK) == 0) {
    launch();
  } else {
    advance();
  }
}

void Balancer::set_routes(std::uint64_t version, std::vector<Route> routes) {
  const std::uint64_t serial = wanted_ ? wanted_->number.serial + 1 : 1;
  wanted_ = Wanted{{version, serial}, std::move(routes)};
  note_drains();
  // Those that come together are one change: only the newest counts.
  if (!apply_timer_) arm(apply_timer_, kTogether, &Balancer::advance);
}

void Balancer::confirm_all() {
  std::vector<std::uint64_t> drained;
  for (const auto& [replica, drain] : drains_) {
    if (drain.done) drained.push_back(replica);
  }
  confirm_(in_force_.version, drained);
}

void Balancer::advance() {
  if (!wanted_ || state_ == State::Settling) return;
  if (state_ == State::Serving) return apply();
  if (start_timer_) return;  // it ended a moment ago, and is started with the newest
  const Table table = make();
  if (!table.listeners.empty()) return launch();
  // Nobody is to be served: no process for that.
  settling_ = wanted_->number;
  now_in_force(table);
}

Machine Balancer::machine() {
  Machine machine;
  machine.can_listen = [this](const ListenAddress& where) { return can_listen(where); };
  machine.is_certificate = [this](const std::string& file) {
    return haproxy_.is_certificate(file);
  };
  return machine;
}

// Of whom HAProxy takes the routes. Whoever changes theirs is tried again.
std::vector<Route> Balancer::served() {
  std::erase_if(broken_, [this](const auto& one) { return shape_of(one.first) != one.second; });
  std::vector<Route> routes = wanted_->routes;
  std::erase_if(routes, [this](const Route& route) { return broken_.contains(route.uid); });
  return routes;
}

// A user's routes without what comes and goes.
std::vector<Route> Balancer::shape_of(std::uint32_t uid) const {
  std::vector<Route> routes;
  for (const Route& route : wanted_->routes) {
    if (route.uid == uid) routes.emplace_back(route).backends.clear();
  }
  return routes;
}

// The file, without those whose routes HAProxy refuses: nobody else is to miss a change for them.
Result<void> Balancer::write(Table& table) {
  Result<void> written = haproxy_.write_config(render_haproxy(table, for_file_));
  if (written || written.error().kind() != ErrorKind::Invalid) return written;
  std::set<std::uint32_t> users;
  for (const Route& route : served()) users.insert(route.uid);
  bool found = false;
  for (const std::uint32_t uid : users) {
    std::vector<Route> own = shape_of(uid);
    const auto alone = haproxy_.check_config(
        render_haproxy(make_table(own, settings_, machine()).table, for_file_));
    if (alone || alone.error().kind() != ErrorKind::Invalid) continue;
    log_error("routes_left_out", {{"user", own.front().user}, {"why", alone.error().message()}});
    broken_.emplace(uid, std::move(own));
    found = true;
  }
  if (!found) return written;
  table = make();
  return haproxy_.write_config(render_haproxy(table, for_file_));
}

// The table of what is wanted, as far as this machine allows.
Table Balancer::make() {
  MadeTable made = make_table(served(), settings_, machine());
  for (const auto& [uid, routes] : broken_) {
    made.refused.push_back(
        cat("endpoints of ", routes.front().user, ": HAProxy does not take a file with them"));
  }
  if (made.refused != refused_) {
    for (const std::string& line : made.refused) log_warning("not_served", {{"what", line}});
    refused_ = std::move(made.refused);
  }
  if (!refused_.empty()) arm(retry_timer_, kRetryEvery, &Balancer::advance);
  return std::move(made.table);
}

// HAProxy's own listeners share their ports with whoever of the same user says so; so does this
// question. One port that somebody else has would keep it from reading the whole file.
bool Balancer::can_listen(const ListenAddress& where) const {
  sockaddr_storage storage{};
  socklen_t length = 0;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, where.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(where.port));
    length = sizeof *v4;
  } else if (::inet_pton(AF_INET6, where.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(where.port));
    length = sizeof *v6;
  } else {
    return false;
  }
  const Fd fd = socket_in(where.network, storage.ss_family);
  const int one = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0;
}

void Balancer::apply() {
  const Table table = make();
  if (live_ && obey(table)) return now_in_force(table);
  reload(table);
}

// By the runtime interface; false: it cannot be done so, or HAProxy did not do it.
bool Balancer::obey(const Table& table) {
  const Change change = live_->plan(table);
  if (change.reload) return false;
  for (const std::string& command : change.commands) {
    const auto answer = haproxy_.tell(*worker_, command);
    if (answer && is_success(command, *answer)) continue;
    log_warning("haproxy_command_failed",
                {{"command", command},
                 {"answer", answer ? std::string(trim(*answer)) : answer.error().message()}});
    return false;
  }
  live_->obeyed(table);
  settling_ = wanted_->number;
  in_file_ = table;
  // For the HAProxy that comes after this one.
  if (change.commands.empty()) return true;
  if (const auto written = haproxy_.write_config(render_haproxy(table, for_file_)); !written) {
    log_error("haproxy_config_refused", {{"why", written.error().message()}});
  }
  return true;
}

void Balancer::reload(Table table) {
  // Each leaves a worker behind: what changes faster is taken together.
  const BootTime soonest = reloaded_ + kReloadEvery;
  if (loop_.now().boot < soonest) {
    if (!apply_timer_) arm(apply_timer_, soonest - loop_.now().boot, &Balancer::advance);
    return;
  }
  reloaded_ = loop_.now().boot;
  live_.reset();
  const auto written = write(table);
  const auto told = written ? haproxy_.reload() : written;
  if (!told) {
    log_error("haproxy_reload_failed", {{"why", told.error().message()}});
    return arm(retry_timer_, kRetryEvery, &Balancer::advance);
  }
  in_file_ = std::move(table);
  settling_ = wanted_->number;
  state_ = State::Settling;
  settle_until_ = loop_.now().boot + kSettleLimit;
  arm(settle_timer_, kSettleEvery, &Balancer::settle);
}

void Balancer::launch() {
  live_.reset();
  worker_.reset();
  if (wanted_) {
    Table table = make();
    if (const auto written = write(table); written) {
      in_file_ = std::move(table);
      settling_ = wanted_->number;
    } else {
      log_error("haproxy_config_refused", {{"why", written.error().message()}});
    }
  }
  launched_ = loop_.now().boot;
  const Result<pid_t> pid = haproxy_.start();
  if (!pid) {
    log_error("haproxy_not_started", {{"why", pid.error().message()}});
    return on_end();
  }
  log_info("haproxy_started", {{"pid", cat(*pid)}});
  watch(*pid);
  state_ = State::Settling;
  settle_until_ = launched_ + kSettleLimit;
  arm(settle_timer_, kSettleEvery, &Balancer::settle);
}

void Balancer::watch(pid_t master) {
  Result<Fd> process = open_process(master);
  if (!process) return;
  master_ = *std::move(process);
  master_watch_ = loop_.watch_readable(master_.get(), [this, master] {
    // Ours perhaps; one that was taken over is init's.
    ::waitpid(master, nullptr, WNOHANG);
    log_warning("haproxy_ended", {{"pid", cat(master)}});
    on_end();
  });
}

void Balancer::on_end() {
  if (master_watch_) loop_.unwatch(*master_watch_);
  master_watch_.reset();
  master_.reset();
  if (settle_timer_) loop_.cancel(*settle_timer_);
  settle_timer_.reset();
  live_.reset();
  worker_.reset();
  state_ = State::Down;
  if (loop_.now().boot - launched_ > kRanWell) pause_ = kFirstPause;
  arm(start_timer_, pause_, &Balancer::launch);
  pause_ = std::min(pause_ * 2, kLongestPause);
}

// Until the worker that has read the file answers.
void Balancer::settle() {
  settle_timer_.reset();
  const auto running = haproxy_.processes();
  if (running && running->worker && running->worker != worker_) {
    worker_ = running->worker;
    state_ = State::Serving;
    if (in_file_) {
      live_.emplace(*in_file_);
      now_in_force(*in_file_);
    }
    if (wanted_ && (!in_file_ || wanted_->number != in_force_)) advance();
    return;
  }
  if (loop_.now().boot < settle_until_) return arm(settle_timer_, kSettleEvery, &Balancer::settle);
  log_error("haproxy_does_not_settle",
            {{"why", running ? "no new worker" : running.error().message()}});
  // The old worker goes on; without one there is nothing to lose by the next try either.
  state_ = State::Serving;
  arm(retry_timer_, kRetryEvery, &Balancer::advance);
}

void Balancer::now_in_force(const Table& table) {
  if (in_force_ == settling_) return;  // looked at again, because of what was refused
  in_force_ = settling_;
  log_info("routes_in_force", {{"version", cat(in_force_.version)},
                               {"listeners", cat(table.listeners.size())},
                               {"pools", cat(table.pools.size())}});
  confirm_all();
  if (!look_timer_) arm(look_timer_, Duration{}, &Balancer::look);
}

// Who drains according to the newest routes; the time begins when that is first heard.
void Balancer::note_drains() {
  std::set<std::uint64_t> draining;
  for (const Route& route : wanted_->routes) {
    for (const Backend& backend : route.backends) {
      if (backend.drain) draining.insert(backend.replica);
    }
  }
  std::erase_if(drains_, [&](const auto& one) { return !draining.contains(one.first); });
  for (const std::uint64_t replica : draining) {
    drains_.try_emplace(replica, Drain{.until = loop_.now().boot + settings_.drain});
  }
  if (!drains_.empty() && !look_timer_) arm(look_timer_, kLookEvery, &Balancer::look);
}

void Balancer::look() {
  look_timer_.reset();
  look_at_drains();
  if (state_ == State::Serving && live_) remove_leaving();
  const bool drains = std::ranges::any_of(drains_, [](const auto& d) { return !d.second.done; });
  const bool leaves = live_ && !live_->leaving().empty();
  if (drains || leaves) {
    arm(look_timer_, drains ? kLookEvery : kLookSeldom, &Balancer::look);
  }
}

// In all workers together. nullopt: it cannot be said now.
std::optional<std::map<std::uint64_t, std::int64_t>> Balancer::count_in_flight() {
  std::map<std::uint64_t, std::int64_t> counts;
  if (state_ == State::Down) return start_timer_ ? std::nullopt : std::optional(counts);
  if (state_ != State::Serving || !live_) return std::nullopt;
  const auto running = haproxy_.processes();
  if (!running || !running->worker) return std::nullopt;
  std::vector<pid_t> workers = running->old_workers;
  workers.push_back(*running->worker);
  for (const pid_t worker : workers) {
    const auto answer = haproxy_.tell(worker, "show stat -1 4 -1");
    if (!answer) return std::nullopt;
    for (const auto& [replica, count] : parse_in_flight(*answer)) counts[replica] += count;
  }
  return counts;
}

void Balancer::look_at_drains() {
  // Only what is in force is drained: before that, new requests may still come.
  std::optional<std::map<std::uint64_t, std::int64_t>> in_flight;
  if (wanted_ && in_force_ == wanted_->number) in_flight = count_in_flight();
  bool news = false;
  for (auto& [replica, drain] : drains_) {
    if (drain.done) continue;
    if (in_flight) drain.quiet_looks = (*in_flight)[replica] == 0 ? drain.quiet_looks + 1 : 0;
    const bool late = loop_.now().boot >= drain.until;
    if (drain.quiet_looks < kQuietLooks && !late) continue;
    drain.done = true;
    news = true;
    if (drain.quiet_looks < kQuietLooks) {
      log_warning("drain_given_up", {{"replica", cat(replica)}});
    }
  }
  if (news) confirm_all();
}

void Balancer::remove_leaving() {
  for (const std::string& server : std::set<std::string>(live_->leaving())) {
    const std::string command = cat("del server ", server);
    const auto answer = haproxy_.tell(*worker_, command);
    if (answer && is_success(command, *answer)) live_->deleted(server);
  }
}

void Balancer::arm(std::optional<io::TimerId>& timer, Duration after, void (Balancer::*then)()) {
  if (timer) loop_.cancel(*timer);
  timer = loop_.arm(loop_.now().boot + after, [this, &timer, then] {
    timer.reset();
    (this->*then)();
  });
}

}  // namespace gangway::balancer
