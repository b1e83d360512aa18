// Two users flood a real cluster: who gets how much of it, and where that is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class FairShare : public OnCluster<FairShare> {
 public:
  static ClusterOptions options() { return {.nodes = 4, .cores = 2}; }

 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can act as two users";
    OnCluster::SetUp();
  }
  static Ran as(const RunAs& who, const std::vector<std::string>& argv) {
    return cluster().as(who, argv);
  }
  static std::string operator_says(const std::vector<std::string>& argv) {
    const Ran ran = cluster().as_operator(argv);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return ran.out;
  }
  // One column of `jhist shares -P`.
  static double share_of(const std::string& account, std::size_t column) {
    const std::string table = operator_says({"jhist", "shares", "-P", "--noheader"});
    for (const std::string_view line : split(table, '\n')) {
      const auto cells = split(line, '|');
      if (cells.size() > column && trim(cells[0]) == account && cells[1].empty()) {
        return std::strtod(std::string(cells[column]).c_str(), nullptr);
      }
    }
    return -1;
  }
};

constexpr RunAs kBig{.uid = 23457, .gid = 23457};
constexpr RunAs kSmall{.uid = 23458, .gid = 23458};

// Of a flood the jobs are many and short: eight cores are given out at a time, and the first and
// last ones must not count for much.
std::string flood(int jobs) {
  std::string yaml = "version: 1\ndefaults: {time: 1, output: /dev/null}\njobs:\n";
  for (int i = 0; i < jobs; ++i) yaml += cat("  j", i, ": {command: [sleep, \"0.5\"]}\n");
  return yaml;
}

// Charged usage is what counts, in core seconds, so the speed of the machine does not; half of the
// small user's jobs are not even needed.
TEST_F(FairShare, TwoFloodsGetThreeToOneWithinFivePerCent) {
  operator_says({"jctl", "accounts", "add", "big", "--shares", "3"});
  operator_says({"jctl", "accounts", "add", "small", "--shares", "1"});
  operator_says({"jctl", "accounts", "add", "big", "--user", cat(kBig.uid)});
  operator_says({"jctl", "accounts", "add", "small", "--user", cat(kSmall.uid)});
  operator_says({"jctl", "node", "n[01-04]", "--drain", "--reason", "until all have submitted"});
  const std::string file = cluster().make_work_directory() + "/flood.yaml";
  write_as_user(cluster(), file, flood(500));
  for (const RunAs& who : {kSmall, kBig}) {
    const Ran ran = as(who, {"jsubmit", "--parsable", file});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
  }
  const Ran one = as(kBig, {"jsubmit", "--parsable", "-o", "/dev/null", "--wrap", "true"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(as(kBig, {"jwhy", std::string(trim(one.out))}).out,
              HasSubstr(cat("charged to: big/", kBig.uid)));
  EXPECT_EQ(as(kSmall, {"jctl", "accounts", "set", "small", "--shares", "100"}).exit_code, 77);
  EXPECT_EQ(as(kSmall, {"jsubmit", "-A", "big", "--wrap", "true"}).exit_code, 77);

  operator_says({"jctl", "node", "n[01-04]", "--resume"});
  constexpr double kEnough = 240;  // core seconds: some 440 jobs
  ASSERT_TRUE(becomes_true([] { return share_of("root", 4) >= kEnough; }, seconds(150)));
  const double ratio = share_of("big", 5) / share_of("small", 5);
  EXPECT_NEAR(ratio, 3, 0.15) << operator_says({"jhist", "shares"});
  EXPECT_THAT(operator_says({"jqueue", "--priority"}), HasSubstr("FAIRSHARE"));

  // It is all there again after a crash, and goes on.
  const double before = share_of("root", 4);
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  EXPECT_GE(share_of("root", 4), before - 1);
  EXPECT_NEAR(share_of("big", 5), 0.75, 0.04);
  EXPECT_EQ(as(kBig, {"jcancel", "--me"}).exit_code, 0);
  EXPECT_EQ(as(kSmall, {"jcancel", "--me"}).exit_code, 0);
  EXPECT_TRUE(becomes_true([] { return operator_says({"jqueue", "--noheader"}).empty(); }));
}

}  // namespace
}  // namespace gangway::e2e
