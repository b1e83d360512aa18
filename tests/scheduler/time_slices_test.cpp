// Gangs that take turns, and operators' suspensions, in the controller.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

using testing::HasSubstr;

constexpr Duration kSlice = seconds(30);

// Two nodes of four cores; gangs of a queue "sliced" share them in turns.
class Slices : public testing::Test {
 protected:
  Slices() {
    Queue sliced = world.config.queues.front();
    sliced.name = QueueName("sliced");
    sliced.is_default = false;
    sliced.time_slicing = TimeSlicing{2, kSlice};
    world.config.queues.push_back(sliced);
    world.config.heartbeat_every = seconds(5);
    world.start().nodes(2);
  }
  std::uint64_t gang() { return world.submit(whole()); }
  static SpecBuilder whole() {
    return job().nodes(2).tasks(2).cores(4).queue("sliced").every_task().limit(minutes(10));
  }
  void prepared(std::uint64_t id) {
    world.prepared("n1", id, world.get(id).attempt);
    world.prepared("n2", id, world.get(id).attempt);
  }
  void paused(std::uint64_t id) {
    world.paused("n1", id);
    world.paused("n2", id);
  }
  std::vector<std::string> told(const char* node) {
    std::vector<std::string> out = world.told(node);
    std::erase_if(out, [](const std::string& what) {
      return what == "ack" || what == "registered" || what.starts_with("prepare");
    });
    return out;
  }
  // Two gangs, the first running.
  void start_two() {
    ASSERT_EQ(gang(), 1U);
    prepared(1);
    ASSERT_EQ(gang(), 2U);
    prepared(2);
    ASSERT_EQ(world.phase(1), "Running");
    ASSERT_EQ(world.phase(2), "Starting");
    told("n1");
    told("n2");
  }
  std::string why(std::uint64_t id) {
    wire::Request request;
    wire::to_wire(World::key(id), request.mutable_explain()->add_keys());
    const wire::Response response = world.ask(kAlice, std::move(request));
    std::string text;
    for (const std::string& line : response.explained().lines()) text += line + "\n";
    return text;
  }
  World world;
};

TEST_F(Slices, AGangAloneRunsWithoutTurns) {
  gang();
  prepared(1);
  told("n1");
  world.live(minutes(2));
  EXPECT_EQ(world.phase(1), "Running");
  EXPECT_EQ(told("n1"), Told{});
}

TEST_F(Slices, TheNextGangIsLaunchedWhenAllNodesOfTheFirstStandStill) {
  start_two();
  EXPECT_THAT(why(2),
              HasSubstr("it is ready and waits for its time slice; this slice is of job 1"));
  world.live(kSlice + seconds(1));
  EXPECT_EQ(world.phase(1), "Suspended");
  EXPECT_EQ(told("n1").front(), "pause 1.1");
  EXPECT_EQ(told("n2").front(), "pause 1.1");
  world.paused("n1", 1);
  EXPECT_EQ(world.phase(2), "Starting");
  world.paused("n2", 1);
  EXPECT_EQ(world.phase(2), "Running");
  EXPECT_THAT(told("n1"), testing::Contains("launch 2.1"));
  EXPECT_THAT(why(1), HasSubstr("job 1 (work) is suspended on n[1-2]"));
  EXPECT_THAT(why(1), HasSubstr("this slice is of job 2; its own is expected in "));

  world.live(kSlice + seconds(1));
  EXPECT_EQ(world.phase(2), "Suspended");
  EXPECT_EQ(world.phase(1), "Suspended");
  paused(2);
  EXPECT_EQ(world.phase(1), "Running");
  EXPECT_THAT(told("n2"), testing::Contains("go on 1.1"));
}

TEST_F(Slices, PausedTimeIsNeitherRunTimeNorCharged) {
  start_two();
  world.live(kSlice);
  ASSERT_EQ(world.phase(1), "Suspended");
  const Duration ran = std::get<phase::Suspended>(world.get(1).phase).clock.accumulated;
  EXPECT_EQ(ran, kSlice);
  world.live(seconds(20));
  paused(1);
  EXPECT_EQ(std::get<phase::Suspended>(world.get(1).phase).clock.elapsed(world.now.wall), ran);
  double charged = 0;
  for (const Event& event : world.events) {
    const auto* of_account = std::get_if<Event::OfAccount>(&event.subject);
    if (of_account == nullptr) continue;
    const auto* charge = std::get_if<account_event::Charged>(&of_account->what);
    if (charge != nullptr && charge->job == World::key(1)) charged += charge->amount;
  }
  EXPECT_NEAR(charged, 8 * to_seconds(kSlice), 0.1);  // eight cores
}

TEST_F(Slices, AnOrderIsRepeatedUntilItIsAnsweredAndLateAnswersDoNotCount) {
  start_two();
  world.live(kSlice + seconds(1));
  const auto old = world.last_sent("n1", wire::ToNode::kPause).pause();
  world.paused("n2", 1);
  told("n1");
  told("n2");
  world.heartbeat("n1");
  EXPECT_EQ(told("n1"), Told{"pause 1.1"});
  world.heartbeat("n2");
  EXPECT_EQ(told("n2"), Told{});  // it has answered
  world.paused("n1", 1);
  world.heartbeat("n1");
  EXPECT_EQ(world.phase(2), "Running");
  world.live(kSlice + seconds(1));
  paused(2);
  ASSERT_EQ(world.phase(1), "Running");
  wire::FromNode late;
  *late.mutable_paused()->mutable_key() = old.key();
  late.mutable_paused()->set_attempt(1);
  late.mutable_paused()->set_number(old.number());
  late.mutable_paused()->set_on(true);
  world.say("n1", late);
  EXPECT_EQ(world.controller->stands_still(World::key(1)), std::nullopt);
}

TEST_F(Slices, ATurnThatNobodyAnswersGoesToTheNextAfterAWhile) {
  start_two();
  world.live(kSlice + seconds(1));
  ASSERT_EQ(world.phase(1), "Suspended");
  world.paused("n1", 1);
  world.live(seconds(31));  // n2 has said nothing
  EXPECT_EQ(world.phase(1), "Running");
  EXPECT_EQ(world.phase(2), "Starting");
}

TEST_F(Slices, AfterARestartAGangThatStandsStillIsOrderedAgainAndTheTurnsGoOn) {
  start_two();
  world.live(kSlice + seconds(1));
  paused(1);
  ASSERT_EQ(world.phase(2), "Running");
  world.restart();
  EXPECT_EQ(world.phase(1), "Suspended");
  EXPECT_EQ(world.phase(2), "Running");
  const World::Held held{{1, 1, wire::HeldAttempt::RUNNING}, {2, 1, wire::HeldAttempt::RUNNING}};
  world.node("n1", 4, held);
  world.node("n2", 4, held);
  EXPECT_THAT(told("n1"), testing::UnorderedElementsAre("pause 1.1", "go on 2.1"));
  paused(1);
  paused(2);
  world.live(kSlice + seconds(1));
  EXPECT_EQ(world.phase(2), "Suspended");
  EXPECT_EQ(world.phase(1), "Suspended");
  paused(2);
  EXPECT_EQ(world.phase(1), "Running");
}

// A restart in the middle of a change: nobody runs by the record, and the nodes have not been told.
TEST_F(Slices, AfterARestartNobodyGoesOnBeforeTheOthersSayThatTheyStandStill) {
  start_two();
  world.live(kSlice + seconds(1));
  paused(1);
  world.live(kSlice + seconds(1));
  ASSERT_EQ(world.phase(1), "Suspended");
  ASSERT_EQ(world.phase(2), "Suspended");
  world.restart();
  EXPECT_EQ(world.phase(1), "Suspended");
  EXPECT_EQ(world.phase(2), "Suspended");
  const World::Held held{{1, 1, wire::HeldAttempt::RUNNING}, {2, 1, wire::HeldAttempt::RUNNING}};
  world.node("n1", 4, held);
  world.node("n2", 4, held);
  paused(1);
  paused(2);
  const auto runs = [&](std::uint64_t id) { return world.phase(id) == "Running"; };
  EXPECT_NE(runs(1), runs(2));
}

TEST_F(Slices, ANodeThatComesBackHoldingAGangNotYetLaunchedIsToldToStandStillFirst) {
  start_two();
  world.live(kSlice + seconds(1));
  ASSERT_EQ(world.phase(1), "Suspended");
  world.disconnect("n1");
  world.node("n1", 4, {{1, 1, wire::HeldAttempt::PREPARED}, {2, 1, wire::HeldAttempt::PREPARED}});
  const auto orders = told("n1");
  const auto pause = std::ranges::find(orders, "pause 1.1");
  const auto launch = std::ranges::find(orders, "launch 1.1");
  ASSERT_TRUE(pause != orders.end() && launch != orders.end());
  EXPECT_LT(pause, launch);
}

TEST_F(Slices, AnEndInTheMiddleOfATurnGivesItToTheOther) {
  start_two();
  world.live(seconds(5));
  world.finished("n1", 1);
  EXPECT_EQ(world.phase(1), "Running");  // independent tasks: the other node's is at it
  world.finished("n2", 1);
  EXPECT_EQ(world.phase(1), "Finished");
  EXPECT_EQ(world.phase(2), "Running");
}

TEST_F(Slices, ACancelledGangThatStillCleansUpKeepsTheOthersOut) {
  start_two();
  EXPECT_EQ(world.cancel(1), "");
  EXPECT_EQ(world.phase(1), "Completing");
  world.live(seconds(2));
  EXPECT_EQ(world.phase(2), "Starting");
  world.finished("n1", 1, outcome(OutcomeKind::Cancelled));
  EXPECT_EQ(world.phase(2), "Starting");
  world.finished("n2", 1, outcome(OutcomeKind::Cancelled));
  EXPECT_EQ(world.phase(2), "Running");
}

TEST_F(Slices, OnlyAnOperatorSuspendsAndResumes) {
  world.submit(job().nodes(2).limit(minutes(10)));
  world.run(1);
  told("n1");
  EXPECT_THAT(world.act(wire::Act::SUSPEND, 1, kAlice).acted().results(0).error().message(),
              HasSubstr("alice is no operator"));
  EXPECT_FALSE(world.act(wire::Act::SUSPEND, 1, kOlga).acted().results(0).has_error());
  EXPECT_EQ(world.phase(1), "Suspended");
  EXPECT_EQ(told("n1"), Told{"pause 1.1"});
  EXPECT_THAT(why(1), HasSubstr("an operator has suspended it; jctl resume 1 lets it go on"));
  world.live(hours(1));
  EXPECT_FALSE(world.act(wire::Act::RESUME, 1, kOlga).acted().results(0).has_error());
  EXPECT_EQ(world.phase(1), "Running");
  EXPECT_THAT(told("n1"), testing::Contains("go on 1.1"));
  EXPECT_THAT(world.act(wire::Act::RESUME, 1, kOlga).acted().results(0).error().message(),
              HasSubstr("is not suspended by an operator"));
}

TEST_F(Slices, WhatAnOperatorHasSuspendedIsLeftOutOfTheTurns) {
  start_two();
  world.act(wire::Act::SUSPEND, 1, kOlga);
  paused(1);
  EXPECT_EQ(world.phase(2), "Running");
  world.live(minutes(3));
  EXPECT_EQ(world.phase(2), "Running");
  world.act(wire::Act::RESUME, 1, kOlga);
  EXPECT_EQ(world.phase(1), "Suspended");  // it waits for its slice, which is due
  world.live(seconds(1));
  paused(2);
  EXPECT_EQ(world.phase(1), "Running");
}

TEST_F(Slices, CoresOfGangsThatTakeTurnsCountOnce) {
  start_two();
  wire::Request request;
  request.mutable_list_nodes();
  const wire::Response response = world.ask(kAlice, std::move(request));
  ASSERT_EQ(response.nodes().nodes_size(), 2);
  EXPECT_EQ(response.nodes().nodes(0).used().cores(), 4);
}

}  // namespace
}  // namespace gangway::scheduler
