// The real event loop: order of timers and posts, descriptors, children, signals.
#include "queues/io/asio_loop.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "queues/base/check.hpp"
#include "queues/base/fd.hpp"

namespace gangway::io {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    CHECK(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  Fd read;
  Fd write;
};

TEST(AsioLoop, PostsRunInTheirOrderAndInLaterTurns) {
  AsioLoop loop;
  std::vector<int> order;
  loop.post([&] {
    order.push_back(1);
    loop.post([&] {
      order.push_back(3);
      loop.stop();
    });
  });
  loop.post([&] { order.push_back(2); });
  EXPECT_TRUE(order.empty());
  loop.run();
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(AsioLoop, TimersFireByTimeThenByArming) {
  AsioLoop loop;
  std::vector<int> order;
  const BootTime start = loop.now().boot;
  loop.arm(start + milliseconds(3), [&] {
    order.push_back(3);
    loop.stop();
  });
  loop.arm(start + milliseconds(1), [&] { order.push_back(1); });
  loop.arm(start + milliseconds(1), [&] { order.push_back(2); });
  loop.run();
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(AsioLoop, TimerNeverFiresBeforeItsTime) {
  AsioLoop loop;
  const BootTime at = loop.now().boot + milliseconds(2);
  loop.arm(at, [&] {
    EXPECT_GE(loop.now().boot, at);
    loop.stop();
  });
  loop.run();
}

TEST(AsioLoop, TimerOfThePastFiresInALaterTurn) {
  AsioLoop loop;
  bool armed = false;
  loop.post([&] {
    loop.arm(BootTime{0}, [&] {
      EXPECT_TRUE(armed);
      loop.stop();
    });
    armed = true;
  });
  loop.run();
}

TEST(AsioLoop, CancelledTimerStaysSilentAlsoIfAlreadyDue) {
  AsioLoop loop;
  TimerId second;
  bool fired = false;
  loop.arm(BootTime{1}, [&] { loop.cancel(second); });
  second = loop.arm(BootTime{2}, [&] { fired = true; });
  loop.arm(loop.now().boot + milliseconds(1), [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(fired);
}

TEST(AsioLoop, NowStandsStillWithinATurn) {
  AsioLoop loop;
  loop.post([&] {
    const Now first = loop.now();
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(loop.now(), first);
    loop.stop();
  });
  loop.run();
}

TEST(AsioLoop, ReadableIsToldAgainUntilTheBytesAreRead) {
  AsioLoop loop;
  Pipe pipe;
  ASSERT_EQ(::write(pipe.write.get(), "ab", 2), 2);
  std::string seen;
  loop.watch_readable(pipe.read.get(), [&] {
    char byte = 0;
    if (::read(pipe.read.get(), &byte, 1) == 1) seen.push_back(byte);
    if (seen.size() == 2) loop.stop();
  });
  loop.run();
  EXPECT_EQ(seen, "ab");
}

TEST(AsioLoop, HangUpIsReadable) {
  AsioLoop loop;
  Pipe pipe;
  pipe.write.reset();
  loop.watch_readable(pipe.read.get(), [&] {
    char byte = 0;
    EXPECT_EQ(::read(pipe.read.get(), &byte, 1), 0);
    loop.stop();
  });
  loop.run();
}

TEST(AsioLoop, DescriptorIsLeftOpenAndCanBeWatchedAnew) {
  AsioLoop loop;
  Pipe pipe;
  ASSERT_EQ(::write(pipe.write.get(), "a", 1), 1);
  int calls = 0;
  WatchId watch{};
  watch = loop.watch_readable(pipe.read.get(), [&] {
    loop.unwatch(watch);
    ++calls;
    loop.watch_readable(pipe.read.get(), [&] {
      ++calls;
      loop.stop();
    });
  });
  loop.run();
  EXPECT_EQ(calls, 2);
  char byte = 0;
  EXPECT_EQ(::read(pipe.read.get(), &byte, 1), 1);
}

TEST(AsioLoop, UnwatchedDescriptorMayBeClosedAndItsNumberUsedAgain) {
  AsioLoop loop;
  auto first = std::make_unique<Pipe>();
  const int number = first->read.get();
  loop.unwatch(loop.watch_readable(number, [] { FAIL(); }));
  first.reset();
  Pipe second;
  ASSERT_EQ(second.read.get(), number);
  ASSERT_EQ(::write(second.write.get(), "a", 1), 1);
  loop.watch_readable(number, [&] { loop.stop(); });
  loop.run();
}

TEST(AsioLoop, BothDirectionsOfOneDescriptorAreWatchedSeparately) {
  AsioLoop loop;
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  const Fd here(ends[0]);
  const Fd there(ends[1]);
  bool written = false;
  loop.watch_readable(here.get(), [&] {
    EXPECT_TRUE(written);
    loop.stop();
  });
  WatchId writing{};
  writing = loop.watch_writable(here.get(), [&] {
    written = true;
    loop.unwatch(writing);
    ASSERT_EQ(::write(there.get(), "a", 1), 1);
  });
  loop.run();
}

TEST(AsioLoop, RegularFileIsAlwaysReady) {
  AsioLoop loop;
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  loop.watch_readable(file.get(), [&] { loop.stop(); });
  loop.run();
}

TEST(AsioLoop, ChildIsReapedWithItsStatus) {
  AsioLoop loop;
  const pid_t exits = ::fork();
  if (exits == 0) ::_exit(7);
  const pid_t killed = ::fork();
  if (killed == 0) {
    ::pause();
    ::_exit(0);
  }
  loop.watch_child(exits, [&](int status) {
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
    ::kill(killed, SIGTERM);
  });
  loop.watch_child(killed, [&](int status) {
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGTERM);
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(::waitpid(exits, nullptr, WNOHANG), -1);
  EXPECT_EQ(::waitpid(killed, nullptr, WNOHANG), -1);
}

TEST(AsioLoop, ChildIsReapedAlsoIfDescriptorsWereShortMeanwhile) {
  AsioLoop loop;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(7);
  rlimit all{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &all), 0);
  rlimit none = all;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  int ended = 0;
  loop.watch_child(child, [&](int status) {
    ended = WEXITSTATUS(status);
    loop.stop();
  });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &all), 0);
  loop.run();
  EXPECT_EQ(ended, 7);
}

TEST(AsioLoop, SignalArrivesAsATurn) {
  AsioLoop loop;
  int arrived = 0;
  loop.watch_signal(SIGUSR1, [&] {
    if (++arrived == 2) loop.stop();
    ::kill(::getpid(), SIGUSR1);
  });
  ::kill(::getpid(), SIGUSR1);
  loop.run();
  EXPECT_EQ(arrived, 2);
}

TEST(AsioLoop, RunsAgainAfterAStop) {
  AsioLoop loop;
  int runs = 0;
  for (int i = 0; i < 2; ++i) {
    loop.post([&] {
      ++runs;
      loop.stop();
    });
    loop.run();
  }
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace gangway::io
