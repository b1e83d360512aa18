// Probes by a clock of their own: when they are asked, and what their answers come to.
#include "executor/probe_machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace gangway::executor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Probe every(Duration period) {
  Probe probe;
  probe.period = period;
  return probe;
}

// Second by second; each probe answers at once as the test has said.
class Play {
 public:
  explicit Play(ReplicaProbes probes) : machine(std::move(probes), at(0)) {}

  static BootTime at(std::int64_t s) { return BootTime{seconds(s).ns}; }
  void run_until(std::int64_t s) {
    for (; now_s <= s; ++now_s) {
      for (const ProbeKind kind : machine.ask(at(now_s))) {
        asked[kind].push_back(now_s);
        machine.answered(kind, answers[kind], "exit code 1", at(now_s));
      }
    }
  }

  ProbeMachine machine;
  std::map<ProbeKind, bool> answers;
  std::map<ProbeKind, std::vector<std::int64_t>> asked;
  std::int64_t now_s = 0;
};

TEST(ProbeMachine, WithoutProbesAReplicaIsWellAtOnce) {
  Play play({});
  EXPECT_EQ(play.machine.health(), (ReplicaHealth{.ready = true, .alive = true, .note = ""}));
  EXPECT_EQ(play.machine.next(), std::nullopt);
}

TEST(ProbeMachine, ReadinessComesWithTheFirstGoodAnswerAndGoesWithTheThirdBadOne) {
  Play play({.startup = {}, .readiness = every(seconds(10)), .liveness = {}, .ports = {}});
  EXPECT_FALSE(play.machine.health().ready);
  play.answers[ProbeKind::Readiness] = true;
  play.run_until(5);
  EXPECT_TRUE(play.machine.health().ready);
  play.answers[ProbeKind::Readiness] = false;
  play.run_until(25);
  EXPECT_TRUE(play.machine.health().ready);
  play.run_until(35);
  EXPECT_EQ(play.machine.health(),
            (ReplicaHealth{.ready = false, .alive = true, .note = "readiness probe: exit code 1"}));
  play.answers[ProbeKind::Readiness] = true;
  play.run_until(45);
  EXPECT_TRUE(play.machine.health().ready);
  EXPECT_THAT(play.asked[ProbeKind::Readiness], ElementsAre(0, 10, 20, 30, 40));
}

TEST(ProbeMachine, NothingElseIsAskedBeforeTheStartupProbeIsGood) {
  ReplicaProbes probes;
  probes.startup = every(seconds(5));
  probes.startup->failures = 30;
  probes.readiness = every(seconds(10));
  probes.liveness = every(seconds(10));
  Play play(probes);
  play.answers[ProbeKind::Readiness] = true;
  play.answers[ProbeKind::Liveness] = true;
  play.run_until(60);
  EXPECT_THAT(play.asked[ProbeKind::Liveness], IsEmpty());
  EXPECT_EQ(play.machine.health().note, "startup probe: exit code 1");
  play.answers[ProbeKind::Startup] = true;
  play.run_until(66);
  EXPECT_TRUE(play.machine.health().ready);
  play.run_until(100);
  EXPECT_EQ(play.asked[ProbeKind::Startup].back(), 65);
}

TEST(ProbeMachine, BadLivenessIsForGoodAndEndsTheQuestions) {
  ReplicaProbes probes;
  probes.liveness = every(seconds(10));
  probes.liveness->initial_delay = seconds(7);
  Play play(probes);
  play.run_until(26);
  EXPECT_TRUE(play.machine.health().alive);
  play.run_until(27);
  EXPECT_EQ(play.machine.health(),
            (ReplicaHealth{.ready = false, .alive = false, .note = "liveness probe: exit code 1"}));
  EXPECT_THAT(play.asked[ProbeKind::Liveness], ElementsAre(7, 17, 27));
  EXPECT_EQ(play.machine.next(), std::nullopt);
}

TEST(ProbeMachine, StartupThatNeverSucceedsIsNoLife) {
  ReplicaProbes probes;
  probes.startup = every(seconds(1));
  Play play(probes);
  play.run_until(3);
  EXPECT_FALSE(play.machine.health().alive);
}

TEST(ProbeMachine, ASlowAnswerIsWaitedForAndNotAskedForAgain) {
  ProbeMachine machine({.startup = {}, .readiness = every(seconds(1)), .liveness = {}, .ports = {}},
                       Play::at(0));
  EXPECT_THAT(machine.ask(Play::at(0)), ElementsAre(ProbeKind::Readiness));
  EXPECT_THAT(machine.ask(Play::at(5)), IsEmpty());
  EXPECT_EQ(machine.next(), std::nullopt);
  machine.answered(ProbeKind::Readiness, true, "", Play::at(6));
  EXPECT_EQ(machine.next(), Play::at(6));
}

}  // namespace
}  // namespace gangway::executor
