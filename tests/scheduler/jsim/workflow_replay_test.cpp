// Workflows run again: needs are kept, cores are not given twice, and the order of the longest path
// is what makes them shorter.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "scheduler/jsim/figures.hpp"
#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/shake.hpp"
#include "scheduler/jsim/workflow_trace.hpp"

namespace gangway::jsim {
namespace {

WorkflowInput workflow(std::vector<Task> tasks,
                       std::vector<GraphEdge> edges,
                       const std::string& user = "") {
  return {
      "flow.json", user, {.name = "flow", .tasks = std::move(tasks), .edges = std::move(edges)}};
}

// Two short ones stand in the file before the long chain.
//
//   a   b   c -> d -> e
//   10  10  10   10   10
WorkflowInput two_and_a_chain() {
  std::vector<Task> tasks;
  for (const char* name : {"a", "b", "c", "d", "e"}) tasks.push_back({name, seconds(10), 1});
  return workflow(std::move(tasks), {{2, 3}, {3, 4}});
}

Schedule run(const Trace& trace,
             DagOrder dag,
             const char* policy = "easy",
             EventOrder order = EventOrder::Batch) {
  ReplayOptions options;
  options.policy = *parse_backfill_policy(policy);
  options.order = order;
  options.dag = dag;
  options.with_places = true;
  return replay(trace, options);
}

double makespan_s(const Trace& trace, const Schedule& schedule) {
  return figures_of(trace, schedule).makespan_s;
}

TEST(WorkflowReplay, TheLongestPathFirstIsShorterThanTheOrderOfTheFile) {
  const Trace trace = trace_of_workflows({two_and_a_chain()}, {.nodes = 2, .cores = 1});
  // plain:  a c e     path:  c d e
  //         b d              a b
  EXPECT_EQ(makespan_s(trace, run(trace, DagOrder::Plain)), 40);
  EXPECT_EQ(makespan_s(trace, run(trace, DagOrder::CriticalPath)), 30);
}

TEST(WorkflowReplay, ATaskWaitsFromTheMomentItMayStart) {
  const Trace trace = trace_of_workflows({two_and_a_chain()}, {.nodes = 1, .cores = 1});
  const Schedule schedule = run(trace, DagOrder::Plain);
  EXPECT_EQ(schedule.runs[3].eligible, Time{seconds(30).ns});
  EXPECT_EQ(schedule.runs[3].start, Time{seconds(30).ns});
}

TEST(WorkflowReplay, TasksThatTakeNoTimeHoldNobodyUp) {
  const Trace trace = trace_of_workflows(
      {workflow({{"a", seconds(0), 1}, {"b", seconds(0), 1}, {"c", seconds(5), 1}},
                {{0, 1}, {1, 2}})},
      {.nodes = 1, .cores = 1});
  for (const EventOrder order : {EventOrder::Batch, EventOrder::Evt}) {
    EXPECT_EQ(makespan_s(trace, run(trace, DagOrder::CriticalPath, "easy", order)), 5);
  }
}

TEST(WorkflowReplay, ATaskOfMoreCoresThanANodeHasTakesThemAll) {
  const Trace trace =
      trace_of_workflows({workflow({{"a", seconds(5), 8}}, {})}, {.nodes = 4, .cores = 2});
  EXPECT_EQ(trace.jobs[0].processors, 2);
  ASSERT_EQ(trace.oddities.size(), 1U);
  EXPECT_EQ(trace.oddities[0].where, "flow.json: task a");
  EXPECT_TRUE(trace.oddities[0].mended);
}

TEST(WorkflowReplay, WorkflowsOfSeveralUsersAreSubmittedApart) {
  const Trace trace = trace_of_workflows(
      {two_and_a_chain(), two_and_a_chain(), workflow({{"z", seconds(1), 1}}, {}, "ann")},
      {.nodes = 2, .cores = 1}, minutes(1));
  ASSERT_EQ(trace.workflows.size(), 3U);
  EXPECT_EQ(trace.workflows[2].submit, Time{minutes(2).ns});
  EXPECT_EQ(trace.user_names.at(trace.workflows[0].user), "u1");
  EXPECT_EQ(trace.user_names.at(trace.workflows[2].user), "ann");
  EXPECT_EQ(trace.jobs[8].needs, std::vector<std::uint32_t>{7});
  EXPECT_EQ(makespan_s(trace, run(trace, DagOrder::CriticalPath)), 121);
}

// Of two users one has the better share: only a workflow's own tasks change places.
TEST(WorkflowReplay, NobodyElseIsPassedByALongPath) {
  const Trace trace =
      trace_of_workflows({workflow({{"short", seconds(10), 1}}, {}, "ann"), two_and_a_chain()},
                         {.nodes = 1, .cores = 1});
  EXPECT_EQ(run(trace, DagOrder::CriticalPath).runs[0].start, Time{});
}

WorkflowInput random_workflow(Rng& rng) {
  std::vector<Task> tasks;
  std::vector<GraphEdge> edges;
  const auto count = static_cast<std::uint32_t>(rng.between(5, 60));
  for (std::uint32_t i = 0; i < count; ++i) {
    tasks.push_back(
        {cat("t", i), seconds(rng.between(0, 50)), static_cast<std::int32_t>(rng.between(1, 5))});
    for (std::uint32_t j = 0; j < i; ++j) {
      if (rng.chance(80)) edges.push_back({j, i});
    }
  }
  return workflow(std::move(tasks), std::move(edges));
}

void expect_sound(const Trace& trace, const Schedule& schedule) {
  std::map<Time, std::vector<std::pair<std::int32_t, bool>>> changes;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const JobRun& job = schedule.runs[i];
    EXPECT_EQ(job.end - job.start, trace.jobs[i].run);
    EXPECT_GE(job.start, job.eligible);
    EXPECT_GE(job.eligible, trace.jobs[i].submit);
    for (const std::uint32_t on : trace.jobs[i].needs) {
      EXPECT_GE(job.eligible, schedule.runs[on].end);
    }
    ASSERT_EQ(job.places.size(), static_cast<std::size_t>(trace.jobs[i].processors));
    const std::int32_t per_node = trace.processors / trace.nodes;
    for (const std::int32_t place : job.places) {
      EXPECT_EQ(place / per_node, job.places.front() / per_node) << "a task on two nodes";
      if (job.start == job.end) continue;
      changes[job.start].emplace_back(place, true);
      changes[job.end].emplace_back(place, false);
    }
  }
  std::vector<int> held(static_cast<std::size_t>(trace.processors), 0);
  for (const auto& [at, list] : changes) {
    for (const auto& [place, starts] : list)
      held[static_cast<std::size_t>(place)] += starts ? 1 : -1;
    EXPECT_LE(*std::max_element(held.begin(), held.end()), 1) << "a core given twice";
  }
}

TEST(WorkflowReplay, RandomWorkflowsKeepTheirNeedsUnderEveryPolicy) {
  Rng rng(11);
  for (int round = 0; round < 25; ++round) {
    const Trace trace =
        trace_of_workflows({random_workflow(rng), random_workflow(rng), random_workflow(rng)},
                           {.nodes = static_cast<std::int32_t>(rng.between(1, 4)), .cores = 5},
                           seconds(rng.between(0, 40)));
    for (const char* policy : {"fcfs", "easy", "easy:3", "easy-sjbf", "conservative"}) {
      for (const EventOrder order : {EventOrder::Batch, EventOrder::Evt}) {
        expect_sound(trace, run(trace, DagOrder::CriticalPath, policy, order));
        expect_sound(trace, run(trace, DagOrder::Plain, policy, order));
      }
    }
    const Trace moved = shake(trace, seconds(100), rng);
    expect_sound(moved, run(moved, DagOrder::CriticalPath));
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(WorkflowReplay, ShakingMovesAWorkflowAsAWhole) {
  const Trace trace = trace_of_workflows({two_and_a_chain(), two_and_a_chain()},
                                         {.nodes = 2, .cores = 1}, minutes(10));
  Rng rng(3);
  const Trace moved = shake(trace, minutes(60), rng);
  for (std::size_t i = 1; i < 5; ++i) {
    EXPECT_EQ(moved.jobs[i].workflow, moved.jobs[0].workflow);
    EXPECT_EQ(moved.jobs[i].submit, moved.jobs[0].submit);
  }
  EXPECT_EQ(moved.jobs[3].needs, std::vector<std::uint32_t>{2});
}

}  // namespace
}  // namespace gangway::jsim
