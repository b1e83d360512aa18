#include <gtest/gtest.h>

#include "queues/model/node_machine.hpp"
#include "queues/model/workflow_machine.hpp"

namespace gangway {
namespace {

const node_event::Registered kRegistered{
    .capacity = {.cores = 8}, .boot_id = "b1", .address = "10.0.0.1"};

TEST(NodeMachine, RegisteringReachesTheNodeAndKeepsItsDrain) {
  Node node{.name = NodeName{"n01"}};
  node = apply(node, node_event::Drained{.on = true, .reason = "fan", .by = "root"});
  node = apply(node, kRegistered);
  EXPECT_EQ(node.contact, Contact::Reached);
  EXPECT_EQ(node.capacity.cores, 8);
  EXPECT_EQ(node.drain_reason, "fan");
  EXPECT_FALSE(node.can_take_jobs());
  EXPECT_EQ(node.version, 2U);
}

TEST(NodeMachine, EndOfADrainForgetsItsReason) {
  Node node = apply(Node{.name = NodeName{"n01"}}, kRegistered);
  node = apply(node, node_event::Drained{.on = true, .reason = "fan", .by = "root"});
  node = apply(node, node_event::Drained{.on = false, .reason = "fixed", .by = "root"});
  EXPECT_EQ(node.drain_reason, "");
  EXPECT_TRUE(node.can_take_jobs());
}

TEST(NodeMachine, LostAndConfirmedDownNodesTakeNoJobs) {
  const Node node = apply(Node{.name = NodeName{"n01"}}, kRegistered);
  EXPECT_FALSE(apply(node, node_event::Lost{}).can_take_jobs());
  EXPECT_FALSE(apply(node, node_event::ConfirmedDown{.by = "root"}).can_take_jobs());
}

TEST(NodeMachine, ContactIsNotPartOfTheRecordedState) {
  const Node node = apply(Node{.name = NodeName{"n01"}}, kRegistered);
  Node other = node;
  other.contact = Contact::Suspect;
  EXPECT_TRUE(same_state(node, other));
  other.drain = true;
  EXPECT_FALSE(same_state(node, other));
}

TEST(WorkflowMachine, EndsOnce) {
  const auto workflow = make_workflow(
      WorkflowId{7}, {.name = "heat", .owner = {}, .members = {{.name = "a", .job = JobId{1}}}},
      Time{5});
  EXPECT_EQ(workflow.version, 1U);
  EXPECT_EQ(workflow.members.size(), 1U);
  const auto ended = apply(workflow, workflow_event::Finished{}, Time{9});
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->ended, Time{9});
  EXPECT_EQ(ended->version, 2U);
  EXPECT_EQ(apply(*ended, workflow_event::Finished{}, Time{10}).error().kind(),
            ErrorKind::Internal);
  EXPECT_EQ(apply(workflow, workflow_event::Submitted{}, Time{9}).error().kind(),
            ErrorKind::Internal);
}

}  // namespace
}  // namespace gangway
