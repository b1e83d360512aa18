#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

World one_node() {
  World world;
  world.start().node("n1", 8);
  return world;
}

OutcomeKind outcome_of_workflow(const World& world) {
  for (const Event& event : world.events) {
    if (const auto* of = std::get_if<Event::OfWorkflow>(&event.subject)) {
      if (const auto* end = std::get_if<workflow_event::Finished>(&of->what)) return end->outcome;
    }
  }
  ADD_FAILURE() << "the workflow has not finished";
  return OutcomeKind::Completed;
}

// prepare -> solve -> render
TEST(Workflow, MembersRunInTheOrderOfTheirNeeds) {
  World world = one_node();
  world.submit_workflow({member("prepare"), member("solve").needs_success("prepare"),
                         member("render").needs_success("solve")});
  for (std::uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(world.phase(id), "Starting");
    world.run_to_end(id);
  }
  EXPECT_EQ(outcome_of_workflow(world), OutcomeKind::Completed);
  EXPECT_TRUE(world.workflow_rows.begin()->second.ended);
}

TEST(Workflow, WhatCanNeverRunIsSkippedWithItsReasonAndTheWorkflowEnds) {
  World world = one_node();
  world.submit_workflow({member("solve"), member("render").needs_success("solve"),
                         member("assemble").needs_success("render")});
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.end(2), OutcomeKind::Cancelled);
  EXPECT_EQ(world.detail(2), "skipped: needs solve to succeed, solve FAILED");
  EXPECT_EQ(world.detail(3), "skipped: needs render to succeed, render was skipped");
  EXPECT_EQ(outcome_of_workflow(world), OutcomeKind::Failed);
}

TEST(Workflow, ABranchThatIsNotTakenIsNoFailure) {
  World world = one_node();
  world.submit_workflow({member("solve"), member("report").needs_success("solve"),
                         member("repair").needs_failure("solve"),
                         member("thank").needs_success("repair")});
  world.run_to_end(1);
  EXPECT_EQ(world.detail(3), "skipped: needs solve to fail, solve COMPLETED");
  world.run_to_end(2);
  EXPECT_EQ(outcome_of_workflow(world), OutcomeKind::Completed);
}

TEST(Workflow, AMemberThatNeedsAnyEndRunsAlsoAfterASkippedOne) {
  World world = one_node();
  world.submit_workflow({member("solve"), member("render").needs_success("solve"),
                         member("clean").needs_any("render"),
                         member("alarm").needs_failure("render")});
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.phase(3), "Starting");
  EXPECT_EQ(world.end(4), OutcomeKind::Cancelled) << "being skipped is not failing";
  world.run_to_end(3);
  EXPECT_EQ(outcome_of_workflow(world), OutcomeKind::Failed);
}

TEST(Workflow, ACycleIsRefusedByName) {
  World world = one_node();
  const wire::Response response =
      world.try_submit_workflow({member("a").needs_success("c"), member("b").needs_success("a"),
                                 member("c").needs_success("b")});
  ASSERT_TRUE(response.has_error());
  EXPECT_NE(response.error().message().find("a -> b -> c -> a"), std::string::npos)
      << response.error().message();
  EXPECT_TRUE(world.rows.empty());
}

TEST(Workflow, AnUnknownNeedIsRefusedWithItsLine) {
  World world = one_node();
  const wire::Response response =
      world.try_submit_workflow({member("solve"), member("render").needs_success("sovle")});
  EXPECT_EQ(response.error().message(),
            "job render (line 20): needs sovle, which does not exist; did you mean solve?");
}

TEST(Workflow, OneWrongMemberRefusesTheWhole) {
  World world = one_node();
  const wire::Response response =
      world.try_submit_workflow({member("small"), member("large", job().nodes(50))});
  EXPECT_EQ(response.error().message(), "job large (line 20): 50 nodes asked, queue batch has 1");
  EXPECT_TRUE(world.rows.empty());
  EXPECT_TRUE(world.workflow_rows.empty());
}

TEST(Workflow, IsCancelledAsAWhole) {
  World world = one_node();
  world.submit_workflow({member("solve"), member("render").needs_success("solve"),
                         member("clean").needs_any("render")});
  world.run(1);
  wire::Request request;
  request.mutable_act()->set_verb(wire::Act::CANCEL);
  request.mutable_act()->add_workflows(1);
  const wire::Response response = world.ask(kAlice, request);
  EXPECT_EQ(response.acted().results_size(), 3);
  EXPECT_EQ(world.end(2), OutcomeKind::Cancelled);
  EXPECT_EQ(world.detail(2), "cancelled by alice");
  EXPECT_EQ(world.detail(3), "cancelled by alice");
  world.finished("n1", 1, outcome(OutcomeKind::Cancelled));
  EXPECT_EQ(outcome_of_workflow(world), OutcomeKind::Cancelled);
}

TEST(Workflow, GoesOnAfterARestart) {
  World world = one_node();
  world.submit_workflow({member("solve"), member("render").needs_success("solve")});
  world.run(1);
  world.restart().node("n1", 8, {{1, 1, wire::HeldAttempt::RUNNING}});
  world.finished("n1", 1);
  EXPECT_EQ(world.phase(2), "Starting");
  world.run_to_end(2);
  EXPECT_EQ(outcome_of_workflow(world), OutcomeKind::Completed);
}

// What is handed over at a restart is whole: the needs of a member that ended before it count.
TEST(Workflow, EndsBeforeARestartAreRememberedInIt) {
  World world = one_node();
  world.submit_workflow({member("left"), member("right"),
                         member("join").needs_success("left").needs_success("right")});
  world.run_to_end(1);
  world.run(2);
  world.restart().node("n1", 8, {{2, 1, wire::HeldAttempt::RUNNING}});
  EXPECT_EQ(world.reason(3), PendingReason::Dependency);
  world.finished("n1", 2);
  EXPECT_EQ(world.phase(3), "Starting");
}

}  // namespace
}  // namespace gangway::scheduler
