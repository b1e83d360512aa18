// Gangs that take turns, when just this goes wrong. The ledger holds two of them that share a core
// apart at every moment, and gangs that are believed to stand still to it.
#include <gtest/gtest.h>

#include "queues/base/text.hpp"
#include "tests/sim/sim_cluster.hpp"
#include "tests/sim/workload.hpp"

namespace gangway::sim {
namespace {

constexpr Duration kSlice = seconds(3);

class SlicedScenario : public ::testing::Test {
 protected:
  SlicedScenario()
      : cluster({.seed = 12,
                 .nodes = 4,
                 .cores = 2,
                 .lease = seconds(30),
                 .gangs = 2,
                 .slice = kSlice}) {
    cluster.run_for(seconds(2));  // everybody has registered
  }
  void TearDown() override {
    cluster.run_for(seconds(120));
    const auto broken = cluster.violations_at_rest();
    EXPECT_TRUE(broken.empty()) << (broken.empty() ? "" : broken.front());
    EXPECT_EQ(cluster.live_programs(), 0);
  }
  // A gang of the whole cluster.
  static JobBuilder gang() { return job().nodes(4).tasks(8).sliced(); }
  JobId accepted(const JobSpec& spec, std::string key) {
    key.resize(24, '-');
    cluster.submit(submit(spec, key));
    EXPECT_TRUE(cluster.run_until([&] { return cluster.job_of(key).has_value(); }, seconds(30)));
    return cluster.job_of(key).value_or(JobId{});
  }
  bool in_phase(JobId id, std::string_view name) {
    const auto job = cluster.row(id);
    return job && phase_name(job->phase) == name;
  }
  bool reaches(JobId id, std::string_view name, Duration limit = seconds(60)) {
    return cluster.run_until([&] { return in_phase(id, name); }, limit);
  }
  Outcome end_of(JobId id, Duration limit = minutes(30)) {
    EXPECT_TRUE(reaches(id, "Finished", limit)) << "job " << id.value << " did not finish";
    const auto job = cluster.row(id);
    return job && job->outcome() ? *job->outcome() : Outcome{};
  }
  // Two gangs, each for 20 s of running; the second one stands still now.
  void start_two(const JobBuilder& kind = gang()) {
    a = accepted(JobBuilder(kind).run("20s").limit(seconds(30)).spec(), "gang-a");
    b = accepted(JobBuilder(kind).run("20s").limit(seconds(30)).spec(), "gang-b");
    ASSERT_TRUE(reaches(b, "Running"));
    ASSERT_TRUE(reaches(a, "Running"));
    ASSERT_TRUE(reaches(b, "Suspended"));
  }
  void expect_both_complete() {
    EXPECT_EQ(end_of(a).kind, OutcomeKind::Completed);
    EXPECT_EQ(end_of(b).kind, OutcomeKind::Completed);
  }
  Cluster cluster;
  JobId a;
  JobId b;
};

// Together they need 40 s, which is more than the limit of each; what they stand still is no part
// of their run time.
TEST_F(SlicedScenario, TwoGangsAdvanceInTurnsAndThePausesAreNobodys) {
  start_two(gang().mpi());
  expect_both_complete();
  for (const JobId id : {a, b}) {
    const Job job = *cluster.row(id);
    const Duration whole = *job.ended - *job.started;
    EXPECT_GT(job.paused, seconds(10));
    EXPECT_LT(whole - job.paused, seconds(22));
    EXPECT_EQ(cluster.programs_started(id), 8);
  }
}

TEST_F(SlicedScenario, OfThreeGangsTwoShareAndTheThirdComesWhenOneIsThrough) {
  start_two();
  const JobId c = accepted(gang().run("2s").spec(), "gang-c");
  cluster.run_for(seconds(10));
  EXPECT_TRUE(in_phase(c, "Waiting"));
  expect_both_complete();
  EXPECT_EQ(end_of(c).kind, OutcomeKind::Completed);
}

TEST_F(SlicedScenario, ANodeLostWhileItsGangStandsStillEndsThatAttemptAndTheOtherGoesOn) {
  start_two();
  cluster.crash_node(2);
  // Both had a part there; both run again when it is back.
  cluster.run_for(seconds(50));
  cluster.boot_node(2);
  expect_both_complete();
  EXPECT_GE(cluster.row(a)->attempt, 2U);
  EXPECT_GE(cluster.row(b)->attempt, 2U);
}

TEST_F(SlicedScenario, ANodeCutOffForLessThanItsLeaseOnlyDelaysTheTurns) {
  start_two();
  cluster.cut_off(1, true);
  cluster.run_for(seconds(20));
  cluster.cut_off(1, false);
  expect_both_complete();
  EXPECT_EQ(cluster.row(a)->attempt, 1U);
  EXPECT_EQ(cluster.row(b)->attempt, 1U);
}

TEST_F(SlicedScenario, SchedulerRestartedInTheMiddleOfAChangeGoesOnWithIt) {
  start_two();
  cluster.runtime_faults().pause_max = seconds(2);  // long enough to be in the middle
  ASSERT_TRUE(reaches(a, "Suspended"));
  ASSERT_FALSE(in_phase(b, "Running"));
  cluster.crash_scheduler();
  cluster.run_for(seconds(1));
  cluster.start_scheduler();
  expect_both_complete();
  EXPECT_EQ(cluster.programs_started(a), 8);
  EXPECT_EQ(cluster.programs_started(b), 8);
}

TEST_F(SlicedScenario, AgentsRestartedFindTheirGangsStandingStill) {
  start_two();
  for (int node = 0; node < 4; ++node) cluster.crash_agent(node);
  cluster.run_for(seconds(5));
  for (int node = 0; node < 4; ++node) cluster.start_agent(node);
  expect_both_complete();
  EXPECT_EQ(cluster.row(a)->attempt, 1U);
}

TEST_F(SlicedScenario, DoubledOrdersChangeNothing) {
  cluster.world().faults.repeat_per_mille = 1000;
  start_two();
  expect_both_complete();
}

TEST_F(SlicedScenario, LateOrdersAndAnswersOnlyDelay) {
  cluster.world().faults.slow_per_mille = 300;
  cluster.world().faults.slow_max = seconds(2);
  start_two();
  expect_both_complete();
}

TEST_F(SlicedScenario, OrdersLostWithTheirConnectionComeAgain) {
  int lost = 0;
  cluster.network().lose = [&](const std::string& from, const std::string& to,
                               const wire::Frame& frame) {
    if (frame.type != wire::FrameType::ToNode || from != "sched" || to != "n02") return false;
    wire::ToNode message;
    return message.ParseFromString(frame.payload) && message.has_pause() && lost++ % 3 == 0;
  };
  start_two();
  expect_both_complete();
  EXPECT_GE(lost, 2);
}

TEST_F(SlicedScenario, ACancelledGangThatStandsStillEndsAndLetsTheOtherRun) {
  start_two();
  cluster.act(wire::Act::CANCEL, b);
  EXPECT_EQ(end_of(b, seconds(60)).kind, OutcomeKind::Cancelled);
  EXPECT_EQ(end_of(a).kind, OutcomeKind::Completed);
}

TEST_F(SlicedScenario, AnOrdinaryJobGetsNoCoreOfGangsThatStandStill) {
  start_two();
  const JobId other = accepted(job().run("1s").spec(), "ordinary");
  cluster.run_for(seconds(10));
  EXPECT_TRUE(in_phase(other, "Waiting"));
  expect_both_complete();
  EXPECT_EQ(end_of(other).kind, OutcomeKind::Completed);
}

TEST_F(SlicedScenario, AGangThatSharesWithNobodyIsNeverStopped) {
  const JobBuilder half = job().nodes(2).tasks(4).sliced();
  a = accepted(JobBuilder(half).run("20s").spec(), "half-a");
  b = accepted(JobBuilder(half).run("20s").spec(), "half-b");
  expect_both_complete();
  EXPECT_EQ(cluster.row(a)->paused, Duration{});
  EXPECT_EQ(cluster.row(b)->paused, Duration{});
}

}  // namespace
}  // namespace gangway::sim
