// What the balancer and the scheduler say to each other.
#include "scheduler/balancer/scheduler_link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queues/wire/gangway.pb.h"

namespace gangway::balancer {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class NotingTransport final : public io::Transport {
 public:
  Result<void> send(io::PeerId, wire::Frame frame) override {
    frames.push_back(std::move(frame));
    return {};
  }
  void close(io::PeerId) override { ++closed; }
  std::vector<wire::Frame> frames;
  int closed = 0;
};

class Link : public testing::Test {
 protected:
  wire::Request said(std::size_t i) {
    wire::Request request;
    EXPECT_TRUE(request.ParseFromString(transport_.frames.at(i).payload));
    return request;
  }
  void answer(const wire::Response& response) {
    link_.on_frame(kPeer, {wire::FrameType::Response, 1, response.SerializeAsString()});
  }
  static constexpr io::PeerId kPeer{7};
  NotingTransport transport_;
  std::vector<Route> routes_;
  std::uint64_t version_ = 0;
  SchedulerLink link_{transport_, [this](std::uint64_t version, std::vector<Route> routes) {
                        version_ = version;
                        routes_ = std::move(routes);
                      }};
};

TEST_F(Link, WhoConnectsAsksForRoutesAndGetsThem) {
  link_.on_connected(kPeer, io::LocalUser{});
  ASSERT_THAT(transport_.frames, SizeIs(1));
  EXPECT_TRUE(said(0).has_subscribe_routes());

  wire::Response response;
  wire::RoutesChanged& changed = *response.mutable_routes();
  changed.set_version(5);
  wire::Route& route = *changed.add_routes();
  route.set_uid(7);
  route.set_user("ada");
  route.set_endpoint("web");
  route.set_reach(2);
  route.set_port(80);
  route.set_listen_port(80);
  wire::RouteBackend& backend = *route.add_backends();
  backend.set_replica(3);
  backend.set_address("10.0.0.2");
  backend.set_port(8080);
  backend.set_drain(true);
  wire::IngressRule& rule = *route.add_rules();
  rule.set_host("a.org");
  rule.set_path("/");
  answer(response);
  EXPECT_EQ(version_, 5U);
  EXPECT_EQ(routes_, (std::vector<Route>{{.uid = 7,
                                          .user = "ada",
                                          .endpoint = "web",
                                          .reach = Endpoint::Reach::LoadBalancer,
                                          .port_name = "",
                                          .port = 80,
                                          .listen_port = 80,
                                          .backends = {{3, "10.0.0.2", 8080, true}},
                                          .rules = {{"a.org", "/", false, "", "", ""}}}}));
}

TEST_F(Link, ATableLargerThanAFrameArrivesInParts) {
  link_.on_connected(kPeer, io::LocalUser{});
  const auto part = [&](const char* endpoint, std::uint64_t version) {
    wire::Response response;
    response.mutable_routes()->set_version(version);
    response.mutable_routes()->add_routes()->set_endpoint(endpoint);
    answer(response);
  };
  part("lost", 0);
  // What a connection that ended has begun is not gone on with.
  link_.on_connected(kPeer, io::LocalUser{});
  part("a", 0);
  EXPECT_EQ(version_, 0U);
  part("b", 7);
  EXPECT_EQ(version_, 7U);
  ASSERT_THAT(routes_, SizeIs(2));
  EXPECT_EQ(routes_[1].endpoint, "b");
}

TEST_F(Link, WhatIsInForceIsSaidWhileThereIsAConnection) {
  link_.confirm(4, {1});
  EXPECT_THAT(transport_.frames, IsEmpty());
  link_.on_connected(kPeer, io::LocalUser{});
  link_.confirm(5, {3, 4});
  ASSERT_THAT(transport_.frames, SizeIs(2));
  EXPECT_NE(transport_.frames[1].stream, transport_.frames[0].stream);
  EXPECT_EQ(said(1).confirm_routes().version(), 5U);
  EXPECT_THAT(said(1).confirm_routes().drained(), ElementsAre(3, 4));
  link_.on_closed(kPeer, Error(ErrorKind::Unavailable, "gone"));
  link_.confirm(6, {});
  EXPECT_THAT(transport_.frames, SizeIs(2));
}

TEST_F(Link, ARefusedSubscriptionIsTriedAgainOnAnotherConnection) {
  link_.on_connected(kPeer, io::LocalUser{});
  wire::Response response;
  response.mutable_error()->set_message("not for you");
  answer(response);
  EXPECT_EQ(transport_.closed, 1);
}

}  // namespace
}  // namespace gangway::balancer
