#include "executor/step_machine.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace gangway::executor {
namespace {

constexpr int exited(int code) { return code << 8; }

Now at(std::int64_t s) { return {Time{seconds(1000 + s).ns}, BootTime{seconds(s).ns}}; }
BootTime boot(std::int64_t s) { return at(s).boot; }

// A gang of `nodes` nodes with `tasks` tasks on each, seen from node `index`.
class OrderBuilder {
 public:
  OrderBuilder() {
    order_.key = {JobId{42}};
    order_.attempt = 1;
    order_.spec.name = "solve";
    order_.spec.script = "#!/bin/sh\n";
    order_.spec.kill_grace = seconds(30);
    nodes(1, 1);
  }
  OrderBuilder& nodes(int nodes, int tasks_each) {
    order_.spec.components = {Component{}};
    order_.spec.components[0].nodes = nodes;
    order_.spec.components[0].tasks = nodes * tasks_each;
    order_.allocation.shares.clear();
    for (int i = 0; i < nodes; ++i) {
      NodeShare share;
      share.node = NodeName("n" + std::to_string(i));
      share.first_task = i * tasks_each;
      share.tasks = tasks_each;
      order_.allocation.shares.push_back(share);
    }
    return *this;
  }
  OrderBuilder& tasks() {
    order_.spec.launch = LaunchMode::Tasks;
    return *this;
  }
  OrderBuilder& mpi() {
    order_.spec.mpi = MpiMode::Pmix;
    return tasks();
  }
  OrderBuilder& on(std::uint32_t index) {
    order_.node_index = index;
    return *this;
  }
  OrderBuilder& limit(Duration d) {
    order_.spec.time_limit = d;
    return *this;
  }
  OrderBuilder& leased() {
    order_.leased = true;
    return *this;
  }
  operator StepOrder() const { return order_; }  // NOLINT: implicit on purpose

 private:
  StepOrder order_;
};
OrderBuilder order() { return {}; }

// A machine with what it did last.
struct Step {
  explicit Step(StepOrder o) : machine(std::move(o)) {}
  Step& on(StepEvent event, std::int64_t second = 0) {
    actions = machine.on(event, at(second));
    return *this;
  }
  // Through the usual way to a phase.
  Step& to_preparing() { return on(step_event::Begin{boot(100)}); }
  Step& to_ready() { return to_preparing().on(step_event::SandboxReady{7001}); }
  Step& to_running() {
    to_ready().on(step_event::Launch{});
    if (machine.phase() == StepPhase::Launching) on(step_event::PmixReady{});
    return *this;
  }
  Step& to_cleaning_up() { return to_running().on(step_event::ProgramEnded{}); }
  Step& to_done() { return to_cleaning_up().on(step_event::CleanedUp{}); }

  template <typename Action>
  [[nodiscard]] const Action* find() const {
    for (const StepAction& action : actions) {
      if (const auto* found = std::get_if<Action>(&action)) return found;
    }
    return nullptr;
  }
  [[nodiscard]] bool signals(int number) const {
    for (const StepAction& action : actions) {
      const auto* found = std::get_if<step_action::SignalPrograms>(&action);
      if (found != nullptr && found->number == number) return true;
    }
    return false;
  }
  [[nodiscard]] std::optional<BootTime> armed(StepTimer timer) const {
    for (const StepAction& action : actions) {
      const auto* found = std::get_if<step_action::ArmTimer>(&action);
      if (found != nullptr && found->timer == timer) return found->at;
    }
    return std::nullopt;
  }
  StepReport finish(step_event::CleanedUp usage = {}) {
    EXPECT_EQ(machine.phase(), StepPhase::CleaningUp);
    on(usage);
    const auto* report = find<step_action::ReportFinished>();
    EXPECT_NE(report, nullptr);
    return report != nullptr ? report->report : StepReport{};
  }
  StepMachine machine;
  StepActions actions;
};

Outcome cancelled() {
  Outcome outcome;
  outcome.kind = OutcomeKind::Cancelled;
  outcome.detail = "by alice";
  return outcome;
}
step_event::Stop stop(bool at_once = false) { return {cancelled(), at_once}; }
step_event::ProgramEnded ended(std::uint32_t task, int status) { return {task, true, status, ""}; }

// ---- the usual way -----------------------------------------------------------------------------

TEST(StepMachine, ABatchJobGoesFromOrderToRelease) {
  Step step(order());
  EXPECT_NE(step.to_preparing().find<step_action::PrepareSandbox>(), nullptr);
  step.on(step_event::SandboxReady{0});
  EXPECT_NE(step.find<step_action::ReportPrepared>(), nullptr);
  EXPECT_NE(step.on(step_event::Launch{}, 5).find<step_action::StartPrograms>(), nullptr);
  EXPECT_EQ(step.machine.phase(), StepPhase::Running);
  EXPECT_NE(step.on(ended(0, exited(0)), 8).find<step_action::CleanUp>(), nullptr);
  const StepReport report = step.finish({seconds(2), mebibytes(10), false});
  EXPECT_EQ(report.outcome.kind, OutcomeKind::Completed);
  EXPECT_EQ(report.wall, seconds(3));
  EXPECT_EQ(report.cpu, seconds(2));
  EXPECT_EQ(report.peak_memory, mebibytes(10));
  EXPECT_FALSE(report.never_launched);
  EXPECT_NE(step.on(step_event::Released{}).find<step_action::Leave>(), nullptr);
  EXPECT_EQ(step.machine.phase(), StepPhase::Released);
}
TEST(StepMachine, PreparedTellsWhereTheGangFindsThisNode) {
  Step step(order().nodes(2, 1));
  const auto* prepared = step.to_ready().find<step_action::ReportPrepared>();
  ASSERT_NE(prepared, nullptr);
  EXPECT_EQ(prepared->peer_port, 7001);
}
TEST(StepMachine, MpiRanksStartOnlyWhenTheirServerIsReady) {
  Step step(order().nodes(2, 2).mpi());
  step.to_ready().on(step_event::Launch{{{"n0", "10.0.0.1", 1}, {"n1", "10.0.0.2", 2}}}, 1);
  EXPECT_EQ(step.machine.phase(), StepPhase::Launching);
  ASSERT_NE(step.find<step_action::StartPmix>(), nullptr);
  EXPECT_EQ(step.find<step_action::StartPmix>()->peers.size(), 2U);
  EXPECT_EQ(step.find<step_action::StartPrograms>(), nullptr);
  EXPECT_EQ(step.armed(StepTimer::Start), boot(1) + kStartPatience);
  step.on(step_event::PmixReady{{{0, {"PMIX_RANK=0"}}, {1, {"PMIX_RANK=1"}}}});
  ASSERT_NE(step.find<step_action::StartPrograms>(), nullptr);
  EXPECT_EQ(step.find<step_action::StartPrograms>()->ranks.size(), 2U);
  EXPECT_EQ(step.machine.phase(), StepPhase::Running);
}
TEST(StepMachine, OtherNodesOfABatchJobWaitForTheirStop) {
  Step step(order().nodes(2, 1).on(1));
  step.to_running();
  EXPECT_EQ(step.find<step_action::StartPrograms>(), nullptr);
  EXPECT_EQ(step.machine.phase(), StepPhase::Running);
  Outcome completed;
  EXPECT_NE(step.on(step_event::Stop{completed, false}).find<step_action::CleanUp>(), nullptr);
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::Completed);
}
TEST(StepMachine, ANodeWithoutTasksHasNothingToWaitFor) {
  Step step(order().nodes(2, 0).tasks());
  step.to_running();
  EXPECT_EQ(step.machine.phase(), StepPhase::CleaningUp);
}
TEST(StepMachine, ANodeIsDoneWhenItsLastTaskIs) {
  Step step(order().nodes(1, 3).tasks());
  step.to_running().on(ended(0, exited(0))).on(ended(2, exited(0)));
  EXPECT_EQ(step.machine.phase(), StepPhase::Running);
  step.on(ended(1, exited(0)));
  EXPECT_EQ(step.machine.phase(), StepPhase::CleaningUp);
}

// ---- failures ----------------------------------------------------------------------------------

TEST(StepMachine, AFailedSandboxIsAFailedLaunch) {
  Step step(order());
  step.to_preparing().on(step_event::SandboxFailed{Error(ErrorKind::NotFound, "no such image")});
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.kind, OutcomeKind::LaunchFailed);
  EXPECT_NE(report.outcome.exit_code, 75);
  EXPECT_EQ(report.outcome.detail, "no such image");
  EXPECT_TRUE(report.never_launched);
}
TEST(StepMachine, AFullDiskMayBeTriedAgain) {
  Step step(order());
  step.to_preparing().on(step_event::SandboxFailed{Error(ErrorKind::Exhausted, "disk full")});
  EXPECT_EQ(step.finish().outcome.exit_code, 75);
}
TEST(StepMachine, AProgramThatCannotStartIsTheJobsFailure) {
  Step step(order());
  step.to_running().on(step_event::ProgramEnded{0, false, 0, "solve: no such file"});
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.kind, OutcomeKind::Failed);
  EXPECT_EQ(report.outcome.exit_code, 127);
  EXPECT_EQ(report.outcome.detail, "solve: no such file");
}
TEST(StepMachine, PlainTasksGoOnWhenOneFails) {
  Step step(order().nodes(1, 3).tasks());
  step.to_running().on(ended(1, exited(3)));
  EXPECT_TRUE(step.actions.empty());
  step.on(ended(0, exited(5))).on(ended(2, exited(0)));
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.exit_code, 5);  // the highest, as srun
  EXPECT_EQ(report.outcome.detail, "task 0 on n0: exit code 5");
  EXPECT_EQ(report.failed_tasks.size(), 2U);
}
TEST(StepMachine, ADeadRankEndsTheOthers) {
  Step step(order().nodes(1, 3).mpi());
  step.to_running().on(ended(1, SIGKILL), 10);
  EXPECT_TRUE(step.signals(SIGTERM));
  EXPECT_EQ(step.armed(StepTimer::Grace), boot(40));
  step.on(ended(0, SIGTERM), 11).on(ended(2, SIGTERM), 11);
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.kind, OutcomeKind::Signaled);
  EXPECT_EQ(report.outcome.signal, SIGKILL);
  ASSERT_EQ(report.failed_tasks.size(), 1U);  // those that we ended have not failed
  EXPECT_EQ(report.failed_tasks[0].task, 1U);
}
// A script dies of TERM at once; what its steps run here has the job's grace, then the kernel's
// word.
TEST(StepMachine, RanksOfStepsHaveTheirGraceWhenTheScriptIsGone) {
  Step step(order());
  step.to_running().on(step_event::GuestsChanged{2}).on(stop(), 10);
  step.on(ended(0, SIGTERM), 10);
  EXPECT_EQ(step.machine.phase(), StepPhase::Running);
  step.on(step_event::TimerFired{StepTimer::Grace}, 40);
  EXPECT_TRUE(step.signals(SIGKILL));
  step.on(step_event::GuestsChanged{-1}, 40);
  EXPECT_EQ(step.machine.phase(), StepPhase::Running);
  step.on(step_event::GuestsChanged{-1}, 40);
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::Cancelled);
}
TEST(StepMachine, ANodeWithRanksOfStepsAloneGivesThemTheirGrace) {
  StepOrder second = order().nodes(2, 1);
  second.node_index = 1;
  Step step(second);
  step.to_running().on(step_event::GuestsChanged{1}).on(stop(), 10);
  EXPECT_TRUE(step.signals(SIGTERM));
  step.on(step_event::GuestsChanged{-1}, 11);
  EXPECT_EQ(step.machine.phase(), StepPhase::CleaningUp);
}
TEST(StepMachine, AnEndOfTheScriptDoesNotWaitForStepsLeftBehind) {
  Step step(order());
  step.to_running().on(step_event::GuestsChanged{1}).on(ended(0, exited(0)));
  EXPECT_EQ(step.machine.phase(), StepPhase::CleaningUp);
}
TEST(StepMachine, TheWarningComesSoLongBeforeTheLimit) {
  StepOrder warned = order();
  warned.spec.time_limit = seconds(100);
  warned.spec.warning =
      WarningSignal{.number = SIGUSR1, .before = seconds(30), .script_only = true};
  Step step(warned);
  step.to_ready().on(step_event::Launch{}, 5);
  EXPECT_EQ(step.armed(StepTimer::Warn), boot(75));
  EXPECT_EQ(step.armed(StepTimer::Limit), boot(105));
  step.on(step_event::TimerFired{StepTimer::Warn}, 75);
  ASSERT_NE(step.find<step_action::Warn>(), nullptr);
  EXPECT_EQ(step.find<step_action::Warn>()->number, SIGUSR1);
  EXPECT_TRUE(step.find<step_action::Warn>()->script_only);
  step.on(stop(), 80).on(step_event::TimerFired{StepTimer::Warn}, 81);
  EXPECT_EQ(step.find<step_action::Warn>(), nullptr);
}
TEST(StepMachine, MpiAbortsCodeIsTheJobs) {
  Step step(order().nodes(1, 2).mpi());
  step.to_running().on(step_event::PmixAborted{1, 42});
  EXPECT_TRUE(step.signals(SIGTERM));
  step.on(ended(1, exited(1))).on(ended(0, SIGTERM));
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.kind, OutcomeKind::Failed);
  EXPECT_EQ(report.outcome.exit_code, 42);
}
// Three ranks on one node, running.
Step ranks_of(MpiChoice choice) {
  Step step(order().nodes(1, 3).mpi());
  step.to_preparing().on(step_event::SandboxReady{0, std::move(choice)}).on(step_event::Launch{});
  step.on(step_event::PmixReady{});
  return step;
}
const MpiChoice kKnown{.mode = MpiMode::Pmi1, .is_sure = true, .why = "it links libmpich.so.12"};
const MpiChoice kUnknown{.mode = MpiMode::Auto, .is_sure = false, .why = ""};

TEST(StepMachine, ARankThatEndsWithoutHavingMetTheOthersFailsTheJob) {
  Step step = ranks_of(kKnown);
  step.on(ended(1, exited(0)));
  EXPECT_TRUE(step.signals(SIGTERM));
  step.on(ended(0, exited(0))).on(ended(2, exited(0)));
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.kind, OutcomeKind::Failed);
  EXPECT_EQ(report.outcome.exit_code, 76);
  EXPECT_NE(report.outcome.detail.find("task 1 on n0 ended without having met"), std::string::npos);
  EXPECT_NE(report.outcome.detail.find("libmpich.so.12"), std::string::npos);
  EXPECT_NE(report.outcome.detail.find("--mpi=none"), std::string::npos);
}
TEST(StepMachine, RanksThatHaveMetMayEnd) {
  Step step = ranks_of(kKnown);
  for (const std::uint32_t rank : {0U, 1U, 2U}) step.on(step_event::RankConnected{rank});
  for (const std::uint32_t rank : {0U, 1U, 2U}) step.on(ended(rank, exited(0)));
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::Completed);
}
TEST(StepMachine, TasksOfAProgramWithoutMpiNeedNotMeet) {
  Step step = ranks_of(kUnknown);
  for (const std::uint32_t rank : {0U, 1U, 2U}) step.on(ended(rank, exited(0)));
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::Completed);
}
TEST(StepMachine, ButIfOneConnectsAllMust) {
  for (const bool ends_first : {false, true}) {
    Step step = ranks_of(kUnknown);
    if (ends_first) step.on(ended(2, exited(0)));
    step.on(step_event::RankConnected{0});
    if (!ends_first) step.on(ended(2, exited(0)));
    EXPECT_TRUE(step.signals(SIGTERM)) << ends_first;
  }
}
TEST(StepMachine, SpawnedRanksAreWaitedFor) {
  Step step = ranks_of(kKnown);
  for (const std::uint32_t rank : {0U, 1U, 2U}) step.on(step_event::RankConnected{rank});
  step.on(step_event::ProgramsAdded{1});
  for (const std::uint32_t rank : {0U, 1U, 2U}) step.on(ended(rank, exited(0)));
  EXPECT_EQ(step.machine.phase(), StepPhase::Running);
  step.on(ended(3, exited(0)));
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::Completed);
}
TEST(StepMachine, AnMpiServerThatCannotStartMayBeTriedAgain) {
  Step step(order().nodes(1, 2).mpi());
  step.to_ready().on(step_event::Launch{}).on(step_event::PmixFailed{"no such file"});
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.kind, OutcomeKind::LaunchFailed);
  EXPECT_EQ(report.outcome.exit_code, 75);
  EXPECT_TRUE(report.never_launched);
}
TEST(StepMachine, AnMpiServerThatHangsIsGivenUp) {
  Step step(order().nodes(1, 2).mpi());
  step.to_ready().on(step_event::Launch{}).on(step_event::TimerFired{StepTimer::Start}, 60);
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::LaunchFailed);
}
TEST(StepMachine, AnMpiServerLostWhileRunningEndsTheJob) {
  Step step(order().nodes(1, 1).mpi());
  step.to_running().on(step_event::PmixFailed{"killed"});
  EXPECT_TRUE(step.signals(SIGTERM));
  step.on(ended(0, SIGTERM));
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::Failed);
}
TEST(StepMachine, AnUnreachablePeerIsALostNodeForRanksOnly) {
  Step ranks(order().nodes(2, 1).mpi());
  ranks.to_running().on(step_event::PeerLost{"n1"});
  EXPECT_TRUE(ranks.signals(SIGTERM));
  ranks.on(ended(0, SIGTERM));
  EXPECT_EQ(ranks.finish().outcome.kind, OutcomeKind::NodeFailed);
  Step batch(order().nodes(2, 1));
  batch.to_running().on(step_event::PeerLost{"n1"});
  EXPECT_TRUE(batch.actions.empty());
}
TEST(StepMachine, FailedTasksAreBounded) {
  Step step(order().nodes(1, 100).tasks());
  step.to_running();
  for (std::uint32_t task = 0; task < 100; ++task) step.on(ended(task, exited(1)));
  EXPECT_EQ(step.finish().failed_tasks.size(), kMaxFailedTasks);
}
TEST(StepMachine, TheKernelsWordOnMemoryIsTheOutcome) {
  Step step(order());
  step.to_running().on(ended(0, SIGKILL));
  EXPECT_EQ(step.finish({{}, {}, true}).outcome.kind, OutcomeKind::OutOfMemory);
}
TEST(StepMachine, AKillForMemoryIsTheOutcomeAlsoWhereTheLastProgramEndedWell) {
  Step step(order());
  step.to_running().on(ended(0, exited(0)));
  EXPECT_EQ(step.finish({{}, {}, true}).outcome.kind, OutcomeKind::OutOfMemory);
}

// ---- stop in each phase ------------------------------------------------------------------------

TEST(StepMachine, StopWhilePreparingAbortsThePreparation) {
  Step step(order());
  step.to_preparing().on(stop());
  EXPECT_NE(step.find<step_action::CleanUp>(), nullptr);
  EXPECT_TRUE(step.on(step_event::SandboxReady{1}).actions.empty());  // too late, and harmless
  EXPECT_TRUE(step.on(step_event::SandboxFailed{Error(ErrorKind::Internal, "x")}).actions.empty());
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome, cancelled());
  EXPECT_TRUE(report.never_launched);
}
TEST(StepMachine, StopWhenReadyNeverLaunches) {
  Step step(order());
  step.to_ready().on(stop()).on(step_event::Launch{});
  EXPECT_TRUE(step.actions.empty());
  EXPECT_TRUE(step.finish().never_launched);
}
TEST(StepMachine, StopWhileLaunchingStartsNoRank) {
  Step step(order().mpi());
  step.to_ready().on(step_event::Launch{}).on(stop());
  EXPECT_TRUE(step.on(step_event::PmixReady{}).actions.empty());
  EXPECT_TRUE(step.finish().never_launched);
}
TEST(StepMachine, StopOfARunningJobIsTermThenGraceThenKill) {
  Step step(order());
  step.to_running().on(stop(), 10);
  EXPECT_TRUE(step.signals(SIGTERM));
  EXPECT_EQ(step.armed(StepTimer::Grace), boot(40));
  step.on(step_event::TimerFired{StepTimer::Grace}, 40);
  EXPECT_TRUE(step.signals(SIGKILL));
  step.on(ended(0, SIGKILL), 40);
  EXPECT_EQ(step.finish().outcome, cancelled());
}
TEST(StepMachine, StopAtOnceIsKill) {
  Step step(order());
  step.to_running().on(stop(true));
  EXPECT_TRUE(step.signals(SIGKILL));
  EXPECT_FALSE(step.signals(SIGTERM));
}
TEST(StepMachine, ASecondStopAtOnceCutsTheGraceShort) {
  Step step(order());
  step.to_running().on(stop()).on(stop(true));
  EXPECT_TRUE(step.signals(SIGKILL));
  EXPECT_TRUE(step.on(stop(true)).actions.empty());
}
TEST(StepMachine, KilledProgramsThatAreNeverReportedAreCleanedUpAllTheSame) {
  Step step(order());
  step.to_running().on(stop(true), 10);
  EXPECT_EQ(step.armed(StepTimer::Grace), boot(10) + kKillPatience);
  step.on(step_event::TimerFired{StepTimer::Grace}, 20);
  EXPECT_EQ(step.finish().outcome, cancelled());
}
TEST(StepMachine, TheFirstReasonToStopCounts) {
  Step step(order().limit(seconds(60)));
  step.to_running().on(stop(), 59);
  EXPECT_TRUE(step.on(step_event::TimerFired{StepTimer::Limit}, 60).actions.empty());
  step.on(ended(0, exited(0)), 61);
  EXPECT_EQ(step.finish().outcome, cancelled());
}
TEST(StepMachine, StopAfterTheEndChangesNothing) {
  Step step(order());
  step.to_cleaning_up();
  EXPECT_TRUE(step.on(stop()).actions.empty());
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::Completed);
  EXPECT_TRUE(step.on(stop()).actions.empty());
}
TEST(StepMachine, ASignalReachesRunningProgramsOnly) {
  Step step(order());
  EXPECT_TRUE(step.to_ready().on(step_event::Signal{SIGUSR1}).actions.empty());
  EXPECT_TRUE(step.on(step_event::Launch{}).on(step_event::Signal{SIGUSR1}).signals(SIGUSR1));
}

// ---- limit and lease ---------------------------------------------------------------------------

TEST(StepMachine, TheLimitCountsFromTheLaunch) {
  Step step(order().limit(seconds(60)));
  step.to_ready().on(step_event::Launch{}, 50);
  EXPECT_EQ(step.armed(StepTimer::Limit), boot(110));
  step.on(step_event::TimerFired{StepTimer::Limit}, 110);
  EXPECT_TRUE(step.signals(SIGTERM));
  EXPECT_EQ(step.armed(StepTimer::Grace), boot(140));
  step.on(ended(0, SIGTERM), 111);
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.kind, OutcomeKind::TimedOut);
  EXPECT_EQ(report.wall, seconds(61));
}
TEST(StepMachine, AJobWithoutALimitHasNoTimer) {
  Step step(order());
  EXPECT_EQ(step.to_running().armed(StepTimer::Limit), std::nullopt);
}
TEST(StepMachine, ALeaseOverBeforeTheLaunchEndsThePreparedNode) {
  Step step(order().leased());
  EXPECT_EQ(step.to_preparing().armed(StepTimer::Lease), boot(100));
  step.on(step_event::SandboxReady{0}).on(step_event::TimerFired{StepTimer::Lease}, 100);
  EXPECT_TRUE(step.on(step_event::Launch{}, 101).actions.empty());
  const StepReport report = step.finish();
  EXPECT_EQ(report.outcome.kind, OutcomeKind::NodeFailed);
  EXPECT_TRUE(report.never_launched);
}
TEST(StepMachine, ALeaseOverKillsWithoutGrace) {
  Step step(order().leased());
  step.to_running().on(step_event::TimerFired{StepTimer::Lease}, 100);
  EXPECT_TRUE(step.signals(SIGKILL));
  step.on(ended(0, SIGKILL), 100);
  EXPECT_EQ(step.finish().outcome.kind, OutcomeKind::NodeFailed);
}
TEST(StepMachine, ALeaseOverDuringTheGraceKills) {
  Step step(order().leased());
  step.to_running().on(stop(), 90).on(step_event::TimerFired{StepTimer::Lease}, 100);
  EXPECT_TRUE(step.signals(SIGKILL));
  step.on(ended(0, SIGKILL), 100);
  EXPECT_EQ(step.finish().outcome, cancelled());
}
TEST(StepMachine, ALeaseOverWhileCleaningUpEndsTheWaiting) {
  Step step(order().leased());
  step.to_cleaning_up();
  for (const StepAction& action : step.actions) {
    const auto* cancelled_timer = std::get_if<step_action::CancelTimer>(&action);
    EXPECT_FALSE(cancelled_timer != nullptr && cancelled_timer->timer == StepTimer::Lease);
  }
  step.on(step_event::LeaseRenewed{boot(200)});
  EXPECT_EQ(step.armed(StepTimer::Lease), boot(200));
  step.on(step_event::TimerFired{StepTimer::Lease}, 100);  // of the old lease
  EXPECT_EQ(step.find<step_action::CleanUp>(), nullptr);
  step.on(step_event::TimerFired{StepTimer::Lease}, 200);
  EXPECT_NE(step.find<step_action::CleanUp>(), nullptr);
}
TEST(StepMachine, ContactMovesTheLease) {
  Step step(order().leased());
  step.to_running().on(step_event::LeaseRenewed{boot(200)});
  EXPECT_EQ(step.armed(StepTimer::Lease), boot(200));
  step.on(step_event::TimerFired{StepTimer::Lease}, 100);  // of the old lease
  EXPECT_FALSE(step.signals(SIGKILL));
}
TEST(StepMachine, LateNewsNeverShortensALease) {
  Step step(order().leased());
  step.to_running().on(step_event::LeaseRenewed{boot(50)});
  EXPECT_TRUE(step.actions.empty());
}
TEST(StepMachine, AJobThatMustNotBeRequeuedHasNoLease) {
  Step step(order());
  EXPECT_EQ(step.to_preparing().armed(StepTimer::Lease), std::nullopt);
  EXPECT_TRUE(step.on(step_event::TimerFired{StepTimer::Lease}, 1000).actions.empty());
  EXPECT_EQ(step.machine.phase(), StepPhase::Preparing);
}
TEST(StepMachine, AnEndedAttemptOutlivesItsLease) {
  Step step(order().leased());
  step.to_done().on(step_event::TimerFired{StepTimer::Lease}, 500);
  EXPECT_TRUE(step.actions.empty());
  EXPECT_EQ(step.machine.phase(), StepPhase::Done);
}

// ---- repeated and late news --------------------------------------------------------------------

TEST(StepMachine, ARepeatedOrderStartsNothingTwice) {
  Step step(order());
  step.to_ready();
  EXPECT_TRUE(step.on(step_event::Begin{boot(1)}).actions.empty());
  step.on(step_event::Launch{});
  EXPECT_TRUE(step.on(step_event::Launch{}).actions.empty());
}
TEST(StepMachine, AReturningAgentHearsHowThingsStand) {
  Step step(order());
  EXPECT_TRUE(step.to_preparing().on(step_event::AgentConnected{}).actions.empty());
  step.on(step_event::SandboxReady{7001}).on(step_event::AgentConnected{});
  ASSERT_NE(step.find<step_action::ReportPrepared>(), nullptr);
  EXPECT_EQ(step.find<step_action::ReportPrepared>()->peer_port, 7001);
  step.on(step_event::Launch{});
  EXPECT_TRUE(step.on(step_event::AgentConnected{}).actions.empty());
  step.on(ended(0, exited(3))).on(step_event::CleanedUp{}).on(step_event::AgentConnected{});
  ASSERT_NE(step.find<step_action::ReportFinished>(), nullptr);
  EXPECT_EQ(step.find<step_action::ReportFinished>()->report.outcome.exit_code, 3);
}
TEST(StepMachine, AReleaseBeforeTheEndIsAnEnd) {
  Step step(order());
  step.to_running().on(step_event::Released{});
  EXPECT_TRUE(step.signals(SIGTERM));
  step.on(ended(0, SIGTERM)).on(step_event::CleanedUp{});
  EXPECT_NE(step.find<step_action::ReportFinished>(), nullptr);
  EXPECT_NE(step.find<step_action::Leave>(), nullptr);
}
TEST(StepMachine, ARepeatedReleaseIsHarmless) {
  Step step(order());
  step.to_done().on(step_event::Released{});
  EXPECT_TRUE(step.on(step_event::Released{}).actions.empty());
}

// No event in no phase breaks the machine or starts a program twice; what cannot be is noted.
TEST(StepMachine, EveryPairOfPhaseAndEventIsConsidered) {
  const std::vector<StepEvent> events{step_event::Begin{boot(100)},
                                      step_event::SandboxReady{1},
                                      step_event::SandboxFailed{Error(ErrorKind::Internal, "x")},
                                      step_event::Launch{},
                                      step_event::PmixReady{},
                                      step_event::PmixFailed{"x"},
                                      step_event::PmixAborted{0, 1},
                                      step_event::PeerLost{"n1"},
                                      step_event::ProgramEnded{},
                                      stop(),
                                      step_event::Signal{SIGUSR1},
                                      step_event::LeaseRenewed{boot(200)},
                                      step_event::TimerFired{StepTimer::Grace},
                                      step_event::TimerFired{StepTimer::Limit},
                                      step_event::TimerFired{StepTimer::Lease},
                                      step_event::TimerFired{StepTimer::Start},
                                      step_event::CleanedUp{},
                                      step_event::AgentConnected{},
                                      step_event::Released{}};
  // Bounded walk: all sequences of three events from each phase on the usual way.
  using Way = Step& (Step::*)();
  const std::vector<Way> ways{&Step::to_preparing, &Step::to_ready, &Step::to_running,
                              &Step::to_cleaning_up, &Step::to_done};
  for (const bool mpi : {false, true}) {
    for (const Way way : ways) {
      for (const StepEvent& a : events) {
        for (const StepEvent& b : events) {
          for (const StepEvent& c : events) {
            Step step(mpi ? StepOrder(order().nodes(2, 1).mpi().leased())
                          : StepOrder(order().leased().limit(seconds(9))));
            (step.*way)();
            int starts = step.machine.has_launched() ? 1 : 0;
            for (const StepEvent& event : {a, b, c}) {
              step.on(event, 150);
              if (step.find<step_action::StartPrograms>() != nullptr) ++starts;
            }
            ASSERT_LE(starts, 1);
          }
        }
      }
    }
  }
}
TEST(StepMachine, ImpossibleNewsIsNoted) {
  Step step(order());
  EXPECT_NE(step.to_preparing().on(step_event::ProgramEnded{}).find<step_action::Note>(), nullptr);
  EXPECT_EQ(step.machine.phase(), StepPhase::Preparing);
}

// ---- standing still ----------------------------------------------------------------------------

step_event::Pause pause(std::uint64_t number, bool on) { return {number, on}; }

TEST(StepMachine, PauseIsToldWhenEveryProgramStandsStill) {
  Step step(order());
  const auto* paused = step.to_running().on(pause(7, true)).find<step_action::PausePrograms>();
  ASSERT_NE(paused, nullptr);
  EXPECT_TRUE(paused->on);
  EXPECT_EQ(step.find<step_action::ReportPaused>(), nullptr);
  EXPECT_TRUE(step.on(pause(7, true)).actions.empty());  // repeated while it is under way
  const auto* told = step.on(step_event::PauseSettled{true}).find<step_action::ReportPaused>();
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(told->number, 7U);
  EXPECT_TRUE(told->on);
  EXPECT_NE(step.on(pause(7, true)).find<step_action::ReportPaused>(), nullptr);  // told again
  EXPECT_EQ(step.find<step_action::PausePrograms>(), nullptr);
}

TEST(StepMachine, OfTwoPausesTheHigherNumberCounts) {
  Step step(order());
  step.to_running().on(pause(7, true)).on(step_event::PauseSettled{true});
  const auto* go_on = step.on(pause(8, false)).find<step_action::PausePrograms>();
  ASSERT_NE(go_on, nullptr);
  EXPECT_FALSE(go_on->on);
  EXPECT_TRUE(step.on(step_event::PauseSettled{true}).actions.empty());  // of the one before
  EXPECT_TRUE(step.on(pause(7, true)).actions.empty());                  // late
  const auto* told = step.on(step_event::PauseSettled{false}).find<step_action::ReportPaused>();
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(told->number, 8U);
}

TEST(StepMachine, TheWalltimeStandsStillAndTheLeaseDoesNot) {
  Step step(order().limit(seconds(100)).leased());
  step.to_ready().on(step_event::Launch{}, 10);
  EXPECT_EQ(step.armed(StepTimer::Limit), boot(110));
  step.on(pause(1, true), 40);
  EXPECT_NE(step.find<step_action::CancelTimer>(), nullptr);
  EXPECT_TRUE(step.on(step_event::TimerFired{StepTimer::Limit}, 45).actions.empty());
  EXPECT_EQ(step.on(step_event::LeaseRenewed{boot(300)}, 50).armed(StepTimer::Lease), boot(300));
  EXPECT_EQ(step.on(pause(2, false), 200).armed(StepTimer::Limit), boot(270));
  step.on(ended(0, exited(0)), 210);
  EXPECT_EQ(step.finish().wall, seconds(40));
}

TEST(StepMachine, ProgramsThatArePausedBeforeTheirLaunchStartWhenTheyAreLetGoOn) {
  for (const bool mpi : {false, true}) {
    Step step(mpi ? order().nodes(1, 2).mpi() : order());
    EXPECT_NE(step.to_ready().on(pause(3, true)).find<step_action::ReportPaused>(), nullptr);
    step.on(step_event::Launch{});
    EXPECT_EQ(step.find<step_action::StartPrograms>(), nullptr);
    if (mpi) step.on(step_event::PmixReady{});
    EXPECT_EQ(step.find<step_action::StartPrograms>(), nullptr);
    EXPECT_NE(step.on(pause(4, false)).find<step_action::StartPrograms>(), nullptr);
    EXPECT_EQ(step.machine.phase(), StepPhase::Running);
  }
}

TEST(StepMachine, StopLetsProgramsGoOnAfterTheirTerm) {
  Step step(order());
  step.to_running().on(pause(1, true)).on(step_event::PauseSettled{true});
  step.on(stop());
  ASSERT_TRUE(step.signals(SIGTERM));
  ASSERT_NE(step.find<step_action::PausePrograms>(), nullptr);
  EXPECT_FALSE(step.find<step_action::PausePrograms>()->on);
  EXPECT_TRUE(step.on(pause(2, true)).actions.empty());  // it is on its way out
}

TEST(StepMachine, TheLeasesEndKillsWhatStandsStill) {
  Step step(order().leased());
  step.to_running().on(pause(1, true)).on(step_event::PauseSettled{true});
  step.on(step_event::TimerFired{StepTimer::Lease}, 100);
  EXPECT_TRUE(step.signals(SIGKILL));
  ASSERT_NE(step.find<step_action::PausePrograms>(), nullptr);  // v1 lets nobody die before
}

}  // namespace
}  // namespace gangway::executor
