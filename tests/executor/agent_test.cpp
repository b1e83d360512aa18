#include "executor/agent.hpp"

#include <gtest/gtest.h>

#include "queues/model/job.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::executor {
namespace {

Now at(std::int64_t s) { return {Time{seconds(1000 + s).ns}, BootTime{seconds(s).ns}}; }
constexpr AttemptKey kFirst{{JobId{42}}, 1};
constexpr AttemptKey kSecond{{JobId{42}}, 2};

template <typename Message>
void set_key(AttemptKey key, Message* m) {
  wire::to_wire(key.key, m->mutable_key());
  m->set_attempt(key.attempt);
}

AgentConfig config() {
  AgentConfig c;
  c.node = NodeName("n0");
  c.boot_id = "boot";
  c.address = "10.0.0.1";
  return c;
}

// An agent, and what it did last.
struct World {
  explicit World(AgentConfig c = config(),
                 std::vector<RecoveredAttempt> recovered = {},
                 std::uint64_t seen_epoch = 0)
      : agent(std::move(c), std::move(recovered), seen_epoch) {}

  World& on(AgentEvent event, std::int64_t second = 0) {
    actions = agent.on(event, at(second));
    return *this;
  }
  World& order(wire::ToNode message, std::int64_t second = 0) {
    if (message.epoch() == 0) message.set_epoch(epoch);
    return on(agent_event::Ordered{std::move(message)}, second);
  }
  World& register_at(std::int64_t second = 0) {
    on(agent_event::Connected{}, second);
    wire::ToNode message;
    message.mutable_registered()->set_lease_ns(seconds(60).ns);
    message.mutable_registered()->set_heartbeat_every_ns(seconds(5).ns);
    return order(message, second);
  }
  World& prepare(AttemptKey key = kFirst, std::int64_t second = 0) {
    return order(prepare_order(key), second);
  }
  static wire::ToNode prepare_order(AttemptKey key) {
    wire::ToNode message;
    set_key(key, message.mutable_prepare());
    message.mutable_prepare()->mutable_owner()->set_uid(1000);
    message.mutable_prepare()->mutable_allocation()->add_shares()->set_node("n0");
    message.mutable_prepare()->set_leased(true);
    return message;
  }
  World& hello(wire::HeldAttempt::State state = wire::HeldAttempt::PREPARING,
               AttemptKey key = kFirst,
               std::int64_t second = 0) {
    agent_event::ShepherdConnected e;
    set_key(key, &e.hello);
    e.hello.set_state(state);
    return on(e, second);
  }
  World& say_prepared(AttemptKey key = kFirst) {
    agent_event::ShepherdSaid e{key, {}};
    set_key(key, e.message.mutable_prepared());
    e.message.mutable_prepared()->set_port(7001);
    return on(e);
  }
  World& say_finished(AttemptKey key = kFirst, std::int64_t second = 0) {
    agent_event::ShepherdSaid e{key, {}};
    set_key(key, e.message.mutable_finished());
    e.message.mutable_finished()->mutable_outcome()->set_exit_code(3);
    return on(e, second);
  }
  World& launch(AttemptKey key = kFirst) {
    wire::ToNode message;
    set_key(key, message.mutable_launch());
    return order(message);
  }
  World& stop(AttemptKey key = kFirst, std::uint32_t signal = 0) {
    wire::ToNode message;
    set_key(key, message.mutable_stop());
    message.mutable_stop()->set_signal(signal);
    return order(message);
  }
  World& release(AttemptKey key = kFirst) {
    wire::ToNode message;
    set_key(key, message.mutable_release());
    return order(message);
  }
  World& to_prepared() { return register_at().prepare().hello().say_prepared(); }
  World& to_running() { return to_prepared().launch(); }

  template <typename Action>
  int count() const {
    int n = 0;
    for (const AgentAction& action : actions) n += std::holds_alternative<Action>(action) ? 1 : 0;
    return n;
  }
  std::vector<wire::FromNode> told() const {
    std::vector<wire::FromNode> result;
    for (const AgentAction& action : actions) {
      if (const auto* tell = std::get_if<agent_action::Tell>(&action))
        result.push_back(tell->message);
    }
    return result;
  }
  const wire::FromNode* told(wire::FromNode::WhatCase what) const {
    for (const AgentAction& action : actions) {
      const auto* tell = std::get_if<agent_action::Tell>(&action);
      if (tell != nullptr && tell->message.what_case() == what) return &tell->message;
    }
    return nullptr;
  }
  const wire::ToShepherd* told_shepherd(wire::ToShepherd::WhatCase what) const {
    for (const AgentAction& action : actions) {
      const auto* tell = std::get_if<agent_action::TellShepherd>(&action);
      if (tell != nullptr && tell->message.what_case() == what) return &tell->message;
    }
    return nullptr;
  }
  ErrorKind refusal() const {
    const wire::FromNode* m = told(wire::FromNode::kRefused);
    EXPECT_NE(m, nullptr);
    return m != nullptr ? wire::from_wire(m->refused().error()).kind() : ErrorKind::Internal;
  }

  std::uint64_t epoch = 7;
  Agent agent;
  AgentActions actions;
};

RecoveredAttempt recovered(AttemptKey key, bool alive) {
  RecoveredAttempt r;
  r.key = key;
  r.leased = true;
  r.shepherd_alive = alive;
  return r;
}

// ---- names -------------------------------------------------------------------------------------

TEST(AttemptKey, NamesAreReadBack) {
  EXPECT_EQ(to_string(kFirst), "42.1");
  EXPECT_EQ(parse_attempt_key("42.1"), kFirst);
  EXPECT_EQ(parse_attempt_key("42_7.2"), (AttemptKey{{JobId{42}, 7}, 2}));
  for (const char* bad : {"", "42", "42.", ".1", "042.1", "42.1x", "lost+found"}) {
    EXPECT_FALSE(parse_attempt_key(bad)) << bad;
  }
}

// ---- the usual way -----------------------------------------------------------------------------

TEST(Agent, AJobGoesFromOrderToRelease) {
  World w;
  w.register_at().prepare();
  EXPECT_EQ(w.count<agent_action::SpawnShepherd>(), 1);
  w.hello().say_prepared();
  ASSERT_NE(w.told(wire::FromNode::kPrepared), nullptr);
  EXPECT_EQ(w.told(wire::FromNode::kPrepared)->prepared().address(), "10.0.0.1");
  EXPECT_EQ(w.told(wire::FromNode::kPrepared)->prepared().port(), 7001U);
  EXPECT_NE(w.launch().told_shepherd(wire::ToShepherd::kLaunch), nullptr);
  EXPECT_NE(w.say_finished().told(wire::FromNode::kFinished), nullptr);
  w.release();
  EXPECT_NE(w.told_shepherd(wire::ToShepherd::kRelease), nullptr);
  EXPECT_EQ(w.count<agent_action::Forget>(), 1);
  EXPECT_EQ(w.agent.held_attempts(), 0U);
}
TEST(Agent, RegisterTellsWhatIsHeld) {
  World w;
  w.to_prepared().on(agent_event::Disconnected{}).on(agent_event::Connected{});
  const wire::FromNode* m = w.told(wire::FromNode::kRegister);
  ASSERT_NE(m, nullptr);
  EXPECT_EQ(m->register_().node(), "n0");
  EXPECT_EQ(m->register_().boot_id(), "boot");
  EXPECT_EQ(m->register_().highest_epoch(), 7U);
  ASSERT_EQ(m->register_().attempts_size(), 1);
  EXPECT_EQ(m->register_().attempts(0).state(), wire::HeldAttempt::PREPARED);
}

// ---- leases and heartbeats ---------------------------------------------------------------------

TEST(Agent, ALeaseCountsFromTheSendingOfTheHeartbeat) {
  World w;
  w.register_at(10).prepare(kFirst, 11).hello(wire::HeldAttempt::PREPARING, kFirst, 12);
  wire::ToNode ack;
  ack.mutable_heartbeat_ack()->set_boot_ns(seconds(20).ns);
  w.order(ack, 25);
  const wire::ToShepherd* lease = w.told_shepherd(wire::ToShepherd::kLeaseUntil);
  ASSERT_NE(lease, nullptr);
  EXPECT_EQ(lease->lease_until().boot_ns(), seconds(80).ns);
}
TEST(Agent, AFirstLeaseCountsFromTheRegistration) {
  World w;
  w.register_at(10).prepare(kFirst, 30);
  for (const AgentAction& action : w.actions) {
    if (const auto* spawn = std::get_if<agent_action::SpawnShepherd>(&action)) {
      EXPECT_EQ(spawn->lease_until, at(70).boot);
    }
  }
}
TEST(Agent, AnAcknowledgementFromTheFutureGivesNoMore) {
  World w;
  w.register_at(10).prepare().hello();
  wire::ToNode ack;
  ack.mutable_heartbeat_ack()->set_boot_ns(seconds(9999).ns);
  w.order(ack, 25);
  EXPECT_EQ(w.told_shepherd(wire::ToShepherd::kLeaseUntil)->lease_until().boot_ns(),
            seconds(85).ns);
}
TEST(Agent, HeartbeatsCarryTheTimeOfSending) {
  World w;
  w.register_at(10).on(agent_event::TimerFired{}, 10);
  ASSERT_NE(w.told(wire::FromNode::kHeartbeat), nullptr);
  EXPECT_EQ(w.told(wire::FromNode::kHeartbeat)->heartbeat().boot_ns(), seconds(10).ns);
  w.on(agent_event::TimerFired{}, 12);
  EXPECT_EQ(w.told(wire::FromNode::kHeartbeat), nullptr);
  w.on(agent_event::TimerFired{}, 15);
  EXPECT_NE(w.told(wire::FromNode::kHeartbeat), nullptr);
}

// ---- repeated, late and lost -------------------------------------------------------------------

TEST(Agent, ARepeatedPrepareAnswersThePresentState) {
  World w;
  w.register_at().prepare();
  w.prepare();
  EXPECT_TRUE(w.told().empty());
  EXPECT_EQ(w.count<agent_action::SpawnShepherd>(), 0);
  w.hello().say_prepared().prepare();
  EXPECT_NE(w.told(wire::FromNode::kPrepared), nullptr);
  w.launch().prepare();
  EXPECT_EQ(w.count<agent_action::SpawnShepherd>(), 0);
  w.say_finished().prepare();
  EXPECT_NE(w.told(wire::FromNode::kFinished), nullptr);
}
TEST(Agent, AFinishIsReportedUntilReleased) {
  World w;
  w.to_running().say_finished(kFirst, 10);
  EXPECT_NE(w.on(agent_event::TimerFired{}, 12).told(wire::FromNode::kFinished), nullptr);
  EXPECT_EQ(w.on(agent_event::TimerFired{}, 13).told(wire::FromNode::kFinished), nullptr);
  EXPECT_NE(w.on(agent_event::TimerFired{}, 14).told(wire::FromNode::kFinished), nullptr);
  EXPECT_EQ(w.release().on(agent_event::TimerFired{}, 20).told(wire::FromNode::kFinished), nullptr);
}
TEST(Agent, AReconnectRepeatsWhatTheSchedulerMayHaveMissed) {
  World w;
  w.to_prepared().on(agent_event::Disconnected{}).register_at(5);
  EXPECT_NE(w.told(wire::FromNode::kPrepared), nullptr);
  w.launch().say_finished().on(agent_event::Disconnected{}).register_at(9);
  EXPECT_EQ(w.told(wire::FromNode::kPrepared), nullptr);
  EXPECT_NE(w.told(wire::FromNode::kFinished), nullptr);
}
TEST(Agent, AFinishWhileAwayIsKept) {
  World w;
  w.to_running().on(agent_event::Disconnected{}).say_finished();
  EXPECT_TRUE(w.told().empty());
  EXPECT_NE(w.register_at(3).told(wire::FromNode::kFinished), nullptr);
}
TEST(Agent, OrdersForAShepherdThatHasNotComeYetAreKept) {
  World w;
  w.register_at().prepare().stop();
  EXPECT_EQ(w.count<agent_action::TellShepherd>(), 0);
  EXPECT_NE(w.hello().told_shepherd(wire::ToShepherd::kStop), nullptr);
  EXPECT_EQ(w.hello().told_shepherd(wire::ToShepherd::kStop), nullptr);
}
TEST(Agent, WhatIsKeptIsBoundedAndNeverTheStop) {
  World w;
  w.register_at().prepare().stop();
  for (std::uint32_t i = 0; i < 1000; ++i) w.stop(kFirst, 10);
  w.release();
  w.hello();
  EXPECT_LE(w.count<agent_action::TellShepherd>(), static_cast<int>(kMaxUnsent) + 1);
  EXPECT_NE(w.told_shepherd(wire::ToShepherd::kStop), nullptr);
  EXPECT_NE(w.told_shepherd(wire::ToShepherd::kRelease), nullptr);
}
TEST(Agent, ALaunchLostWithTheConnectionIsRepeated) {
  World w;
  w.to_running().on(agent_event::ShepherdDisconnected{kFirst}).hello(wire::HeldAttempt::PREPARED);
  EXPECT_NE(w.told_shepherd(wire::ToShepherd::kLaunch), nullptr);
  w.on(agent_event::ShepherdDisconnected{kFirst}).hello(wire::HeldAttempt::RUNNING);
  EXPECT_EQ(w.told_shepherd(wire::ToShepherd::kLaunch), nullptr);
}
TEST(Agent, OrdersForAnUnknownAttemptAreRefused) {
  World w;
  w.register_at();
  EXPECT_EQ(w.launch().refusal(), ErrorKind::NotFound);
  EXPECT_EQ(w.stop().refusal(), ErrorKind::NotFound);
  EXPECT_TRUE(w.release().told().empty());
}
TEST(Agent, AnEarlyReleaseForgetsAtTheEnd) {
  World w;
  w.to_running().release();
  EXPECT_NE(w.told_shepherd(wire::ToShepherd::kRelease), nullptr);
  EXPECT_EQ(w.count<agent_action::Forget>(), 0);
  w.say_finished();
  EXPECT_EQ(w.count<agent_action::Forget>(), 1);
  EXPECT_EQ(w.agent.held_attempts(), 0U);
}

// ---- epochs ------------------------------------------------------------------------------------

TEST(Agent, AnOlderEpochIsRefusedAndChangesNothing) {
  World w;
  w.to_prepared();
  w.epoch = 6;
  EXPECT_EQ(w.launch().refusal(), ErrorKind::Conflict);
  EXPECT_EQ(w.count<agent_action::TellShepherd>(), 0);
  EXPECT_EQ(w.prepare(kSecond).refusal(), ErrorKind::Conflict);
  EXPECT_EQ(w.agent.held_attempts(), 1U);
}
TEST(Agent, ANewEpochIsNotedBeforeItsOrderIsFollowed) {
  World w;
  w.register_at();
  w.epoch = 8;
  w.prepare();
  ASSERT_FALSE(w.actions.empty());
  ASSERT_TRUE(std::holds_alternative<agent_action::NoteEpoch>(w.actions[0]));
  EXPECT_EQ(std::get<agent_action::NoteEpoch>(w.actions[0]).epoch, 8U);
  EXPECT_EQ(w.agent.highest_epoch(), 8U);
}
TEST(Agent, AnEpochSeenInAnEarlierLifeCounts) {
  World w(config(), {}, 9);
  w.register_at();
  EXPECT_FALSE(w.agent.is_registered());
}

// ---- refusals ----------------------------------------------------------------------------------

TEST(Agent, AnOrderForAnotherNodeIsRefused) {
  World w;
  wire::ToNode message = World::prepare_order(kFirst);
  message.mutable_prepare()->mutable_allocation()->mutable_shares(0)->set_node("n9");
  EXPECT_EQ(w.register_at().order(message).refusal(), ErrorKind::Invalid);
  message = World::prepare_order(kFirst);
  message.mutable_prepare()->set_node_index(4'000'000'000U);
  EXPECT_EQ(w.order(message).refusal(), ErrorKind::Invalid);
}
TEST(Agent, RootsJobsNeedTheOperatorsWord) {
  wire::ToNode message = World::prepare_order(kFirst);
  message.mutable_prepare()->mutable_owner()->set_uid(0);
  World w;
  EXPECT_EQ(w.register_at().order(message).refusal(), ErrorKind::Denied);
  AgentConfig allowing = config();
  allowing.allow_root_jobs = true;
  World permissive(allowing);
  EXPECT_EQ(permissive.register_at().order(message).count<agent_action::SpawnShepherd>(), 1);
}
TEST(Agent, AnOrdinaryUsersExecutorRunsThatUsersJobsOnly) {
  AgentConfig mine = config();
  mine.only_uid = 1001;
  World w(mine);
  EXPECT_EQ(w.register_at().prepare().refusal(), ErrorKind::Denied);
}
TEST(Agent, TwoAttemptsOfAJobNeverOverlap) {
  World w;
  w.to_running();
  EXPECT_EQ(w.prepare(kSecond).refusal(), ErrorKind::Conflict);
  w.say_finished().prepare(kSecond);
  EXPECT_EQ(w.count<agent_action::SpawnShepherd>(), 1);
  EXPECT_EQ(w.prepare(kFirst).told(wire::FromNode::kRefused), nullptr);  // answers its end
}

// ---- shepherds that are gone, and restarts -----------------------------------------------------

TEST(Agent, AShepherdGoneBeforeTheLaunchIsAFailedLaunch) {
  World w;
  w.to_prepared().on(agent_event::ShepherdGone{kFirst, "killed by signal 9", {}});
  const wire::FromNode* m = w.told(wire::FromNode::kFinished);
  ASSERT_NE(m, nullptr);
  const Outcome outcome = *wire::from_wire(m->finished().outcome());
  EXPECT_EQ(outcome.kind, OutcomeKind::LaunchFailed);
  EXPECT_EQ(outcome.exit_code, 75);
  EXPECT_TRUE(m->finished().never_launched());
}
TEST(Agent, AShepherdGoneAfterTheLaunchIsALostNode) {
  World w;
  w.to_running().on(agent_event::ShepherdGone{kFirst, "killed by signal 9", {}});
  const wire::FromNode* m = w.told(wire::FromNode::kFinished);
  ASSERT_NE(m, nullptr);
  EXPECT_EQ(wire::from_wire(m->finished().outcome())->kind, OutcomeKind::NodeFailed);
  EXPECT_FALSE(m->finished().never_launched());
}
TEST(Agent, TheRecordOfAGoneShepherdIsItsReport) {
  wire::StepFinished record;
  record.mutable_outcome()->set_exit_code(5);
  World w;
  w.to_running().on(agent_event::ShepherdGone{kFirst, "exit code 0", record});
  ASSERT_NE(w.told(wire::FromNode::kFinished), nullptr);
  EXPECT_EQ(w.told(wire::FromNode::kFinished)->finished().outcome().exit_code(), 5);
}
TEST(Agent, AShepherdGoneAfterItsReportIsNoNews) {
  World w;
  w.to_running().say_finished().on(agent_event::ShepherdGone{kFirst, "exit code 0", {}});
  EXPECT_TRUE(w.told().empty());
}
TEST(Agent, AfterARestartShepherdsAreTakenOver) {
  World w(config(), {recovered(kFirst, true)});
  w.register_at();
  EXPECT_TRUE(w.told(wire::FromNode::kFinished) == nullptr);
  w.hello(wire::HeldAttempt::RUNNING);
  EXPECT_NE(w.told_shepherd(wire::ToShepherd::kLeaseUntil), nullptr);
  EXPECT_NE(w.say_finished().told(wire::FromNode::kFinished), nullptr);
}
TEST(Agent, AfterARestartAPreparedShepherdCanBeLaunched) {
  World w(config(), {recovered(kFirst, true)});
  w.hello(wire::HeldAttempt::PREPARED).say_prepared().register_at();
  EXPECT_NE(w.told(wire::FromNode::kPrepared), nullptr);
  EXPECT_NE(w.launch().told_shepherd(wire::ToShepherd::kLaunch), nullptr);
}
TEST(Agent, AfterARestartRecordsOfEndsAreReported) {
  RecoveredAttempt r = recovered(kFirst, false);
  r.finished = wire::StepFinished{};
  r.finished->mutable_outcome()->set_exit_code(9);
  set_key(kFirst, &*r.finished);
  World w(config(), {r});
  w.on(agent_event::Connected{});
  EXPECT_EQ(w.told(wire::FromNode::kRegister)->register_().attempts(0).state(),
            wire::HeldAttempt::FINISHED);
  w.register_at();
  EXPECT_EQ(w.told(wire::FromNode::kFinished)->finished().outcome().exit_code(), 9);
}
TEST(Agent, AfterARestartAnAttemptWithoutShepherdAndRecordIsALostNode) {
  World w(config(), {recovered(kFirst, false)});
  w.register_at();
  ASSERT_NE(w.told(wire::FromNode::kFinished), nullptr);
  EXPECT_EQ(wire::from_wire(w.told(wire::FromNode::kFinished)->finished().outcome())->kind,
            OutcomeKind::NodeFailed);
}
TEST(Agent, AnUnknownShepherdIsToldToEnd) {
  World w;
  EXPECT_NE(w.hello().told_shepherd(wire::ToShepherd::kRelease), nullptr);
  EXPECT_EQ(w.agent.held_attempts(), 0U);
}
TEST(Agent, AShepherdSpeaksForItsOwnAttemptOnly) {
  World w;
  w.to_running();
  agent_event::ShepherdSaid lie{kFirst, {}};
  set_key(kSecond, lie.message.mutable_finished());
  w.on(lie);
  EXPECT_EQ(w.told(wire::FromNode::kFinished)->finished().attempt(), 1U);
}

}  // namespace
}  // namespace gangway::executor
