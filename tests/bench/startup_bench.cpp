// How long jsubmit takes from process start to exit, against /bin/true started the same way.
//
//   startup_bench [--rounds N] [--socket PATH] JSUBMIT [arguments ...]
//
// Both are started by posix_spawn from this process, in turns, so that what else the machine does
// meets them alike; the medians count. Without --socket the answers come from a thread of this
// process, which accepts everything at once: then the number is jsubmit's own time. With it they
// come from a real scheduler and contain its commit.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "tests/submit/fake_scheduler.hpp"

extern char** environ;

namespace {

using Words = std::vector<std::string>;

double run_once(const Words& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  timespec begin{};
  timespec end{};
  pid_t child = 0;
  int status = 0;
  ::clock_gettime(CLOCK_MONOTONIC, &begin);
  const int failed = ::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  if (failed == 0) ::waitpid(child, &status, 0);
  ::clock_gettime(CLOCK_MONOTONIC, &end);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0 || status != 0) {
    std::fprintf(stderr, "startup_bench: %s failed\n", argv[0]);
    std::exit(1);
  }
  return static_cast<double>(end.tv_sec - begin.tv_sec) * 1e3 +
         static_cast<double>(end.tv_nsec - begin.tv_nsec) / 1e6;
}

double quantile(std::vector<double> times, double q) {
  std::sort(times.begin(), times.end());
  return times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 500;
  std::string socket;
  int at = 1;
  for (; at + 1 < argc; at += 2) {
    if (std::strcmp(argv[at], "--rounds") == 0) {
      rounds = std::atoi(argv[at + 1]);
    } else if (std::strcmp(argv[at], "--socket") == 0) {
      socket = argv[at + 1];
    } else {
      break;
    }
  }
  if (at >= argc || rounds < 1) {
    std::fprintf(stderr, "usage: startup_bench [--rounds N] [--socket PATH] JSUBMIT [ARGS ...]\n");
    return 64;
  }
  Words words(argv + at, argv + argc);
  if (words.size() == 1) words.insert(words.end(), {"--", "/bin/true"});
  std::optional<gangway::submit::FakeScheduler> fake;
  if (socket.empty()) {
    std::uint64_t next = 0;
    fake.emplace([next](const gangway::wire::Request&) mutable {
      gangway::submit::FakeAnswer answer;
      answer.responses.emplace_back().mutable_submitted()->add_jobs(++next);
      return answer;
    });
    socket = fake->socket();
  }
  ::setenv("GANGWAY_SOCKET", socket.c_str(), 1);

  std::vector<double> base;
  std::vector<double> ours;
  for (int i = 0; i < rounds + 10; ++i) {
    const double t = run_once({"/bin/true"});
    const double j = run_once(words);
    if (i < 10) continue;  // caches are warm from here on
    base.push_back(t);
    ours.push_back(j);
  }
  std::printf("/bin/true  median %.3f ms, p90 %.3f ms\n", quantile(base, 0.5), quantile(base, 0.9));
  std::printf("jsubmit    median %.3f ms, p90 %.3f ms\n", quantile(ours, 0.5), quantile(ours, 0.9));
  std::printf("ratio of the medians %.2f (%d rounds)\n", quantile(ours, 0.5) / quantile(base, 0.5),
              rounds);
  return 0;
}
