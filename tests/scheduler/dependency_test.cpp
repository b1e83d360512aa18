#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

World one_node() {
  World world;
  world.start().node("n1");
  return world;
}

TEST(Dependency, AfterOkRunsAfterSuccess) {
  World world = one_node();
  world.submit(job());
  world.submit(job().after(DependencyKind::AfterOk, 1));
  EXPECT_EQ(world.reason(2), PendingReason::Dependency);
  world.run_to_end(1);
  EXPECT_EQ(world.phase(2), "Starting");
}

TEST(Dependency, AfterOkOfAFailureWaitsForEver) {
  World world = one_node();
  world.submit(job());
  world.submit(job().after(DependencyKind::AfterOk, 1));
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.phase(2), "Waiting");
  EXPECT_EQ(world.reason(2), PendingReason::DependencyNeverSatisfied);
}

TEST(Dependency, UnlessItAskedToBeEnded) {
  World world = one_node();
  world.submit(job());
  world.submit(job().after(DependencyKind::AfterOk, 1).kill_on_invalid());
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.end(2), OutcomeKind::Cancelled);
  EXPECT_EQ(world.detail(2), "its dependency cannot be met: needs job 1 to succeed, job 1 FAILED");
}

TEST(Dependency, AfterNotOkAndAfterAny) {
  World world = one_node();
  world.submit(job());
  world.submit(job().after(DependencyKind::AfterNotOk, 1));
  world.submit(job().after(DependencyKind::AfterAny, 1));
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.phase(2), "Starting");
  EXPECT_EQ(world.phase(3), "Starting");
}

TEST(Dependency, AfterCountsFromTheStart) {
  World world = one_node();
  world.submit(job());
  world.submit(job().after(DependencyKind::After, 1, seconds(30)));
  EXPECT_EQ(world.reason(2), PendingReason::Dependency);
  world.run(1);
  EXPECT_EQ(world.reason(2), PendingReason::BeginTime);
  world.live(seconds(29));
  EXPECT_EQ(world.phase(2), "Waiting");
  world.live(seconds(1));
  EXPECT_EQ(world.phase(2), "Starting");
}

TEST(Dependency, SingletonWaitsForThoseOfItsNameBeforeIt) {
  World world = one_node();
  world.submit(job().name("solo"));
  world.submit(job().name("other"));
  world.submit(job().name("solo"), kBob);
  world.submit(job().name("solo").after(DependencyKind::Singleton, 0));
  world.submit(job().name("solo").after(DependencyKind::Singleton, 0));
  EXPECT_EQ(world.reason(4), PendingReason::Dependency);
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.phase(4), "Starting");
  EXPECT_EQ(world.phase(5), "Waiting");
}

TEST(Dependency, OnAJobThatNeverWasIsRefused) {
  World world = one_node();
  EXPECT_EQ(world.try_submit(job().after(DependencyKind::AfterOk, 41)).error().message(),
            "--dependency: there is no job 41");
}

TEST(Dependency, OnAJobForgottenLongAgoTheStoreIsAsked) {
  World world = one_node();
  world.submit(job());
  world.run_to_end(1);
  world.restart().node("n1");
  EXPECT_EQ(world.controller->state().find_job(World::key(1)), nullptr);
  const auto id = world.submit(job().after(DependencyKind::AfterOk, 1));
  EXPECT_EQ(world.phase(id), "Starting");
  const auto doomed = world.submit(job().after(DependencyKind::AfterNotOk, 1));
  EXPECT_EQ(world.reason(doomed), PendingReason::DependencyNeverSatisfied);
}

TEST(Dependency, BeginTimeKeepsAJob) {
  World world = one_node();
  world.submit(job().begin(world.now.wall + hours(2)));
  EXPECT_EQ(world.reason(1), PendingReason::BeginTime);
  world.live(hours(2) - seconds(1));
  EXPECT_EQ(world.phase(1), "Waiting");
  world.live(seconds(1));
  EXPECT_EQ(world.phase(1), "Starting");
}

TEST(Dependency, ALongChainOfDoomedJobsEndsInOneTurn) {
  World world = one_node();
  world.submit(job());
  for (std::uint64_t id = 2; id <= 20'000; ++id) {
    wire::Request request;
    request.mutable_submit()->set_key(world.fresh_key());
    wire::to_wire(job().after(DependencyKind::AfterOk, id - 1).kill_on_invalid().spec(),
                  request.mutable_submit()->add_jobs()->mutable_spec());
    world.perform(world.controller->on_client_request(world.client, {kAlice, kAlice, 1}, 1,
                                                      std::move(request), world.now));
  }
  world.run(1);
  world.finished("n1", 1, failed(1));
  EXPECT_TRUE(world.rows.at(World::key(20'000)).is_finished());
}

}  // namespace
}  // namespace gangway::scheduler
