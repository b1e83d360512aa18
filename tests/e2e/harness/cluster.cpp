#include "tests/e2e/harness/cluster.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "submit/one_machine/files.hpp"
#include "submit/one_machine/leftovers.hpp"
#include "submit/one_machine/node_network.hpp"

namespace gangway::e2e {
namespace {

namespace om = one_machine;

std::string bin_directory() {
  if (const char* given = std::getenv("GANGWAY_BIN")) return given;
  return std::string(GANGWAY_BINARY_DIR) + "/bin";
}

std::string make_top() {
  std::string pattern = "/tmp/gangway-e2e-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  ::chmod(pattern.c_str(), 0755);
  return pattern;
}

std::string tail_of(const std::string& text, std::size_t lines) {
  auto all = split(trim(text), '\n');
  const auto skip = all.size() > lines ? all.size() - lines : 0;
  std::string out;
  for (std::size_t i = skip; i < all.size(); ++i) out += cat("    ", all[i], '\n');
  return out;
}

}  // namespace

RunAs unused_user() {
  static const RunAs user = [] {
    // By our own number: tests of two trees may run at once.
    uid_t uid = 30'000 + static_cast<uid_t>(::getpid()) % 20'000;
    while (::getpwuid(uid) != nullptr) ++uid;
    return RunAs{.uid = uid, .gid = uid};
  }();
  return user;
}

bool have_networks() { return ::geteuid() == 0; }

Cluster::Cluster(ClusterOptions options)
    : wishes_(std::move(options)),
      top_(make_top()),
      layout_(*om::make_layout(top_ + "/c")),
      user_(::geteuid() == 0 ? wishes_.owner.value_or(kNobodyKnown)
                             : RunAs{::geteuid(), ::getegid()}) {
  if (::geteuid() == 0 && wishes_.owner &&
      ::chown(top_.c_str(), wishes_.owner->uid, wishes_.owner->gid) != 0) {
    throw std::runtime_error("chown " + top_);
  }
  std::vector<std::string> up{"gangway",      "up",
                              "--dir",        layout_.directory,
                              "--nodes",      std::to_string(wishes_.nodes),
                              "--cores",      std::to_string(wishes_.cores),
                              "--memory",     wishes_.memory,
                              "--lease",      wishes_.lease,
                              "--heartbeat",  wishes_.heartbeat,
                              "--kill-grace", wishes_.kill_grace};
  up.insert(up.end(), wishes_.more.begin(), wishes_.more.end());
  const Ran ran = as_operator(up);
  if (ran.exit_code != 0) {
    const std::string why = cat("gangway up: ", ran.err, "\n", logs());
    static_cast<void>(as_operator({"gangway", "down", "--dir", layout_.directory, "--purge"}));
    std::filesystem::remove_all(top_);
    throw std::runtime_error(why);
  }
}

Cluster::~Cluster() {
  const std::string last_words = logs();
  const Ran down = as_operator({"gangway", "down", "--dir", layout_.directory, "--purge"});
  EXPECT_EQ(down.exit_code, 0) << down.err << last_words;
  for (const auto& left : find_leftovers(layout_)) ADD_FAILURE() << "left behind: " << left;
  EXPECT_FALSE(std::filesystem::exists(layout_.directory));
  std::error_code ignored;
  std::filesystem::remove_all(top_, ignored);
}

std::string Cluster::make_work_directory() {
  const std::string path = cat(top_, "/w", ++work_directories_);
  std::filesystem::create_directory(path);
  if (::geteuid() == 0 && ::chown(path.c_str(), user_.uid, user_.gid) != 0) {
    throw std::runtime_error("chown " + path);
  }
  return path;
}

RunOptions Cluster::options_for(const std::optional<RunAs>& user,
                                const std::string& directory) const {
  RunOptions options;
  options.user = user;
  options.directory = directory;
  options.env = {{"PATH", bin_directory() + ":/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                 {"GANGWAY_SOCKET", layout_.socket()},
                 {"LANG", "C.UTF-8"},
                 {"HOME", directory}};
  // Sanitizers and coverage tell where to report by variables.
  for (const char* name :
       {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "GANGWAY_SENDMAIL"}) {
    if (const char* value = std::getenv(name)) options.env[name] = value;
  }
  return options;
}

Ran Cluster::as_user(const std::vector<std::string>& argv,
                     const std::string& directory,
                     const std::string& input) const {
  auto options = options_for(::geteuid() == 0 ? std::optional(user_) : std::nullopt, directory);
  options.input = input;
  return run(argv, options);
}

Background Cluster::start_as_user(const std::vector<std::string>& argv,
                                  const std::string& directory) const {
  return {argv, options_for(::geteuid() == 0 ? std::optional(user_) : std::nullopt, directory)};
}

Ran Cluster::as(const RunAs& who, const std::vector<std::string>& argv) const {
  return run(argv, options_for(who, "/tmp"));
}

Ran Cluster::as_operator(const std::vector<std::string>& argv) const {
  return run(argv, options_for(::geteuid() == 0 ? wishes_.owner : std::nullopt, "/"));
}

void Cluster::bring_up_again() {
  const Ran ran = as_operator({"gangway", "up", "--dir", layout_.directory});
  if (ran.exit_code != 0) throw std::runtime_error(cat("gangway up: ", ran.err, "\n", logs()));
}

void Cluster::kill_daemon(const std::string& daemon) {
  const auto process = om::read_record(layout_.record_file(daemon));
  ASSERT_TRUE(process) << "no record of " << daemon;
  ASSERT_TRUE(om::is_alive(*process)) << daemon << " does not run";
  om::send_signal(*process, SIGKILL);
  EXPECT_TRUE(om::wait_for_end({*process}, seconds(10)).empty());
}

bool Cluster::daemon_alive(const std::string& daemon) const {
  const auto process = om::read_record(layout_.record_file(daemon));
  return process && om::is_alive(*process);
}

Ran Cluster::in_network(const std::string& node, const std::vector<std::string>& argv) const {
  std::vector<std::string> words{"ip", "netns", "exec", cat(layout_.name, '-', node)};
  words.insert(words.end(), argv.begin(), argv.end());
  return as_operator(words);
}

std::int64_t Cluster::bytes_sent(const std::string& node) const {
  // /sys/class/net shows the network of its mount; /proc/net/dev that of its reader.
  const Ran ran = in_network(node, {"cat", "/proc/net/dev"});
  for (const auto line : split(ran.out, '\n')) {
    const auto text = trim(line);
    if (!text.starts_with("eth0:")) continue;
    std::vector<std::string_view> fields;
    for (const auto field : split(text.substr(5), ' ')) {
      if (!field.empty()) fields.push_back(field);
    }
    constexpr std::size_t kSentBytes = 8;
    if (fields.size() > kSentBytes) {
      return parse_integer<std::int64_t>(fields[kSentBytes]).value_or(-1);
    }
  }
  ADD_FAILURE() << "no eth0 on " << node << ": " << ran.out << ran.err;
  return -1;
}

std::vector<om::ProcessId> Cluster::user_processes() const {
  auto all = om::find_members(layout_, {});
  std::erase_if(all, [&](const om::ProcessId& process) {
    struct stat file {};
    return ::stat(cat("/proc/", process.pid).c_str(), &file) != 0 || file.st_uid != user_.uid;
  });
  return all;
}

std::string Cluster::logs() const {
  std::string text;
  for (const auto& name : om::list_directory(layout_.log_directory())) {
    text += cat("  ", name, ":\n", tail_of(content(cat(layout_.log_directory(), '/', name)), 25));
  }
  return text;
}

bool becomes_true(const std::function<bool()>& condition, Duration limit) {
  const BootTime until = SystemClock().now().boot + limit * kSlowness;
  while (!condition()) {
    if (SystemClock().now().boot > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

std::string content(const std::string& path) {
  const auto text = read_small_file(path, std::size_t{1} << 30);
  return text ? *text : std::string();
}

void write_as_user(const Cluster& cluster, const std::string& path, std::string_view text) {
  ASSERT_TRUE(replace_file(path, text, 0755, Durability::UntilReboot));
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), cluster.user().uid, cluster.user().gid), 0);
  }
}

std::string find_image(const std::string& name) {
  const char* given = std::getenv("GANGWAY_IMAGES");
  const std::string directory =
      given != nullptr ? given : std::string(GANGWAY_SOURCE_DIR) + "/build/images";
  const std::string path = cat(directory, '/', name);
  return std::filesystem::exists(path) ? path : std::string();
}

std::vector<std::string> find_leftovers(const om::ClusterLayout& layout) {
  std::vector<std::string> left;
  for (const auto& process : om::find_members(layout, {})) {
    left.push_back(cat("process ", process.pid, " in a namespace of the cluster"));
  }
  // Daemons and shepherds carry the cluster's directory in their command lines.
  for (const auto& process : om::find_processes([&](pid_t pid) {
         const auto line = content(cat("/proc/", pid, "/cmdline"));
         const bool ours = line.find("jschedd") != std::string::npos ||
                           line.find("jexecd") != std::string::npos ||
                           line.find("jbalancerd") != std::string::npos ||
                           line.find("haproxy") != std::string::npos ||
                           line.find("jshepherd") != std::string::npos;
         return ours && line.find(layout.directory + "/") != std::string::npos;
       })) {
    left.push_back(cat("process ", process.pid, ": ",
                       content(cat("/proc/", process.pid, "/cmdline")).c_str()));
  }
  const std::string outside = om::namespace_path(layout.name + ".outside");
  if (std::filesystem::exists(outside)) left.push_back(outside);
  for (const auto& mount : om::mounts_below(content("/proc/self/mountinfo"), layout.directory)) {
    left.push_back("mount " + mount);
  }
  for (const auto& path : om::find_namespaces(layout)) left.push_back("namespace " + path);
  for (const auto& group : om::find_control_groups(layout.name)) {
    left.push_back("control group " + group);
  }
  return left;
}

}  // namespace gangway::e2e
