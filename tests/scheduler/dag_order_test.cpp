// Within what a workflow's owner has in the line, the jobs on the longest path go first.
#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

SpecBuilder lasting(Duration limit) { return job().limit(limit); }

// Only age counts beside the paths.
World one_core() {
  World world;
  world.config.priority.fair_share = 0;
  world.start().node("n1", 1);
  return world;
}

std::string why(World& world, std::uint64_t id) {
  wire::Request request;
  wire::to_wire(World::key(id), request.mutable_explain()->add_keys());
  const wire::Response response = world.ask(kAlice, request);
  std::string out;
  for (const auto& line : response.explained().lines()) out += line + '\n';
  return out;
}

//   short (1m)          -> end (1m)
//   long (1m) -> middle (1h) -> end
TEST(DagOrder, OfTwoThatMayStartTheOneOnTheCriticalPathDoes) {
  World world = one_core();
  world.submit_workflow(
      {member("short", lasting(minutes(1))), member("long", lasting(minutes(1))),
       member("middle", lasting(hours(1))).needs_success("long"),
       member("end", lasting(minutes(1))).needs_success("short").needs_success("middle")});
  EXPECT_EQ(world.phase(1), "Waiting");
  EXPECT_EQ(world.phase(2), "Starting");
}

// `middle` may start an hour after `short`, and yet goes first; but not before bob's job, which is
// older than what it has.
TEST(DagOrder, AMemberThatComesLaterTakesTheTurnOfOneWithAShorterPath) {
  World world = one_core();
  world.submit_workflow({member("short", lasting(minutes(1))), member("long", lasting(hours(2))),
                         member("middle", lasting(hours(2))).needs_success("long")});
  world.run(2);
  world.live(minutes(30));
  const std::uint64_t of_bob = world.submit(lasting(minutes(1)), kBob);
  world.live(minutes(30));
  world.finished("n1", 2);
  EXPECT_EQ(world.phase(3), "Starting");
  world.run_to_end(3);
  // The turn of `short` has been used by `middle`; what is left is younger than bob's.
  EXPECT_EQ(world.phase(of_bob), "Starting");
  world.run_to_end(of_bob);
  EXPECT_EQ(world.phase(1), "Starting");
}

TEST(DagOrder, BeingHeldAndReleasedBringsNoTurnBack) {
  World world = one_core();
  world.submit_workflow({member("short", lasting(minutes(1))), member("long", lasting(hours(2))),
                         member("middle", lasting(hours(2))).needs_success("long")});
  world.run(2);
  world.live(minutes(30));
  const std::uint64_t of_bob = world.submit(lasting(minutes(1)), kBob);
  world.live(minutes(30));
  world.finished("n1", 2);
  EXPECT_EQ(world.phase(3), "Starting");
  world.act(wire::Act::HOLD, 1);
  world.act(wire::Act::RELEASE, 1);
  world.run_to_end(3);
  EXPECT_EQ(world.phase(of_bob), "Starting");
}

TEST(DagOrder, JobsThatAreInNoWorkflowGoByTheirAge) {
  World world = one_core();
  const std::uint64_t first = world.submit(lasting(minutes(1)));
  const std::uint64_t second = world.submit(lasting(minutes(1)));
  world.submit(lasting(hours(9)));
  world.run_to_end(first);
  EXPECT_EQ(world.phase(second), "Starting");
}

TEST(DagOrder, WhatIsDoneAboutAFailureIsNotOnTheWay) {
  World world = one_core();
  world.submit_workflow({member("a", lasting(minutes(1))), member("b", lasting(minutes(2))),
                         member("repair", lasting(hours(9))).needs_failure("a")});
  EXPECT_EQ(world.phase(2), "Starting");
}

TEST(DagOrder, ItIsTheSameAfterARestart) {
  World world = one_core();
  world.submit(lasting(minutes(1)), kBob);
  world.submit_workflow({member("short", lasting(minutes(1))), member("long", lasting(minutes(1))),
                         member("middle", lasting(hours(1))).needs_success("long")});
  world.run(1);
  world.restart().node("n1", 1, {{1, 1, wire::HeldAttempt::RUNNING}});
  world.finished("n1", 1);
  EXPECT_EQ(world.phase(3), "Starting");
}

TEST(DagOrder, IsExplained) {
  World world = one_core();
  world.submit_workflow({member("short", lasting(minutes(1))), member("long", lasting(hours(1))),
                         member("end", lasting(hours(4))).needs_success("long")});
  EXPECT_NE(why(world, 1).find("  critical path: 1:00 of 05:00:00 of workflow w1\n"),
            std::string::npos)
      << why(world, 1);
  EXPECT_NE(why(world, 3).find("  critical path: 04:00:00 of 05:00:00 of workflow w1\n"),
            std::string::npos)
      << why(world, 3);
}

TEST(DagOrder, AJobWithoutALimitIsLongerThanAnyOther) {
  World world = one_core();
  world.submit_workflow({member("limited", lasting(hours(7200))), member("unlimited")});
  EXPECT_EQ(world.phase(2), "Starting");
  EXPECT_NE(why(world, 1).find("of no limit of workflow w1\n"), std::string::npos);
}

}  // namespace
}  // namespace gangway::scheduler
