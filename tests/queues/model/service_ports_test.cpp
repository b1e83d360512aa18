// Ports of replicas as resources of nodes.
#include "queues/model/service_ports.hpp"

#include <gtest/gtest.h>

namespace gangway {
namespace {

constexpr PortRange kRange{20000, 20002};

NodeShare share_with_port(std::int32_t port) {
  NodeShare share;
  share.resources.set_named(kServicePort, 1);
  share.devices.push_back({std::string(kServicePort), {port}});
  return share;
}

TEST(ServicePorts, NumberedOneIsThereOnceOnEachNodeAndOthersAreOfTheRange) {
  Resources wanted;
  ask_for_ports({{.name = "http", .port = 8080}, {.name = "any", .port = 0}}, wanted);
  EXPECT_EQ(wanted.amount_of("tcp-8080"), 1);
  EXPECT_EQ(wanted.amount_of(kServicePort), 1);
  Resources capacity;
  OfferedPorts{.fixed = {8080}, .range = kRange}.add_to(capacity);
  EXPECT_EQ(capacity.amount_of("tcp-8080"), 1);
  EXPECT_EQ(capacity.amount_of(kServicePort), 3);
}

TEST(ServicePorts, LowestFreeOneIsGivenUntilNoneIsLeft) {
  NodeShare share;
  share.resources.set_named(kServicePort, 1);
  const NodeShare first = share_with_port(20000);
  const NodeShare third = share_with_port(20002);
  ASSERT_TRUE(give_port(share, kRange, {&first, &third}));
  EXPECT_EQ(given_port(share), 20001);
  NodeShare late;
  late.resources.set_named(kServicePort, 1);
  EXPECT_FALSE(give_port(late, kRange, {&first, &share, &third}));
}

TEST(ServicePorts, PortOfAContainerIsReachedAtItsOwnNumberOrAtTheOneGiven) {
  const NodeShare share = share_with_port(20001);
  EXPECT_EQ(host_port({.name = "", .port = 8080}, share), 8080);
  EXPECT_EQ(host_port({.name = "", .port = 0}, share), 20001);
  EXPECT_EQ(host_port({.name = "", .port = 0}, NodeShare{}), std::nullopt);
}

}  // namespace
}  // namespace gangway
