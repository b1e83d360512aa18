#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

Contact contact_of(const World& world, const char* node) {
  return world.controller->state().find_node(NodeName(node))->contact;
}

wire::Request node_command(wire::NodeCommand::Verb verb, const char* node) {
  wire::Request request;
  request.mutable_node_command()->set_verb(verb);
  request.mutable_node_command()->set_name(node);
  request.mutable_node_command()->set_reason("new disk");
  return request;
}

TEST(NodeRegistry, ANodeThatRegistersTakesJobs) {
  World world;
  world.start().node("n1");
  EXPECT_EQ(contact_of(world, "n1"), Contact::Reached);
  world.submit(job());
  EXPECT_EQ(world.phase(1), "Starting");
}

TEST(NodeRegistry, SilenceMakesSuspectAndALostNodeHasToRegisterBeforeItIsAcknowledged) {
  World world;
  world.start().node("n1");
  world.advance(seconds(15));
  EXPECT_EQ(contact_of(world, "n1"), Contact::Suspect);
  world.submit(job());
  EXPECT_EQ(world.phase(1), "Waiting");
  world.heartbeat("n1");
  EXPECT_EQ(contact_of(world, "n1"), Contact::Reached);
  EXPECT_EQ(world.phase(1), "Starting");
  world.advance(minutes(11));
  EXPECT_EQ(contact_of(world, "n1"), Contact::Lost);
  EXPECT_EQ(world.closed, std::vector{world.node_peers.at("n1")});
  (void)world.told("n1");
  world.heartbeat("n1");
  EXPECT_EQ(world.told("n1"), Told{}) << "it would renew leases that we count as over";
}

TEST(NodeRegistry, WhoeverWasStoppedItselfListensBeforeItCallsAnybodyLost) {
  World world;
  world.start().node("n1");
  world.submit(job());
  world.run(1);
  world.jump(hours(1));
  EXPECT_EQ(contact_of(world, "n1"), Contact::Reached);
  world.heartbeat("n1");
  world.advance(seconds(2));
  EXPECT_EQ(contact_of(world, "n1"), Contact::Reached);
  world.jump(hours(1));
  world.advance(seconds(1));
  EXPECT_EQ(contact_of(world, "n1"), Contact::Lost) << "nothing was heard";
}

TEST(NodeRegistry, HeartbeatsAreAnsweredWithTheNodesOwnTime) {
  World world;
  world.start().node("n1");
  world.heartbeat("n1");
  EXPECT_EQ(world.last_sent("n1", wire::ToNode::kHeartbeatAck).heartbeat_ack().boot_ns(), 7);
}

TEST(NodeRegistry, ANewConnectionReplacesTheOld) {
  World world;
  world.start().node("n1");
  const io::PeerId old = world.node_peers.at("n1");
  world.node("n1");
  EXPECT_EQ(world.closed, std::vector{old});
  world.perform(world.controller->on_node_closed(old, world.now));
  world.submit(job());
  EXPECT_EQ(world.phase(1), "Starting");
}

TEST(NodeRegistry, AFlappingConnectionLosesNothing) {
  World world;
  world.start().node("n1");
  world.submit(job());
  world.disconnect("n1");
  world.node("n1");
  EXPECT_EQ(world.told("n1"), (Told{"registered", "prepare 1.1"}));
  world.run(1);
  world.disconnect("n1");
  world.node("n1", 4, {{1, 1, wire::HeldAttempt::RUNNING}});
  EXPECT_EQ(world.phase(1), "Running");
}

TEST(NodeRegistry, RegisteringTheSameAgainIsNoEvent) {
  World world;
  world.start().node("n1");
  const std::size_t before = world.events.size();
  world.node("n1");
  EXPECT_EQ(world.events.size(), before);
}

TEST(NodeRegistry, ADrainedNodeFinishesItsJobsAndGetsNoMore) {
  World world;
  world.start().node("n1");
  world.submit(job());
  world.run(1);
  EXPECT_FALSE(world.ask(kOlga, node_command(wire::NodeCommand::DRAIN, "n1")).has_error());
  world.submit(job());
  EXPECT_EQ(world.reason(2), PendingReason::NodesUnavailable);
  world.finished("n1", 1);
  EXPECT_EQ(world.phase(2), "Waiting");
  EXPECT_FALSE(world.ask(kOlga, node_command(wire::NodeCommand::RESUME, "n1")).has_error());
  EXPECT_EQ(world.phase(2), "Starting");
}

TEST(NodeRegistry, OnlyOperatorsCommandNodes) {
  World world;
  world.start().node("n1");
  EXPECT_EQ(wire::from_wire(world.ask(kAlice, node_command(wire::NodeCommand::DRAIN, "n1")).error())
                .kind(),
            ErrorKind::Denied);
  EXPECT_FALSE(world.ask(0, node_command(wire::NodeCommand::DRAIN, "n1")).has_error());
  EXPECT_FALSE(world.ask(999, node_command(wire::NodeCommand::RESUME, "n1")).has_error());
}

TEST(NodeRegistry, ANodeInContactCannotBeConfirmedDown) {
  World world;
  world.start().node("n1");
  EXPECT_TRUE(world.ask(kOlga, node_command(wire::NodeCommand::CONFIRM_DOWN, "n1")).has_error());
}

TEST(NodeRegistry, ListTellsWhatIsUsed) {
  World world;
  world.start().node("n1");
  world.submit(job().cores(3));
  wire::Request request;
  request.mutable_list_nodes();
  const wire::Response response = world.ask(kAlice, request);
  ASSERT_EQ(response.nodes().nodes_size(), 1);
  EXPECT_EQ(response.nodes().nodes(0).used().cores(), 3);
  EXPECT_EQ(response.nodes().nodes(0).jobs_size(), 1);
}

}  // namespace
}  // namespace gangway::scheduler
