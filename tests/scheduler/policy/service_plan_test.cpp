// Services by their plan: each test plays a small world in which replicas become ready, leave the
// balancer and end, and looks at what the plan asks for and at what its bounds promise.
#include "scheduler/policy/service_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "queues/model/service_machine.hpp"

namespace gangway::scheduler {
namespace {

using Kind = ServiceStep::Kind;

Time at_s(std::int64_t s) { return Time{} + seconds(s); }

ServiceSpec service(std::int32_t replicas) {
  ServiceSpec spec;
  spec.name = "web";
  spec.replicas = replicas;
  return spec;
}

// Does what the plan says, second by second.
class World {
 public:
  explicit World(ServiceSpec wanted) : spec(std::move(wanted)) { progress.revision = 1; }

  // One second: what was asked for comes true, then the plan is asked again.
  void tick() {
    ++now_s;
    for (Replica& r : replicas) {
      if (r.phase == ReplicaPhase::Waiting) {
        if (holding() < places) become(r, ReplicaPhase::Starting);
      } else if (r.phase == ReplicaPhase::Starting && is_healthy(r.revision)) {
        become(r, ReplicaPhase::Ready);
      } else if (r.phase == ReplicaPhase::Draining) {
        become(r, ReplicaPhase::Drained);
      } else if (r.phase == ReplicaPhase::Stopping) {
        become(r, ReplicaPhase::Ended);
        r.wished = true;
      }
    }
    ask();
  }
  void ask() {
    last = plan_service(spec, replicas, progress, at_s(now_s));
    progress = last.progress;
    for (const ServiceStep& step : last.steps) carry_out(step);
    least_ready = std::min(least_ready, ready());
    most_there = std::max(most_there, static_cast<std::int32_t>(replicas.size()));
  }
  bool run_until_settled(int most_ticks = 1000) {
    for (int i = 0; i < most_ticks; ++i) {
      tick();
      if (last.is_settled) return true;
    }
    return false;
  }
  void watch() {
    least_ready = ready();
    most_there = static_cast<std::int32_t>(replicas.size());
  }
  void end(std::int64_t number) {
    for (Replica& r : replicas) {
      if (r.number != number) continue;
      become(r, ReplicaPhase::Ended);
      r.failed = true;
    }
  }
  [[nodiscard]] std::int32_t ready() const {
    return static_cast<std::int32_t>(std::ranges::count_if(
        replicas, [](const Replica& r) { return r.phase == ReplicaPhase::Ready; }));
  }
  [[nodiscard]] std::set<std::int64_t> revisions() const {
    std::set<std::int64_t> found;
    for (const Replica& r : replicas) found.insert(r.revision);
    return found;
  }
  [[nodiscard]] int count(Kind kind) const {
    return static_cast<int>(std::ranges::count(last.steps, kind, &ServiceStep::kind));
  }

  ServiceSpec spec;
  ServiceProgress progress;
  std::vector<Replica> replicas;
  ServicePlan last;
  std::int64_t now_s = 1000;
  std::int32_t least_ready = 0;
  std::int32_t most_there = 0;
  std::int32_t places = 1000;  // on nodes
  std::function<bool(std::int64_t)> is_healthy = [](std::int64_t) { return true; };

 private:
  void become(Replica& r, ReplicaPhase phase) const {
    r.phase = phase;
    r.since = at_s(now_s);
  }
  [[nodiscard]] std::int32_t holding() const {
    return static_cast<std::int32_t>(std::ranges::count_if(replicas, [](const Replica& r) {
      return r.phase != ReplicaPhase::Waiting && r.phase != ReplicaPhase::Ended;
    }));
  }
  void carry_out(const ServiceStep& step) {
    const auto found = std::ranges::find(replicas, step.replica, &Replica::number);
    switch (step.kind) {
      case Kind::Start:
        replicas.push_back(
            {.number = step.replica, .revision = step.revision, .since = at_s(now_s)});
        break;
      case Kind::Cancel:
      case Kind::Stop:
        become(*found, ReplicaPhase::Stopping);
        break;
      case Kind::Drain:
        become(*found, ReplicaPhase::Draining);
        break;
      case Kind::Forget:
        replicas.erase(found);
        break;
      case Kind::GiveUp:
        break;
    }
  }
};

TEST(ServicePlan, WantedReplicasAreStartedAtOnceAndThenNothingIsDone) {
  World world(service(3));
  world.ask();
  EXPECT_EQ(world.count(Kind::Start), 3);
  ASSERT_TRUE(world.run_until_settled());
  world.tick();
  EXPECT_TRUE(world.last.steps.empty());
  EXPECT_EQ(world.progress.whole, 1);
}

TEST(ServicePlan, WithoutAPlaceForOneMoreAnUpdateReplacesOneAtATime) {
  World world(service(3));
  world.places = 3;
  ASSERT_TRUE(world.run_until_settled());
  world.progress = want_revision(world.progress, 2, at_s(world.now_s));
  world.watch();
  world.ask();
  // Nothing else would say that a place was not found.
  EXPECT_EQ(world.last.look_again, at_s(world.now_s + 5));
  ASSERT_TRUE(world.run_until_settled(100));
  EXPECT_EQ(world.revisions(), (std::set<std::int64_t>{2}));
  EXPECT_EQ(world.least_ready, 2);
  EXPECT_EQ(world.most_there, 4);
}

TEST(ServicePlan, WithAPlaceForOneMoreNoneIsMissedDuringAnUpdate) {
  World world(service(3));
  world.places = 4;
  ASSERT_TRUE(world.run_until_settled());
  world.progress = want_revision(world.progress, 2, at_s(world.now_s));
  world.watch();
  ASSERT_TRUE(world.run_until_settled(100));
  EXPECT_EQ(world.least_ready, 3);
}

TEST(ServicePlan, WhereNoneMayBeMissedAnUpdateWithoutAPlaceWaitsAndIsTurnedBack) {
  ServiceSpec spec = service(3);
  spec.update.max_unavailable = {0, false};
  World world(spec);
  world.places = 3;
  ASSERT_TRUE(world.run_until_settled());
  world.progress = want_revision(world.progress, 2, at_s(world.now_s));
  world.watch();
  ASSERT_TRUE(world.run_until_settled());
  EXPECT_EQ(world.revisions(), (std::set<std::int64_t>{1}));
  EXPECT_EQ(world.progress.given_up, 2);
  EXPECT_EQ(world.least_ready, 3);
}

TEST(ServicePlan, ADrainedNodeIsEmptiedThoughItsReplicaFindsNoOtherPlace) {
  World world(service(3));
  world.places = 3;
  ASSERT_TRUE(world.run_until_settled());
  world.replicas.front().must_move = true;
  world.places = 2;
  for (int i = 0; i < 20; ++i) world.tick();
  EXPECT_EQ(world.ready(), 2);
  EXPECT_TRUE(std::ranges::none_of(world.replicas, &Replica::must_move));
}

TEST(ServicePlan, ScalingNeverTakesMoreThanWasAskedFor) {
  World world(service(3));
  ASSERT_TRUE(world.run_until_settled());
  world.spec.replicas = 6;
  world.watch();
  ASSERT_TRUE(world.run_until_settled());
  EXPECT_EQ(world.least_ready, 3);
  world.spec.replicas = 2;
  world.watch();
  ASSERT_TRUE(world.run_until_settled());
  EXPECT_EQ(world.least_ready, 2);
  // The oldest are kept.
  EXPECT_EQ(world.replicas.front().number, 1);
}

TEST(ServicePlan, AReplicaLeavesTheBalancerBeforeItIsStopped) {
  World world(service(1));
  ASSERT_TRUE(world.run_until_settled());
  world.spec.replicas = 0;
  world.ask();
  EXPECT_EQ(world.last.steps, (std::vector<ServiceStep>{{Kind::Drain, 1, 0}}));
  world.replicas[0].phase = ReplicaPhase::Draining;
  world.ask();
  EXPECT_TRUE(world.last.steps.empty()) << "stopped without confirmation";
  world.replicas[0].phase = ReplicaPhase::Drained;
  world.ask();
  EXPECT_EQ(world.last.steps, (std::vector<ServiceStep>{{Kind::Stop, 1, 0}}));
}

TEST(ServicePlan, AnUpdateKeepsItsBounds) {
  for (const std::int32_t replicas : {1, 2, 3, 4, 10, 33}) {
    for (const auto& [surge, unavailable] :
         {std::pair<ReplicaShare, ReplicaShare>{{25, true}, {25, true}},
          {{1, false}, {0, false}},
          {{0, false}, {1, false}},
          {{100, true}, {0, false}}}) {
      World world(service(replicas));
      world.spec.update.max_surge = surge;
      world.spec.update.max_unavailable = unavailable;
      ASSERT_TRUE(world.run_until_settled());
      world.progress = want_revision(world.progress, 2, at_s(world.now_s));
      world.watch();
      ASSERT_TRUE(world.run_until_settled()) << replicas;
      EXPECT_EQ(world.revisions(), std::set<std::int64_t>{2});
      EXPECT_GE(world.least_ready, replicas - unavailable.of(replicas, false)) << replicas;
      EXPECT_LE(world.most_there, replicas + surge.of(replicas, true)) << replicas;
    }
  }
}

TEST(ServicePlan, SharesAreRoundedUpAboveAndDownBelow) {
  EXPECT_EQ((ReplicaShare{25, true}.of(3, true)), 1);
  EXPECT_EQ((ReplicaShare{25, true}.of(3, false)), 0);
  EXPECT_EQ((ReplicaShare{2, false}.of(3, false)), 2);
}

TEST(ServicePlan, ANewReplicaCountsOnlyAfterItWasReadyForLongEnough) {
  World world(service(2));
  world.spec.update.max_surge = {1, false};
  world.spec.update.max_unavailable = {0, false};
  world.spec.update.min_ready = seconds(30);
  ASSERT_TRUE(world.run_until_settled());
  world.progress = want_revision(world.progress, 2, at_s(world.now_s));
  for (int i = 0; i < 10; ++i) world.tick();
  EXPECT_EQ(world.ready(), 3) << "an old one went before the new one had proved itself";
  ASSERT_TRUE(world.last.look_again);
  EXPECT_LE(*world.last.look_again, at_s(world.now_s + 30));
  ASSERT_TRUE(world.run_until_settled());
  EXPECT_EQ(world.revisions(), std::set<std::int64_t>{2});
}

TEST(ServicePlan, ARevisionThatNeverBecomesReadyIsGivenUpAndNoOldReplicaIsLost) {
  World world(service(3));
  ASSERT_TRUE(world.run_until_settled());
  world.is_healthy = [](std::int64_t revision) { return revision != 2; };
  world.progress = want_revision(world.progress, 2, at_s(world.now_s));
  world.watch();
  ASSERT_TRUE(world.run_until_settled());
  EXPECT_EQ(world.progress.given_up, 2);
  EXPECT_EQ(world.revisions(), std::set<std::int64_t>{1});
  EXPECT_EQ(world.least_ready, 3);
}

TEST(ServicePlan, TheFirstRevisionIsNotGivenUpBecauseThereIsNothingToGoBackTo) {
  World world(service(1));
  world.is_healthy = [](std::int64_t) { return false; };
  EXPECT_FALSE(world.run_until_settled(2000));
  EXPECT_EQ(world.progress.given_up, 0);
  EXPECT_EQ(world.replicas.size(), 1U);
}

TEST(ServicePlan, AReplicaThatEndsIsReplacedAfterAPauseThatGrows) {
  EXPECT_EQ(restart_pause(1), seconds(10));
  EXPECT_EQ(restart_pause(3), seconds(40));
  EXPECT_EQ(restart_pause(6), seconds(300));
  EXPECT_EQ(restart_pause(1000), seconds(300));
  World world(service(2));
  ASSERT_TRUE(world.run_until_settled());
  world.end(1);
  world.ask();
  EXPECT_EQ(world.count(Kind::Start), 0);
  EXPECT_EQ(world.last.look_again, at_s(world.now_s + 10));
  while (at_s(world.now_s) < *world.last.look_again) world.tick();
  EXPECT_EQ(world.count(Kind::Start), 1);
  // Healthy for long: the next end is a first one again.
  world.now_s += 700;
  world.end(2);
  world.ask();
  EXPECT_EQ(world.progress.failures, 1);
}

TEST(ServicePlan, ReplicasThatMayEndAreNotStartedAnew) {
  World world(service(2));
  world.spec.restart = RestartPolicy::OnFailure;
  ASSERT_TRUE(world.run_until_settled());
  for (Replica& r : world.replicas) {
    r.phase = ReplicaPhase::Ended;
    r.since = at_s(world.now_s);
  }
  for (int i = 0; i < 400; ++i) world.tick();
  EXPECT_TRUE(world.replicas.empty());
}

TEST(ServicePlan, ReplicasThatEndTogetherCountOnce) {
  World world(service(3));
  ASSERT_TRUE(world.run_until_settled());
  for (const std::int64_t number : {1, 2}) world.end(number);
  world.ask();
  world.now_s += 3;
  world.end(3);
  world.ask();
  EXPECT_EQ(world.progress.failures, 1);
  world.now_s += 8;
  world.ask();
  EXPECT_EQ(world.count(Kind::Start), 3);
}

TEST(ServicePlan, OneThatIsNotStartedAnewHasFailedAllTheSame) {
  World world(service(1));
  world.spec.restart = RestartPolicy::No;
  ASSERT_TRUE(world.run_until_settled());
  world.end(1);
  world.ask();
  EXPECT_EQ(world.progress.completed, 1);
  EXPECT_EQ(world.progress.failures, 1);
  EXPECT_TRUE(world.last.is_settled);
}

TEST(ServicePlan, OneWhoseReplicasHaveEndedForGoodIsSettled) {
  World world(service(2));
  world.spec.restart = RestartPolicy::No;
  ASSERT_TRUE(world.run_until_settled());
  world.replicas[0].phase = ReplicaPhase::Ended;
  world.replicas[0].since = at_s(world.now_s);
  world.ask();
  EXPECT_TRUE(world.last.is_settled);
  EXPECT_EQ(world.replicas.size(), 1U);
}

TEST(ServicePlan, AReplicaWhoseNodeDrainsIsReplacedBeforeItGoes) {
  World world(service(3));
  ASSERT_TRUE(world.run_until_settled());
  world.replicas[1].must_move = true;
  world.watch();
  ASSERT_TRUE(world.run_until_settled());
  EXPECT_EQ(world.least_ready, 3);
  EXPECT_EQ(world.ready(), 3);
  EXPECT_TRUE(std::ranges::none_of(world.replicas, &Replica::must_move));
}

TEST(ServicePlan, AReplicaThatDoesNotAnswerAnyMoreIsReplacedWhateverTheBounds) {
  World world(service(2));
  ASSERT_TRUE(world.run_until_settled());
  world.replicas[0].alive = false;
  world.ask();
  EXPECT_EQ(world.last.steps.front(), (ServiceStep{Kind::Drain, 1, 0}));
  ASSERT_TRUE(world.run_until_settled());
  EXPECT_EQ(world.replicas.front().number, 2);
}

TEST(ServicePlan, RecreateEndsAllOldReplicasBeforeANewOneStarts) {
  World world(service(2));
  world.spec.update.recreate = true;
  ASSERT_TRUE(world.run_until_settled());
  world.progress = want_revision(world.progress, 2, at_s(world.now_s));
  world.watch();
  for (int i = 0; i < 20; ++i) {
    world.tick();
    EXPECT_EQ(world.revisions().size() > 1, false);
  }
  EXPECT_TRUE(world.last.is_settled);
  EXPECT_EQ(world.most_there, 2);
}

TEST(ServicePlan, RecreateNeverRunsTwoAtOnceWhenANodeDrains) {
  World world(service(1));
  world.spec.update.recreate = true;
  ASSERT_TRUE(world.run_until_settled());
  world.replicas[0].must_move = true;
  world.watch();
  for (int i = 0; i < 20; ++i) world.tick();
  EXPECT_TRUE(world.last.is_settled);
  EXPECT_EQ(world.replicas.front().number, 2);
  EXPECT_EQ(world.most_there, 1);
}

TEST(ServicePlan, AReplicaInTheQueueIsTakenBackWithoutADrain) {
  World world(service(2));
  world.ask();
  world.spec.replicas = 0;
  world.ask();
  EXPECT_EQ(world.count(Kind::Cancel), 2);
  EXPECT_EQ(world.count(Kind::Drain), 0);
}

}  // namespace
}  // namespace gangway::scheduler
