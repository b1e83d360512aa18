#include "executor/job_exchange.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "executor/gang_exchange.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

using namespace exchange_action;

// Nodes of two ranks and four cores each, and the messages between them.
class Gang {
 public:
  explicit Gang(std::uint32_t nodes) {
    std::vector<ExchangeNode> all;
    for (std::uint32_t i = 0; i < nodes; ++i) all.push_back({cat('n', i), {2 * i, 2}, 4});
    for (std::uint32_t i = 0; i < nodes; ++i) {
      exchanges_.push_back(std::make_unique<GangExchange>(i, all));
    }
    sent.assign(nodes, 0);
  }

  void say(std::uint32_t node, const wire::FromPmix& message) {
    carry_out(node, exchanges_[node]->on_pmix(message));
  }
  void lose(std::uint32_t node) {
    for (std::uint32_t i = 0; i < exchanges_.size(); ++i) {
      if (i != node) carry_out(i, exchanges_[i]->on_peer_lost(node));
    }
  }

  std::map<std::uint32_t, std::vector<wire::ToPmix>> heard;  // by node
  std::map<std::uint32_t, std::vector<SignalRanks>> signals;
  std::map<std::uint32_t, std::vector<StartRanks>> started;
  std::vector<int> sent;       // messages by node
  bool servers_answer = true;  // to new worlds

 private:
  void carry_out(std::uint32_t node, ExchangeActions actions) {
    for (ExchangeAction& action : actions) {
      if (auto* peer = std::get_if<TellPeer>(&action)) {
        ++sent[node];
        carry_out(peer->node_index, exchanges_[peer->node_index]->on_peer(node, peer->message));
      } else if (auto* pmix = std::get_if<TellPmix>(&action)) {
        heard[node].push_back(pmix->message);
        if (pmix->message.has_add_world() && servers_answer) know(node, pmix->message.add_world());
      } else if (auto* signal = std::get_if<SignalRanks>(&action)) {
        signals[node].push_back(*signal);
      } else {
        started[node].push_back(std::get<StartRanks>(action));
      }
    }
  }
  void know(std::uint32_t node, const wire::PmixWorld& world) {
    wire::FromPmix ready;
    ready.mutable_world_ready()->set_first(world.first());
    for (const wire::PmixBlock& block : world.blocks()) {
      if (block.node_index() != node) continue;
      for (std::uint32_t i = 0; i < block.count(); ++i) {
        ready.mutable_world_ready()->add_ranks()->set_rank(block.first() + i);
      }
    }
    say(node, ready);
  }
  std::vector<std::unique_ptr<GangExchange>> exchanges_;
};

wire::FromPmix names(wire::PmixNames::Operation operation,
                     const std::string& key,
                     const std::string& value = {}) {
  wire::FromPmix message;
  message.mutable_names()->set_id(7);
  message.mutable_names()->set_operation(operation);
  wire::PmiPut& entry = *message.mutable_names()->add_entries();
  entry.set_key(key);
  entry.set_value(value);
  return message;
}

TEST(JobExchange, WhatOneNodePublishesAnotherLooksUp) {
  Gang gang(3);
  gang.say(1, names(wire::PmixNames::PUBLISH, "port", "1234"));
  EXPECT_EQ(gang.heard[1].back().names_done().status(), kPmixSuccess);
  gang.say(2, names(wire::PmixNames::LOOKUP, "port"));
  ASSERT_EQ(gang.heard[2].back().names_done().found_size(), 1);
  EXPECT_EQ(gang.heard[2].back().names_done().found(0).value(), "1234");
  gang.say(0, names(wire::PmixNames::UNPUBLISH, "port"));
  gang.say(2, names(wire::PmixNames::LOOKUP, "port"));
  EXPECT_EQ(gang.heard[2].back().names_done().status(), kPmixNotFound);
}

TEST(JobExchange, ANameIsPublishedOnce) {
  Gang gang(2);
  gang.say(1, names(wire::PmixNames::PUBLISH, "port", "1"));
  gang.say(0, names(wire::PmixNames::PUBLISH, "port", "2"));
  EXPECT_EQ(gang.heard[0].back().names_done().status(), kPmixDuplicateKey);
}

TEST(JobExchange, ALookupMayWaitAndItsReaderMayBeTheOnlyOne) {
  Gang gang(2);
  wire::FromPmix waits = names(wire::PmixNames::LOOKUP, "port");
  waits.mutable_names()->set_wait(true);
  gang.say(1, waits);
  EXPECT_TRUE(gang.heard[1].empty());
  wire::FromPmix once = names(wire::PmixNames::PUBLISH, "port", "1234");
  once.mutable_names()->set_once(true);
  gang.say(0, once);
  ASSERT_EQ(gang.heard[1].size(), 1u);
  EXPECT_EQ(gang.heard[1][0].names_done().found(0).value(), "1234");
  gang.say(0, names(wire::PmixNames::LOOKUP, "port"));
  EXPECT_EQ(gang.heard[0].back().names_done().status(), kPmixNotFound);
}

TEST(JobExchange, AnEventReachesEveryOtherNodeOnceAndNobodyTellsMany) {
  Gang gang(1000);
  wire::FromPmix event;
  event.mutable_event()->set_rank(2 * 77);
  event.mutable_event()->set_code(-5);
  gang.say(77, event);
  EXPECT_EQ(gang.heard.size(), 999u);
  for (const auto& [node, messages] : gang.heard) EXPECT_EQ(messages.size(), 1u) << node;
  EXPECT_LE(*std::max_element(gang.sent.begin(), gang.sent.end()), 8);
}

TEST(JobExchange, ASignalGoesToTheNodesOfItsRanks) {
  Gang gang(3);
  wire::FromPmix control;
  control.mutable_control()->set_signal(10);
  control.mutable_control()->add_ranks(0);
  control.mutable_control()->add_ranks(5);
  gang.say(1, control);
  EXPECT_EQ(gang.signals[0].at(0).ranks, (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(gang.signals[2].at(0).ranks, (std::vector<std::uint32_t>{5}));
  EXPECT_EQ(gang.signals[2].at(0).number, 10);
  EXPECT_TRUE(gang.signals[1].empty());
}

wire::FromPmix spawn(std::uint32_t count, const std::string& host = {}) {
  wire::FromPmix message;
  message.mutable_spawn()->set_id(3);
  message.mutable_spawn()->set_rank(2);
  wire::PmixApp& app = *message.mutable_spawn()->add_apps();
  app.add_argv("./child");
  app.set_count(count);
  if (!host.empty()) app.add_hosts(host);
  return message;
}

TEST(JobExchange, SpawnedRanksGoWhereCoresAreFreeAndStartWhenAllKnowThem) {
  Gang gang(2);
  gang.servers_answer = false;
  gang.say(1, spawn(3));
  EXPECT_TRUE(gang.heard[0].back().has_add_world());
  EXPECT_TRUE(gang.heard[1].back().has_add_world());
  EXPECT_TRUE(gang.started.empty());

  gang.servers_answer = true;
  gang.say(1, spawn(4));  // the first three are never started: five are in use, of eight
  ASSERT_EQ(gang.started[0].size(), 1u);
  ASSERT_EQ(gang.started[1].size(), 1u);
  EXPECT_EQ(gang.started[0][0].world.first(), 7u);
  EXPECT_EQ(gang.started[0][0].ranks.size() + gang.started[1][0].ranks.size(), 4u);
  EXPECT_EQ(gang.heard[1].back().spawn_done().name_space(), world_suffix(7, 4));
}

TEST(JobExchange, AHostThatIsNotOfTheJobIsRefused) {
  Gang gang(2);
  gang.say(1, spawn(1, "n9"));
  EXPECT_EQ(gang.heard[1].back().spawn_done().status(), kPmixNotFound);
  gang.say(1, spawn(1, "n1"));
  EXPECT_TRUE(gang.started[0].empty());
  EXPECT_EQ(gang.started[1].size(), 1u);
}

TEST(JobExchange, ASpawnFailsIfANodeIsLostMeanwhile) {
  Gang gang(2);
  gang.servers_answer = false;
  gang.say(0, spawn(1));
  gang.lose(1);
  EXPECT_EQ(gang.heard[0].back().spawn_done().status(), kPmixLostConnection);
}

TEST(JobExchange, AServerPreparesItsOwnRanksAndEachOnce) {
  const std::vector<std::vector<std::uint32_t>> lies = {{4, 4}, {6}, {1U << 31U}, {0}, {4, 5, 4}};
  for (const std::vector<std::uint32_t>& ranks : lies) {
    Gang gang(2);
    gang.servers_answer = false;
    gang.say(0, spawn(4));  // ranks 4 and 5 are the first node's
    wire::FromPmix ready;
    ready.mutable_world_ready()->set_first(4);
    for (const std::uint32_t rank : ranks) {
      ready.mutable_world_ready()->add_ranks()->set_rank(rank);
    }
    gang.say(0, ready);
    EXPECT_EQ(gang.heard[0].back().spawn_done().status(), kPmixBadParameter);
    EXPECT_TRUE(gang.started.empty());
  }
}

TEST(JobExchange, WhatLookupsHoldWhileTheyWaitIsBounded) {
  Gang gang(1);
  const std::string half(kMaxWaitingBytes / 2, 'k');
  wire::FromPmix waits = names(wire::PmixNames::LOOKUP, half);
  waits.mutable_names()->set_wait(true);
  gang.say(0, waits);
  EXPECT_TRUE(gang.heard[0].empty());
  gang.say(0, waits);
  ASSERT_FALSE(gang.heard[0].empty());
  EXPECT_EQ(gang.heard[0].back().names_done().status(), kPmixOutOfResource);
  // As soon as it is answered there is room again.
  gang.say(0, names(wire::PmixNames::PUBLISH, half, "1"));
  gang.heard.clear();
  waits.mutable_names()->mutable_entries(0)->mutable_key()->back() = 'o';
  gang.say(0, waits);
  EXPECT_TRUE(gang.heard.empty());
}

TEST(JobExchange, WhatSpawnsHoldUntilTheyAreStartedIsBounded) {
  Gang gang(1);
  wire::FromPmix large = spawn(1);
  large.mutable_spawn()->mutable_apps(0)->add_argv(std::string(kMaxWorldBytes / 2, 'a'));
  for (int i = 0; i < 2; ++i) gang.say(0, large);  // each is started at once
  EXPECT_EQ(gang.heard[0].back().spawn_done().status(), kPmixSuccess);
  gang.servers_answer = false;
  for (int i = 0; i < 2; ++i) gang.say(0, large);
  EXPECT_EQ(gang.heard[0].back().spawn_done().status(), kPmixOutOfResource);
}

TEST(JobExchange, SpawnedRanksMeetInFences) {
  Gang gang(2);
  gang.say(0, spawn(4));  // ranks 4 to 7, two on each node
  wire::FromPmix fence;
  fence.mutable_fence()->set_id(9);
  for (const std::uint32_t rank : {4u, 5u, 6u, 7u}) fence.mutable_fence()->add_ranks(rank);
  fence.mutable_fence()->set_data("a");
  gang.say(0, fence);
  EXPECT_FALSE(gang.heard[0].back().has_fence_done());
  fence.mutable_fence()->set_data("b");
  gang.say(1, fence);
  EXPECT_EQ(gang.heard[0].back().fence_done().data(), "ab");
  EXPECT_EQ(gang.heard[1].back().fence_done().data(), "ab");
}

}  // namespace
}  // namespace gangway::executor
