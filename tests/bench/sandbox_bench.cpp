// How long a sandbox takes from its request to its end, with /bin/true in it: ours, and a bare
// launcher that performs the same list of operations and nothing else, in turns in one process.
//
//   sandbox_bench [--rounds N] [--groups] [--network] LAYOUT DIGEST STORE [COMMAND ...]
//
// The image is in the store already (jimage import). This is a small static program as the shepherd
// is: what a process costs depends on its size.
//
// Prints the operations (as `jshepherd --dry-run` does), then medians and quantiles. What is not in
// the list is what ours adds: the sandbox's init that outlives the program and reports its end, the
// output opened with the user's rights, the check of the user's access to the image, and with
// --groups control groups. COMMAND is another launcher ("bwrap ... /bin/true"), measured in the
// same turns. Requires: root, and a static /bin/true in the image or one with its libraries.
#include <fcntl.h>
#include <linux/sched.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "containers/image_store.hpp"
#include "containers/namespaces.hpp"
#include "containers/sandbox_plan.hpp"
#include "containers/sandbox_run.hpp"
#include "containers/sandbox_runtime.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/poll_reactor.hpp"

extern char** environ;

namespace gangway::containers {
namespace {

constexpr uid_t kUser = 12345;

struct Options {
  int rounds = 200;
  bool groups = false;
  bool network = false;
  std::string image;
  std::string digest;
  std::string store;
  std::vector<std::string> other;
};

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "sandbox_bench: %s\n", why.c_str());
  std::exit(1);
}

template <typename T>
T need(Result<T> result) {
  if (!result) die(result.error().message());
  return *std::move(result);
}

double milliseconds_of(const auto& work) {
  timespec begin{};
  timespec end{};
  clock_gettime(CLOCK_MONOTONIC, &begin);
  work();
  clock_gettime(CLOCK_MONOTONIC, &end);
  return static_cast<double>(end.tv_sec - begin.tv_sec) * 1e3 +
         static_cast<double>(end.tv_nsec - begin.tv_nsec) / 1e6;
}

SandboxRequest make_request(const Options& options, int round) {
  SandboxRequest request;
  request.name = cat("bench-", getpid(), "-", round);
  request.directory = cat(options.store, "/bench-", round);
  request.image = ImageSource{ImageSourceKind::OciLayout, options.image, options.digest};
  request.user = {
      .uid = kUser, .gid = kUser, .groups = {}, .name = "bench", .home = "/", .shell = {}};
  request.hostname = "node";
  request.workdir = "/";
  request.private_network = options.network;
  request.outputs = {{.path = "/dev/null", .truncate = false}};  // as every job has
  return request;
}

// Ours, from prepare() to the answer of cleanup().
void run_ours(const Options& options, const SandboxRequest& request) {
  mkdir(request.directory.c_str(), 0700);
  PollReactor reactor;
  SandboxSettings settings;
  settings.image_helper = cat(GANGWAY_BINARY_DIR, "/bin/jimage-unpack");
  settings.image_store = options.store;
  settings.cgroup_parent = options.groups ? "gangway-bench" : "";
  SandboxRuntime runtime(reactor, settings);
  bool over = false;
  std::string why;
  const auto clean = [&] { runtime.cleanup([&](const SandboxUsage&) { over = true; }); };
  runtime.prepare(request, [&](const Result<SandboxReady>& ready) {
    if (!ready) {
      why = ready.error().message();
      return clean();
    }
    ProgramRequest program;
    program.argv = {"/bin/true"};
    program.workdir = "/";
    program.out = {.path = "/dev/null", .truncate = false};
    runtime.start({program}, [&](const ProgramEnd& end) {
      if (!end.started || end.wait_status != 0) why = cat("/bin/true: ", end.message);
      clean();
    });
  });
  if (!reactor.run_until([&] { return over; })) die("no end");
  if (!why.empty()) die(why);
}

// The list and nothing else.
void run_bare(const SandboxPlan& plan, const IdMaps& maps, int tree, int owners, bool network) {
  std::vector<Fd> slots;
  slots.push_back(need(clone_tree(tree, owners)));
  const std::uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                              CLONE_NEWUSER | (network ? CLONE_NEWNET : 0);
  HeldChild child = need(spawn_held(flags, [&]() -> int {
    if (!perform_plan(plan, std::move(slots))) return 126;
    char name[] = "/bin/true";
    char* const argv[] = {name, nullptr};
    execv(name, argv);
    return 127;
  }));
  if (auto mapped = child.write_maps(maps); !mapped) die(mapped.error().message());
  child.release();
  if (reap(child.pid()) != 0) die("the bare launcher failed");
}

void run_other(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  int status = 0;
  if (posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) die(words[0]);
  waitpid(pid, &status, 0);
  if (status != 0) die(cat(words[0], " failed"));
}

void print(const char* name, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double q) {
    return times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))];
  };
  std::printf("%-14s min %.2f  median %.2f  p90 %.2f ms\n", name, times.front(), at(0.5), at(0.9));
}

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

int run(const Options& options) {
  const ImageStore store = need(ImageStore::open(options.store));
  const std::optional<ImageReport> stored =
      store.find({need(Digest::parse(options.digest)), false});
  if (!stored) die("the image is not in the store");
  const ImageReport& report = *stored;
  const Fd tree(open(report.tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const Fd owners =
      need(make_user_namespace({.uids = {{.inside = report.owner_uid, .outside = kUser}},
                                .gids = {{.inside = report.owner_gid, .outside = kUser}}}));
  NodeFacts facts;
  facts.tree_by_slot = true;
  facts.check_access = true;
  facts.devices = SandboxSettings{}.devices;
  const SandboxPlan plan = need(make_sandbox_plan(make_request(options, 0), facts));
  std::fputs(render_plan(plan).c_str(), stdout);
  const IdMaps maps = identity_maps(kUser, kUser, {}, /*privileged=*/true);

  std::vector<double> ours;
  std::vector<double> bare;
  std::vector<double> other;
  constexpr int kWarm = 5;
  for (int i = 0; i < options.rounds + kWarm; ++i) {
    const SandboxRequest request = make_request(options, i);
    const double a = milliseconds_of([&] { run_ours(options, request); });
    const double b =
        milliseconds_of([&] { run_bare(plan, maps, tree.get(), owners.get(), options.network); });
    const double c = options.other.empty() ? 0 : milliseconds_of([&] { run_other(options.other); });
    if (i < kWarm) continue;
    ours.push_back(a);
    bare.push_back(b);
    other.push_back(c);
  }
  std::printf("%zu operations, %d rounds\n", plan.ops.size(), options.rounds);
  print("sandbox", ours);
  print("bare launcher", bare);
  std::printf("ratio of the medians %.2f\n", median(ours) / median(bare));
  if (options.other.empty()) return 0;
  print(options.other[0].c_str(), other);
  std::printf("sandbox to %s %.2f\n", options.other[0].c_str(), median(ours) / median(other));
  return 0;
}

}  // namespace
}  // namespace gangway::containers

int main(int argc, char** argv) {
  using namespace gangway::containers;
  std::setlocale(LC_CTYPE, "C.UTF-8");
  Options options;
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; ++at) {
    const std::string word = argv[at];
    if (word == "--groups") {
      options.groups = true;
    } else if (word == "--network") {
      options.network = true;
    } else if (word == "--rounds" && at + 1 < argc) {
      options.rounds = std::max(1, gangway::parse_integer<int>(argv[++at]).value_or(1));
    }
  }
  if (at + 3 > argc) {
    std::fputs(
        "usage: sandbox_bench [--rounds N] [--groups] [--network] LAYOUT DIGEST STORE "
        "[COMMAND ...]\n",
        stderr);
    return 64;
  }
  options.image = argv[at];
  options.digest = argv[at + 1];
  options.store = argv[at + 2];
  for (int i = at + 3; i < argc; ++i) options.other.emplace_back(argv[i]);
  return run(options);
}
