// Who talks with a job's steps, from where, and who is told that they have left.
#include "executor/step_clients.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "queues/base/text.hpp"
#include "tests/executor/fakes.hpp"

namespace gangway::executor {
namespace {

using namespace testing;  // NOLINT: the fakes of this folder

// A node's clients, without a socket. What happens is told in words, in its order.
struct World {
  explicit World(std::uint32_t node_index = 0) { order.node_index = node_index; }
  StepClientsWorld faces() {
    return {.loop = loop,
            .order = order,
            .facts = facts,
            .tell_peer =
                [this](std::uint32_t node, const wire::Peer& peer) {
                  const wire::PeerSession& session = peer.session();
                  told.push_back(cat(session.has_closed() ? "close " : "tell ", session.session(),
                                     " on node ", node));
                },
            .tell_outside =
                [this](const wire::NodeSession& session) {
                  told.push_back(
                      cat(session.has_closed() ? "close " : "tell ", session.id(), " outside"));
                },
            .hear =
                [this](ClientId id, const wire::ToStep&) {
                  told.push_back(cat("hear ", id));
                  last = id;
                },
            .gone = [this](ClientId id, const ClientRole&) { told.push_back(cat("gone ", id)); }};
  }
  void outside_says(std::uint64_t session) {
    wire::NodeSession said;
    said.set_id(session);
    said.mutable_to_step()->mutable_hold();
    clients.on_outside(said);
  }
  void node_says(std::uint32_t node, std::uint64_t session) {
    wire::PeerSession said;
    said.set_session(session);
    said.mutable_to_step()->mutable_hold();
    clients.on_peer_session(node, said);
  }
  std::vector<std::string> take_told() { return std::exchange(told, {}); }

  FakeLoop loop;
  StepOrder order;
  LaunchFacts facts;
  std::vector<std::string> told;
  ClientId last = 0;
  StepClients clients{faces()};
};
using Told = std::vector<std::string>;

TEST(StepClients, TheSameNumberFromElsewhereIsSomebodyElse) {
  World world;
  world.outside_says(7);
  world.node_says(1, 7);
  world.node_says(2, 7);
  world.node_says(1, 7);
  EXPECT_EQ(world.take_told(), (Told{"hear 1", "hear 2", "hear 3", "hear 2"}));
}

TEST(StepClients, AnAnswerGoesWhereTheClientIsAndTheEndFollowsIt) {
  World world;
  world.outside_says(7);
  world.node_says(2, 8);
  world.take_told();
  world.clients.refuse(1, Error(ErrorKind::Invalid, "no"));
  world.clients.refuse(2, Error(ErrorKind::Invalid, "no"));
  EXPECT_EQ(world.take_told(),
            (Told{"tell 7 outside", "close 7 outside", "tell 8 on node 2", "close 8 on node 2"}));
  EXPECT_EQ(world.clients.find(1), nullptr);
}

TEST(StepClients, WithANodeOrTheAgentTheirClientsAreGoneAndNoOthers) {
  World world;
  world.outside_says(7);
  world.node_says(1, 7);
  world.node_says(2, 7);
  world.take_told();
  world.clients.on_node_lost(2);
  EXPECT_EQ(world.take_told(), (Told{"close 7 on node 2", "gone 3"}));
  world.clients.on_outside_lost();
  EXPECT_EQ(world.take_told(), (Told{"close 7 outside", "gone 1"}));
  EXPECT_NE(world.clients.find(2), nullptr);
}

TEST(StepClients, WhoIsCutOffIsHeardNoMoreAndGoneInALaterTurn) {
  World world;
  world.outside_says(7);
  world.take_told();
  world.clients.cut(world.last, Error(ErrorKind::Invalid, "it lies"));
  world.outside_says(7);
  EXPECT_EQ(world.take_told(), Told{});
  world.loop.pass();
  EXPECT_EQ(world.take_told(), (Told{"close 7 outside", "gone 1"}));
}

TEST(StepClients, ThoseWhoWaitForTheJobsEndAreKnown) {
  World world;
  world.outside_says(7);
  world.outside_says(8);
  world.clients.find(2)->holds = true;
  EXPECT_EQ(world.clients.holders(), std::vector<ClientId>{2});
}

TEST(StepClients, ClosingTellsAllAndNobodyIsHeardAfterIt) {
  World world;
  world.outside_says(7);
  world.node_says(1, 8);
  world.take_told();
  world.clients.close(Error(ErrorKind::Unavailable, "the job has ended"));
  EXPECT_EQ(world.take_told(),
            (Told{"tell 7 outside", "close 7 outside", "tell 8 on node 1", "close 8 on node 1"}));
  world.outside_says(9);
  world.node_says(1, 9);
  EXPECT_EQ(world.take_told(), (Told{"close 9 outside"}));
}

TEST(StepClients, PeopleOutsideAreHeardByTheFirstNodeAlone) {
  World world(/*node_index=*/1);
  world.outside_says(7);
  EXPECT_EQ(world.take_told(), (Told{"close 7 outside"}));
}

}  // namespace
}  // namespace gangway::executor
