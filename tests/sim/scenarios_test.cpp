// Named histories: what must happen when just this goes wrong.

#include <gtest/gtest.h>

#include "queues/base/text.hpp"
#include "tests/sim/sim_cluster.hpp"
#include "tests/sim/workload.hpp"

namespace gangway::sim {
namespace {

class Scenario : public ::testing::Test {
 protected:
  Scenario() : cluster({.seed = 11, .nodes = 4, .cores = 4, .lease = seconds(30)}) {
    cluster.run_for(seconds(2));  // everybody has registered
  }
  void TearDown() override {
    cluster.run_for(seconds(120));
    const auto broken = cluster.violations_at_rest();
    EXPECT_TRUE(broken.empty()) << (broken.empty() ? "" : broken.front());
  }

  JobId accepted(const JobSpec& spec, std::string key) {
    key.resize(24, '-');  // keys have 16 characters at least
    cluster.submit(submit(spec, key));
    EXPECT_TRUE(cluster.run_until([&] { return cluster.job_of(key).has_value(); }, seconds(30)));
    return cluster.job_of(key).value_or(JobId{});
  }
  bool in_phase(JobId id, std::string_view name) {
    const auto job = cluster.row(id);
    return job && phase_name(job->phase) == name;
  }
  bool reaches(JobId id, std::string_view name, Duration limit) {
    return cluster.run_until([&] { return in_phase(id, name); }, limit);
  }
  Outcome end_of(JobId id, Duration limit = minutes(30)) {
    EXPECT_TRUE(reaches(id, "Finished", limit)) << "job " << id.value << " did not finish";
    const auto job = cluster.row(id);
    return job && job->outcome() ? *job->outcome() : Outcome{};
  }

  Cluster cluster;
};

TEST_F(Scenario, AJobRunsOnceAndCompletes) {
  const JobId id = accepted(job().run("3s").spec(), "first-submission");
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 1);
}

TEST_F(Scenario, AnMpiGangMeetsInItsFenceAndCompletes) {
  const JobId id = accepted(job().nodes(4).tasks(8).mpi().run("3s").spec(), "mpi-submission-1");
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 8);
}

TEST_F(Scenario, NodeLostBetweenPrepareAndLaunchReleasesTheGang) {
  cluster.runtime_faults().prepare_min = seconds(3);
  cluster.runtime_faults().prepare_max = seconds(4);
  const JobId id = accepted(job().nodes(4).tasks(4).run("2s").spec(), "gang-submission");
  ASSERT_TRUE(reaches(id, "Starting", seconds(10)));
  cluster.run_for(seconds(1));
  cluster.crash_node(3);
  // Nothing of the gang runs while it is not whole.
  cluster.run_for(seconds(20));
  EXPECT_EQ(cluster.programs_started(id), 0);
  cluster.boot_node(3);
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 4);
  EXPECT_GE(cluster.row(id)->attempt, 2U);
}

TEST_F(Scenario, SchedulerRestartedLosesNoJobWhateverItsPhase) {
  cluster.runtime_faults().prepare_min = seconds(2);
  cluster.runtime_faults().prepare_max = seconds(3);
  const JobId running = accepted(job().nodes(2).tasks(2).cpus(4).run("20s").spec(), "running-one-");
  ASSERT_TRUE(reaches(running, "Running", seconds(20)));
  const JobId starting = accepted(job().nodes(2).tasks(2).cpus(4).run("5s").spec(), "starting-one");
  ASSERT_TRUE(reaches(starting, "Starting", seconds(20)));
  const JobId waiting = accepted(job().nodes(4).tasks(4).cpus(4).run("1s").spec(), "waiting-one-");
  cluster.crash_scheduler();
  cluster.run_for(seconds(4));
  cluster.start_scheduler();
  for (const JobId id : {running, starting, waiting}) {
    EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed) << id.value;
  }
  EXPECT_EQ(cluster.programs_started(running), 2);
  EXPECT_EQ(cluster.programs_started(starting), 2);
  EXPECT_EQ(cluster.programs_started(waiting), 4);
}

TEST_F(Scenario, SchedulerDownForLongerThanTheLeaseEndsNothingThatMustNotBeRequeued) {
  const JobId id = accepted(job().run("300s").no_requeue().spec(), "no-requeue-one");
  ASSERT_TRUE(reaches(id, "Running", seconds(20)));
  cluster.crash_scheduler();
  cluster.run_for(seconds(200));
  cluster.start_scheduler();
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 1);
}

TEST_F(Scenario, RepeatedMessagesStartNothingTwice) {
  cluster.world().faults.repeat_per_mille = 1000;
  const JobId id = accepted(job().nodes(3).tasks(6).run("3s").spec(), "doubled-frames");
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 6);
}

TEST_F(Scenario, LateMessagesOnlyDelay) {
  cluster.world().faults.slow_per_mille = 500;
  cluster.world().faults.slow_max = seconds(4);
  const JobId id = accepted(job().nodes(3).tasks(3).run("3s").spec(), "slow-frames-");
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 3);
}

TEST_F(Scenario, LostConnectionsLoseNoJob) {
  cluster.world().faults.break_per_mille = 100;
  const JobId id = accepted(job().nodes(2).tasks(2).run("10s").spec(), "broken-links-");
  end_of(id);
}

TEST_F(Scenario, AReplyLostAfterTheCommitMakesNoDuplicate) {
  int lost = 0;
  cluster.network().lose = [&](const std::string& from, const std::string& to,
                               const wire::Frame& frame) {
    return from == "sched" && to == "login" && frame.type == wire::FrameType::Response &&
           lost++ == 0;
  };
  const JobId id = accepted(job().run("1s").spec(), "lost-reply-key");
  EXPECT_GE(lost, 2);
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.disk().jobs.size(), 1U);
}

TEST_F(Scenario, APartitionShorterThanTheLeaseEndsNothing) {
  const JobId id = accepted(job().nodes(4).tasks(4).run("60s").spec(), "short-partition");
  ASSERT_TRUE(reaches(id, "Running", seconds(20)));
  cluster.cut_off(2, true);
  cluster.run_for(seconds(20));
  cluster.cut_off(2, false);
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 4);
}

TEST_F(Scenario, APartitionLongerThanTheLeaseEndsTheAttemptBeforeTheNextBegins) {
  const JobId id = accepted(job().cpus(4).run("200s").spec(), "long-partition-");
  ASSERT_TRUE(reaches(id, "Running", seconds(20)));
  cluster.run_for(seconds(1));
  const NodeName node = cluster.row(id)->allocation()->shares.front().node;
  int index = 0;
  while (cluster.node_name(index) != node.value) ++index;
  cluster.cut_off(index, true);
  // Runs again elsewhere; the ledger sees to it that the two never overlap.
  ASSERT_TRUE(cluster.run_until(
      [&] { return cluster.row(id)->attempt == 2 && in_phase(id, "Running"); }, minutes(3)));
  cluster.cut_off(index, false);
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 2);
}

TEST_F(Scenario, AnAgentThatDiesLosesNoProgram) {
  const JobId id = accepted(job().nodes(2).tasks(2).run("15s").spec(), "agent-dies-one");
  ASSERT_TRUE(reaches(id, "Running", seconds(20)));
  for (int node = 0; node < 4; ++node) cluster.crash_agent(node);
  cluster.run_for(seconds(20));  // the programs end meanwhile
  for (int node = 0; node < 4; ++node) cluster.start_agent(node);
  EXPECT_EQ(end_of(id).kind, OutcomeKind::Completed);
  EXPECT_EQ(cluster.programs_started(id), 2);
}

TEST_F(Scenario, WalltimeEndsAStubbornProgram) {
  const JobId id = accepted(job().run("600s").stubborn().limit(seconds(5)).spec(), "stubborn-one");
  EXPECT_EQ(end_of(id, seconds(60)).kind, OutcomeKind::TimedOut);
}

TEST_F(Scenario, CancelEndsAJobInEveryPhase) {
  cluster.runtime_faults().prepare_min = seconds(2);
  cluster.runtime_faults().prepare_max = seconds(3);
  const JobId running =
      accepted(job().nodes(4).tasks(4).cpus(4).run("600s").spec(), "cancel-run-1");
  ASSERT_TRUE(reaches(running, "Running", seconds(20)));
  const JobId waiting = accepted(job().run("1s").cpus(4).spec(), "cancel-wait-1");
  cluster.act(wire::Act::CANCEL, waiting);
  EXPECT_EQ(end_of(waiting, seconds(30)).kind, OutcomeKind::Cancelled);
  cluster.act(wire::Act::CANCEL, running);
  EXPECT_EQ(end_of(running, seconds(30)).kind, OutcomeKind::Cancelled);
  const JobId starting = accepted(job().run("600s").spec(), "cancel-start-1");
  ASSERT_TRUE(reaches(starting, "Starting", seconds(20)));
  cluster.act(wire::Act::CANCEL, starting);
  EXPECT_EQ(end_of(starting, seconds(30)).kind, OutcomeKind::Cancelled);
  EXPECT_EQ(cluster.programs_started(starting), 0);
}

TEST_F(Scenario, AWorkflowGoesOnAsItsNeedsSay) {
  const JobSpec good = job().run("1s").spec();
  const JobSpec bad = job().run("1s").exits(3).spec();
  cluster.submit(submit_workflow("flow",
                                 {{"prepare", good, {}},
                                  {"solve", bad, {{"prepare", NeedOutcome::Success}}},
                                  {"render", good, {{"solve", NeedOutcome::Success}}},
                                  {"mourn", good, {{"solve", NeedOutcome::Failure}}},
                                  {"clean", good, {{"render", NeedOutcome::Any}}}},
                                 "workflow-submission-"));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.acknowledged().size() == 5; }, seconds(30)));
  const std::vector<JobId> ids = cluster.acknowledged();
  EXPECT_EQ(end_of(ids[0]).kind, OutcomeKind::Completed);
  EXPECT_EQ(end_of(ids[1]).kind, OutcomeKind::Failed);
  EXPECT_EQ(end_of(ids[2]).kind, OutcomeKind::Cancelled);
  EXPECT_EQ(cluster.programs_started(ids[2]), 0);
  EXPECT_EQ(end_of(ids[3]).kind, OutcomeKind::Completed);
  EXPECT_EQ(end_of(ids[4]).kind, OutcomeKind::Completed);
  ASSERT_EQ(cluster.disk().workflows.size(), 1U);
  EXPECT_TRUE(cluster.disk().workflows.begin()->second.ended.has_value());
}

}  // namespace
}  // namespace gangway::sim
