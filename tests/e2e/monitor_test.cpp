// jqueue --watch in a real terminal: tmux holds the screen, keys go in, and what is shown is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

class Monitor : public OnCluster<Monitor> {
 public:
  static ClusterOptions options() { return {.nodes = 2, .cores = 2}; }

 protected:
  void SetUp() override {
    OnCluster::SetUp();
    if (run({"tmux", "-V"}).exit_code != 0) GTEST_SKIP() << "there is no tmux";
  }
  void TearDown() override {
    if (in_tmux_) tmux({"kill-server"});
    OnCluster::TearDown();
  }

  Ran tmux(std::vector<std::string> words) {
    words.insert(words.begin(), {"env", "LANG=C.UTF-8", "tmux", "-f", "/dev/null", "-S",
                                 cat(directory(), "/tmux")});
    return user(words);
  }
  // A shell that runs the monitor, says its exit code and how the terminal was before and after it.
  void begin(const std::string& options = {},
             const std::string& environment = {},
             const std::string& first = "live") {
    write_as_user(cluster(), cat(directory(), "/session"),
                  cat("echo shell-was-here\nstty -g >before\n", environment, " jqueue --watch ",
                      options, "\necho $? >code\nstty -g >after\nsleep 1000\n"));
    const Ran ran = tmux({"new-session", "-d", "-x", "80", "-y", "24", "sh", "session"});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    in_tmux_ = true;
    ASSERT_TRUE(shows(first)) << screen();
  }
  std::string screen() { return tmux({"capture-pane", "-p"}).out; }
  bool shows(const std::string& text) {
    return becomes_true([&] { return screen().find(text) != std::string::npos; });
  }
  void press(const std::string& key) { EXPECT_EQ(tmux({"send-keys", key}).exit_code, 0); }
  std::string line_with(const std::string& text) {
    const std::string all = screen();
    for (const std::string_view line : split(all, '\n')) {
      if (line.find(text) != std::string_view::npos) return std::string(line);
    }
    return {};
  }
  bool job_shows(const std::string& id, const std::string& state) {
    return becomes_true([&] {
      return line_with(cat(" ", id, " batch")).find(cat(" ", state, " ")) != std::string::npos;
    });
  }
  std::string file(const std::string& name) { return content(cat(directory(), "/", name)); }
  // Runs until the file is there; its output is `out`.
  std::string submit_until(const std::string& name) {
    return submit({"-o", cat("out-", name), "--", "sh", "-c",
                   cat("echo begun; while ! [ -e ", name, " ]; do sleep 0.05; done; echo over")});
  }
  void touch(const std::string& name) {
    write_as_user(cluster(), cat(directory(), "/", name), "x");
  }
  // "… 12 requests answered, 1 following"
  int requests() {
    const std::string out = user({"jctl", "ping"}).out;
    const std::size_t comma = out.find("reached, ");
    return comma == std::string::npos ? -1 : std::atoi(out.c_str() + comma + 9);
  }
  pid_t monitor_pid() {
    // Of this session: what tmux says runs there is the shell, and the monitor is its child.
    const std::string shell = tmux({"display-message", "-p", "#{pane_pid}"}).out;
    const Ran ran = run({"pgrep", "-P", shell.substr(0, shell.find('\n'))});
    return static_cast<pid_t>(std::atoi(ran.out.c_str()));
  }
  bool ended_with(const std::string& code) {
    return becomes_true([&] { return !file("after").empty(); }) && file("code") == cat(code, "\n");
  }

 private:
  bool in_tmux_ = false;
};

TEST_F(Monitor, AJobsEndIsPushedToTheScreenAndNobodyAsks) {
  begin();
  const std::string id = submit_until("go");
  ASSERT_TRUE(job_shows(id, "R")) << screen();
  EXPECT_THAT(line_with(cat(" ", id, " batch")), HasSubstr("n0"));
  const int before = requests();
  EXPECT_THAT(user({"jctl", "ping"}).out, HasSubstr(", 1 following\n"));
  // Of some ends one at least is seen as soon as a machine that is not busy would show all.
  Duration fastest = hours(1);
  constexpr int kEnds = 3;
  std::string running = id;
  for (int i = 0; i < kEnds; ++i) {
    if (i > 0) running = submit_until(cat("go", i));
    ASSERT_TRUE(job_shows(running, "R")) << screen();
    touch(i == 0 ? std::string("go") : cat("go", i));
    ASSERT_TRUE(becomes_true(
        [&] { return file(cat("out-go", i == 0 ? std::string() : cat(i))).ends_with("over\n"); }));
    const BootTime over = SystemClock().now().boot;
    ASSERT_TRUE(job_shows(running, "CD")) << screen();
    fastest = std::min(fastest, SystemClock().now().boot - over);
  }
  std::cout << "the end of a job was shown after " << fastest.ns / 1'000'000 << " ms\n";
  EXPECT_LT(fastest, seconds(1) * kSlowness);
  // Our own questions: this one and the one before it, and the submissions.
  EXPECT_EQ(requests(), before + 2 + (kEnds - 1));
}

TEST_F(Monitor, CancelsWhatIsSelectedAfterAsking) {
  begin();
  const std::string id = submit({"-o", "out", "--", "sleep", "1000"});
  ASSERT_TRUE(job_shows(id, "R")) << screen();
  press("/");
  tmux({"send-keys", "-l", id});
  press("Enter");
  press("F9");
  ASSERT_TRUE(shows(cat("cancel job ", id, " ("))) << screen();
  press("n");
  ASSERT_TRUE(shows("nothing was cancelled")) << screen();
  press("k");
  ASSERT_TRUE(shows("y: yes")) << screen();
  press("y");
  EXPECT_TRUE(job_shows(id, "CA")) << screen();
}

TEST_F(Monitor, ShowsDetailsLiveOutputAndNodes) {
  begin();
  const std::string id = submit_until("go");
  ASSERT_TRUE(job_shows(id, "R")) << screen();
  press("/");
  tmux({"send-keys", "-l", id});
  press("Enter");
  press("Enter");
  ASSERT_TRUE(shows(cat("JOB ", id))) << screen();
  EXPECT_TRUE(shows("RUNNING")) << screen();
  press("o");
  ASSERT_TRUE(shows("begun")) << screen();
  EXPECT_THAT(screen(), Not(HasSubstr("over")));
  touch("go");
  EXPECT_TRUE(shows("over")) << screen();
  press("Escape");
  press("F2");
  ASSERT_TRUE(shows("MEMORY")) << screen();
  EXPECT_THAT(screen(), HasSubstr("n01"));
  EXPECT_TRUE(shows("/2]")) << screen();
}

TEST_F(Monitor, GoesOnWhereItWasWhenTheSchedulerIsBack) {
  begin();
  const std::string id = submit_until("go");
  ASSERT_TRUE(job_shows(id, "R")) << screen();
  cluster().kill_daemon("jschedd");
  ASSERT_TRUE(shows("scheduler away for")) << screen();
  EXPECT_THAT(line_with(cat(" ", id, " batch")), HasSubstr(" R "));
  touch("go");
  cluster().bring_up_again();
  EXPECT_TRUE(shows("live, back again")) << screen();
  EXPECT_TRUE(job_shows(id, "CD")) << screen();
}

TEST_F(Monitor, FitsTheWindowAndHasNoColoursIfNoneAreWanted) {
  begin("", "NO_COLOR=1");
  const auto last_line = [&] {
    const std::string all = screen();
    const std::vector<std::string_view> lines = split(all, '\n');
    return lines.size() < 2 ? std::string() : std::string(lines[lines.size() - 2]);
  };
  EXPECT_THAT(last_line(), HasSubstr("F10Quit"));
  EXPECT_EQ(tmux({"resize-window", "-x", "120", "-y", "40"}).exit_code, 0);
  EXPECT_TRUE(becomes_true([&] {
    const std::string all = screen();
    return split(all, '\n').size() == 41 && last_line().find("F10Quit") != std::string::npos;
  })) << screen();
  // Colours are 30 to 37 after ESC [; 39 is the terminal's own.
  EXPECT_THAT(tmux({"capture-pane", "-p", "-e"}).out, Not(testing::ContainsRegex("\\[3[0-7]m")));
  press("q");
  EXPECT_TRUE(ended_with("0"));
}

TEST_F(Monitor, LeavesTheTerminalAsItWasHoweverItEnds) {
  begin();
  EXPECT_THAT(screen(), Not(HasSubstr("shell-was-here")));
  press("F10");
  ASSERT_TRUE(ended_with("0")) << file("code");
  EXPECT_EQ(file("after"), file("before"));
  EXPECT_TRUE(shows("shell-was-here")) << screen();
  tmux({"kill-server"});
  for (const auto& [number, code] : {std::pair(SIGTERM, "143"), std::pair(SIGABRT, "134")}) {
    user({"rm", "-f", "after", "code", "tmux"});
    begin();
    const pid_t pid = monitor_pid();
    ASSERT_GT(pid, 0);
    ::kill(pid, number);
    ASSERT_TRUE(ended_with(code)) << file("code");
    EXPECT_EQ(file("after"), file("before"));
    EXPECT_TRUE(shows("shell-was-here")) << screen();
    tmux({"kill-server"});
  }
}

TEST_F(Monitor, WithoutATerminalOrASchedulerItIsOneLine) {
  const Ran ran = user({"jqueue", "--watch"});
  EXPECT_EQ(ran.exit_code, 64) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("needs a terminal"));
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1);
  begin("--socket /nowhere", "", "no scheduler listens at /nowhere");
  EXPECT_TRUE(ended_with("69")) << file("code");
}

}  // namespace
}  // namespace gangway::e2e
