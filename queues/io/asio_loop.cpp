#include "queues/io/asio_loop.hpp"

#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <map>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "queues/base/check.hpp"
#include "queues/base/fd.hpp"

namespace gangway::io {

namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

// What waitpid() would have said.
int wait_status_of(const siginfo_t& end) {
  switch (end.si_code) {
    case CLD_EXITED:
      return (end.si_status & 0xff) << 8;
    case CLD_DUMPED:
      return end.si_status | 0x80;
    default:
      return end.si_status;
  }
}

// A descriptor is registered with the reactor once, whatever is watched on it. Waits under way know
// it weakly: they complete, as aborted, after the last watch is gone.
struct Registration {
  Registration(asio::io_context& io, int fd) : descriptor(io) {
    boost::system::error_code failed;
    descriptor.assign(fd, failed);
    CHECK(!failed);
  }
  // The descriptor is the caller's: it is never closed here.
  ~Registration() {
    if (descriptor.is_open()) descriptor.release();
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  struct Side {
    WatchId id;  // 0: not watched
    std::function<void()> then;
    bool pending = false;  // a wait is under way
  };
  Descriptor descriptor;
  Side read;
  Side write;
};

}  // namespace

struct AsioLoop::Impl {
  using TimerKey =
      std::pair<std::int64_t, std::uint64_t>;  // when, id: equal times in order of arming
  struct WatchPlace {
    int fd = -1;
    bool write = false;
  };

  Impl() : timer_fd(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)) {
    if (!timer_fd) throw std::system_error(errno, std::system_category(), "timerfd_create");
  }

  template <typename Then>
  void turn(const Then& then) {
    turn_now = clock.now();
    in_turn = true;
    then();
    in_turn = false;
  }

  WatchId watch(int fd, bool write, std::function<void()> then) {
    std::shared_ptr<Registration>& registration = registrations[fd];
    if (registration == nullptr) registration = std::make_shared<Registration>(io, fd);
    Registration::Side& side = write ? registration->write : registration->read;
    CHECK(side.id.value == 0);
    side.id = WatchId{++last_watch};
    side.then = std::move(then);
    places[side.id] = WatchPlace{fd, write};
    wait(registration, write);
    return side.id;
  }

  void wait(const std::shared_ptr<Registration>& registration, bool write) {
    Registration::Side& side = write ? registration->write : registration->read;
    if (side.pending) return;
    side.pending = true;
    registration->descriptor.async_wait(
        write ? Descriptor::wait_write : Descriptor::wait_read,
        [this, known = std::weak_ptr(registration),
         write](const boost::system::error_code& failed) {
          const std::shared_ptr<Registration> here = known.lock();
          if (here == nullptr) return;
          Registration::Side& ready = write ? here->write : here->read;
          ready.pending = false;
          if (failed == asio::error::operation_aborted || ready.id.value == 0) return;
          // Any other failure counts as ready: the caller's read or write meets it.
          turn(std::function<void()>(ready.then));  // a copy: the callback may unwatch itself
          // The callback may have dropped the whole registration and even made a new one.
          if (here->descriptor.is_open() && ready.id.value != 0) wait(here, write);
        });
  }

  void unwatch(WatchId id) {
    const auto place = places.find(id);
    if (place == places.end()) return;
    const auto found = registrations.find(place->second.fd);
    CHECK(found != registrations.end());
    Registration& registration = *found->second;
    Registration::Side& side = place->second.write ? registration.write : registration.read;
    side.id = WatchId{};
    side.then = nullptr;
    places.erase(place);
    if (registration.read.id.value == 0 && registration.write.id.value == 0) {
      registration.descriptor.release();
      registrations.erase(found);
    }
  }

  void program_timer() {
    if (timers.empty()) return;  // at worst one idle wake-up
    const std::int64_t at = std::max<std::int64_t>(timers.begin()->first.first, 1);
    if (programmed == at) return;
    programmed = at;
    itimerspec when{};
    when.it_value.tv_sec = at / 1'000'000'000;
    when.it_value.tv_nsec = at % 1'000'000'000;
    CHECK(::timerfd_settime(timer_fd.get(), TFD_TIMER_ABSTIME, &when, nullptr) == 0);
  }

  void fire_timers() {
    std::uint64_t expirations = 0;
    if (::read(timer_fd.get(), &expirations, sizeof expirations) < 0) {
      CHECK(errno == EAGAIN || errno == EINTR || errno == ECANCELED);
    }
    programmed = 0;
    const BootTime boot = clock.now().boot;
    // Those due now and no others: one that its own callback arms for the past waits for the next
    // round, so that descriptors get their turn.
    std::vector<TimerKey> due;
    for (const auto& [key, then] : timers) {
      if (key.first > boot.ns) break;
      due.push_back(key);
    }
    for (const TimerKey& key : due) {
      auto node = timers.extract(key);
      if (node.empty()) continue;  // cancelled by one before it
      timer_times.erase(key.second);
      turn(node.mapped());
      if (io.stopped()) break;
    }
    program_timer();
  }

  SystemClock clock;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  Now turn_now;
  bool in_turn = false;

  Fd timer_fd;
  std::int64_t programmed = 0;  // what the timerfd waits for; 0: nothing
  std::map<TimerKey, std::function<void()>> timers;
  std::map<std::uint64_t, std::int64_t> timer_times;
  std::uint64_t last_timer = 0;

  std::map<int, std::shared_ptr<Registration>> registrations;
  std::map<WatchId, WatchPlace> places;
  std::uint64_t last_watch = 0;

  struct Child {
    Fd pidfd;
    WatchId watch;
    std::function<void(int)> then;
  };
  std::map<pid_t, Child> children;
  std::vector<Fd> signal_fds;
};

AsioLoop::AsioLoop() : impl_(std::make_unique<Impl>()) {
  impl_->watch(impl_->timer_fd.get(), false, [this] { impl_->fire_timers(); });
}

AsioLoop::~AsioLoop() {
  // Descriptors leave the reactor while it still stands.
  impl_->registrations.clear();
}

Now AsioLoop::now() const { return impl_->in_turn ? impl_->turn_now : impl_->clock.now(); }

TimerId AsioLoop::arm(BootTime at, std::function<void()> then) {
  const std::uint64_t id = ++impl_->last_timer;
  impl_->timers.emplace(Impl::TimerKey{at.ns, id}, std::move(then));
  impl_->timer_times.emplace(id, at.ns);
  impl_->program_timer();
  return TimerId{id};
}

void AsioLoop::cancel(TimerId id) {
  const auto found = impl_->timer_times.find(id.value);
  if (found == impl_->timer_times.end()) return;
  impl_->timers.erase(Impl::TimerKey{found->second, id.value});
  impl_->timer_times.erase(found);
}

void AsioLoop::post(std::function<void()> then) {
  asio::post(impl_->io, [this, then = std::move(then)] { impl_->turn(then); });
}

WatchId AsioLoop::watch_readable(int fd, std::function<void()> then) {
  return impl_->watch(fd, false, std::move(then));
}

WatchId AsioLoop::watch_writable(int fd, std::function<void()> then) {
  return impl_->watch(fd, true, std::move(then));
}

void AsioLoop::unwatch(WatchId id) { impl_->unwatch(id); }

void AsioLoop::watch_child(pid_t pid, std::function<void(int wait_status)> then) {
  Impl::Child child;
  // By number: <sys/pidfd.h> of glibc 2.36 declares pidfd_open with C++ linkage.
  child.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd) {
    // Its end is not lost meanwhile: nobody else reaps it.
    CHECK(errno == EMFILE || errno == ENFILE || errno == ENOMEM);
    constexpr Duration kTryAgainAfter = milliseconds(200);
    (void)arm(now().boot + kTryAgainAfter,
              [this, pid, then = std::move(then)] { watch_child(pid, then); });
    return;
  }
  child.then = std::move(then);
  child.watch = watch_readable(child.pidfd.get(), [this, pid] {
    const auto found = impl_->children.find(pid);
    siginfo_t end{};
    const int waited =
        ::waitid(P_PIDFD, static_cast<id_t>(found->second.pidfd.get()), &end, WEXITED | WNOHANG);
    if (waited < 0 && errno == EINTR) return;
    CHECK(waited == 0);           // somebody else has reaped it
    if (end.si_pid == 0) return;  // woken too early
    impl_->unwatch(found->second.watch);
    const auto ended = impl_->children.extract(found);
    ended.mapped().then(wait_status_of(end));
  });
  impl_->children.emplace(pid, std::move(child));
}

void AsioLoop::watch_signal(int signal_number, std::function<void()> then) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  CHECK(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  impl_->signal_fds.emplace_back(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  const int fd = impl_->signal_fds.back().get();
  CHECK(fd >= 0);
  impl_->watch(fd, false, [fd, then = std::move(then)] {
    signalfd_siginfo arrived;
    if (::read(fd, &arrived, sizeof arrived) == sizeof arrived) then();
  });
}

void AsioLoop::run() {
  impl_->io.restart();
  impl_->io.run();
}

void AsioLoop::stop() { impl_->io.stop(); }

}  // namespace gangway::io
