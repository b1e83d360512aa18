#include "executor/gang_exchange.hpp"

#include <gtest/gtest.h>

namespace gangway::executor {
namespace {

using exchange_action::TellPeer;
using exchange_action::TellPmix;

const std::vector<ExchangeNode> kTwoNodes{{"n01", {0, 2}, 2}, {"n02", {2, 2}, 2}};

wire::FromPmix question(std::uint64_t id, std::uint32_t rank) {
  wire::FromPmix message;
  message.mutable_modex_ask()->set_id(id);
  message.mutable_modex_ask()->set_rank(rank);
  return message;
}

wire::FromPmix answer(std::uint64_t id, std::int32_t status, std::string data) {
  wire::FromPmix message;
  message.mutable_modex_answer()->set_id(id);
  message.mutable_modex_answer()->set_status(status);
  message.mutable_modex_answer()->set_data(std::move(data));
  return message;
}

const wire::Peer& to_peer(const ExchangeActions& actions, std::uint32_t node) {
  CHECK(actions.size() == 1);
  const TellPeer& tell = std::get<TellPeer>(actions[0]);
  EXPECT_EQ(tell.node_index, node);
  return tell.message;
}

const wire::ToPmix& to_pmix(const ExchangeActions& actions) {
  CHECK(actions.size() == 1);
  return std::get<TellPmix>(actions[0]).message;
}

TEST(GangExchange, AQuestionReachesTheRanksServerAndTheAnswerComesBack) {
  GangExchange asker(0, kTwoNodes);
  GangExchange owner(1, kTwoNodes);
  const ExchangeActions asks = asker.on_pmix(question(5, 3));
  const ExchangeActions served = owner.on_peer(0, to_peer(asks, 1));
  const wire::ToPmix at_owner = to_pmix(served);
  EXPECT_EQ(at_owner.modex_ask().rank(), 3u);
  const ExchangeActions back =
      owner.on_pmix(answer(at_owner.modex_ask().id(), kPmixSuccess, "endpoint"));
  const ExchangeActions done = asker.on_peer(1, to_peer(back, 0));
  EXPECT_EQ(to_pmix(done).modex_answer().id(), 5u);
  EXPECT_EQ(to_pmix(done).modex_answer().status(), kPmixSuccess);
  EXPECT_EQ(to_pmix(done).modex_answer().data(), "endpoint");
  // Each question has one answer.
  EXPECT_TRUE(asker.on_peer(1, to_peer(back, 0)).empty());
  EXPECT_TRUE(owner.on_pmix(answer(at_owner.modex_ask().id(), kPmixSuccess, "more")).empty());
}

TEST(GangExchange, AQuestionForNoRankOrOurOwnIsAnsweredAtOnce) {
  GangExchange exchange(0, kTwoNodes);
  EXPECT_EQ(to_pmix(exchange.on_pmix(question(1, 4))).modex_answer().status(), kPmixNotFound);
  EXPECT_EQ(to_pmix(exchange.on_pmix(question(2, 1))).modex_answer().status(), kPmixNotFound);
}

TEST(GangExchange, APeersQuestionForARankOfAnotherNodeIsRefused) {
  GangExchange exchange(0, kTwoNodes);
  wire::Peer ask;
  ask.mutable_modex_ask()->set_id(9);
  ask.mutable_modex_ask()->set_rank(2);
  EXPECT_EQ(to_peer(exchange.on_peer(1, ask), 1).modex_answer().status(), kPmixNotFound);
}

TEST(GangExchange, AnAnswerNobodyAskedForIsIgnored) {
  GangExchange exchange(0, {{"a", {0, 2}, 2}, {"b", {2, 2}, 2}, {"c", {4, 2}, 2}});
  EXPECT_FALSE(exchange.on_pmix(question(1, 2)).empty());  // to node 1
  wire::Peer forged;
  forged.mutable_modex_answer()->set_id(1);
  EXPECT_TRUE(exchange.on_peer(2, forged).empty());
  EXPECT_TRUE(exchange.on_peer(9, forged).empty());
}

TEST(GangExchange, ALostPeerAnswersItsQuestions) {
  GangExchange exchange(0, kTwoNodes);
  EXPECT_FALSE(exchange.on_pmix(question(1, 2)).empty());
  EXPECT_EQ(to_pmix(exchange.on_peer_lost(1)).modex_answer().status(), kPmixLostConnection);
  EXPECT_EQ(to_pmix(exchange.on_pmix(question(2, 2))).modex_answer().status(), kPmixLostConnection);
}

TEST(GangExchange, FencesPassThrough) {
  GangExchange root(0, kTwoNodes);
  GangExchange leaf(1, kTwoNodes);
  wire::FromPmix arrives;
  arrives.mutable_fence()->set_id(3);
  arrives.mutable_fence()->set_whole(true);
  arrives.mutable_fence()->set_data("x");
  EXPECT_TRUE(root.on_pmix(arrives).empty());
  const ExchangeActions up = leaf.on_pmix(arrives);
  const ExchangeActions down = root.on_peer(1, to_peer(up, 0));
  ASSERT_EQ(down.size(), 2u);
  EXPECT_EQ(std::get<TellPmix>(down[1]).message.fence_done().data(), "xx");
  const ExchangeActions done = leaf.on_peer(0, std::get<TellPeer>(down[0]).message);
  EXPECT_EQ(to_pmix(done).fence_done().id(), 3u);
  EXPECT_EQ(to_pmix(done).fence_done().data(), "xx");
}

}  // namespace
}  // namespace gangway::executor
