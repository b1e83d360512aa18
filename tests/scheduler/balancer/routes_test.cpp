// Routes as HAProxy's table: who listens where, and what is left out so that the others are served.
#include "scheduler/balancer/routes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gangway::balancer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Route route(std::string endpoint, std::int32_t port) {
  return {.uid = 7,
          .user = "ada",
          .endpoint = std::move(endpoint),
          .reach = Endpoint::Reach::LoadBalancer,
          .port_name = "",
          .port = port,
          .listen_port = port,
          .backends = {{3, "10.0.0.2", 8080, false}, {4, "10.0.0.3", 8080, true}},
          .rules = {}};
}
IngressRule rule(std::string host, std::string path, bool exact = false, std::string secret = "") {
  return {std::move(host), std::move(path), exact, "web", "80", std::move(secret)};
}

TEST(Routes, APortIsAListenerAndItsReplicasAreAPool) {
  const MadeTable made = make_table({route("web", 80)}, {});
  EXPECT_TRUE(made.refused.empty());
  EXPECT_EQ(made.table.listeners.at({"0.0.0.0", 80}).pool, "tcp.7.web.80");
  EXPECT_EQ(made.table.pools.at("tcp.7.web.80"),
            (Pool{false,
                  {{"r3_10.0.0.2_8080", {"10.0.0.2", 8080, false}},
                   {"r4_10.0.0.3_8080", {"10.0.0.3", 8080, true}}}}));
  EXPECT_EQ(replica_of("r4_10.0.0.3_8080"), 4U);
  EXPECT_EQ(replica_of("BACKEND"), 0U);
}

TEST(Routes, WhatIsMeantForTheClusterListensInsideAndAPortMayBeAnother) {
  Route inner = route("db", 80);
  inner.reach = Endpoint::Reach::Cluster;
  const MadeTable made =
      make_table({inner, route("web", 443)}, {.ports = {{"80", 8081}, {"443", 8443}}});
  EXPECT_TRUE(made.table.listeners.contains({"127.0.0.1", 8081}));
  EXPECT_TRUE(made.table.listeners.contains({"0.0.0.0", 8443}));
}

TEST(Routes, TheOutsideMayBeAnotherNetwork) {
  Route inner = route("db", 81);
  inner.reach = Endpoint::Reach::Cluster;
  const MadeTable made = make_table({route("web", 80), inner}, {.network = "out"});
  EXPECT_TRUE(made.table.listeners.contains({"0.0.0.0", 80, "out"}));
  EXPECT_TRUE(made.table.listeners.contains({"127.0.0.1", 81, ""}));
}

TEST(Routes, APortCalledHttpIsBalancedRequestByRequest) {
  Route web = route("web", 80);
  web.port_name = "http-api";
  const MadeTable made = make_table({web}, {});
  EXPECT_TRUE(made.table.listeners.at({"0.0.0.0", 80}).http);
  EXPECT_TRUE(made.table.pools.at("http.7.web.80").http);
}

TEST(Routes, RulesAreTriedNamedHostsFirstThenTheLongestPath) {
  Route web = route("web", 8000);
  web.rules = {rule("", "/"), rule("*.example.org", "/"), rule("a.example.org", "/"),
               rule("a.example.org", "/api"), rule("A.example.org", "/api", true)};
  const MadeTable made = make_table({web}, {});
  std::vector<std::string> order;
  for (const HostRule& one : made.table.listeners.at({"0.0.0.0", 80}).rules) {
    order.push_back(one.host + one.path + (one.exact ? "!" : ""));
  }
  EXPECT_THAT(order, ElementsAre("a.example.org/api!", "a.example.org/api", "a.example.org/",
                                 "*.example.org/", "/"));
}

TEST(Routes, RulesWithASecretListenWithItsCertificate) {
  Route web = route("web", 8000);
  web.rules = {rule("a.example.org", "/", false, "cert"),
               rule("b.example.org", "/", false, "none")};
  Machine machine;
  machine.is_certificate = [](const std::string& file) { return file == "/c/ada/cert.pem"; };
  const MadeTable made = make_table({web}, {.certificates = "/c"}, machine);
  EXPECT_THAT(made.table.listeners.at({"0.0.0.0", 443}).certificates,
              ElementsAre("/c/ada/cert.pem"));
  EXPECT_THAT(made.refused,
              ElementsAre("endpoint web of ada: rule b.example.org/: /c/ada/none.pem is no "
                          "certificate"));
}

TEST(Routes, WhatTheMachineDoesNotAllowIsLeftOutAndSaid) {
  Machine machine;
  machine.can_listen = [](const ListenAddress& where) { return where.port != 80; };
  const MadeTable made = make_table({route("web", 80), route("db", 81)}, {}, machine);
  EXPECT_THAT(made.table.listeners, SizeIs(1));
  EXPECT_THAT(made.refused,
              ElementsAre("endpoint web of ada: port 80 of 0.0.0.0 is taken on this machine; "
                          "balancer.ports may name another"));
}

TEST(Routes, NobodyTakesAPortOrAHostThatIsAnothers) {
  Route first = route("web", 80);
  first.rules = {rule("a.org", "/")};
  Route second = route("evil", 80);
  second.rules = {rule("a.org", "/")};
  const MadeTable made = make_table({first, second}, {.ingress = 8000});
  EXPECT_EQ(made.table.listeners.at({"0.0.0.0", 80}).pool, "tcp.7.web.80");
  EXPECT_EQ(made.table.listeners.at({"0.0.0.0", 8000}).rules.at(0).pool, "http.7.web.80");
  EXPECT_THAT(made.refused, ElementsAre(HasSubstr("rule a.org/: is another endpoint's already"),
                                        HasSubstr("port 80 is another endpoint's")));
}

TEST(Routes, APortOfAnEndpointDoesNotTakeTheRulesAway) {
  Route web = route("web", 8000);
  web.rules = {rule("a.org", "/")};
  const MadeTable made = make_table({route("greedy", 80), web}, {.ingress = 80});
  EXPECT_THAT(made.table.listeners.at({"0.0.0.0", 80}).rules, SizeIs(1));
  EXPECT_THAT(made.refused, ElementsAre("endpoint greedy of ada: port 80 is that of rules of "
                                        "Ingress"));
}

TEST(Routes, AHostThatHaproxyWouldTakeForAFlagIsRefused) {
  for (const char* const host :
       {"-f", "-m", "-i", "--", "a.-f", "a-.org", ".", "a..org", "*.", "*.*.org", "*", "a_b.org"}) {
    Route web = route("web", 80);
    web.rules = {rule(host, "/")};
    EXPECT_THAT(make_table({web}, {.ingress = 8000}).refused, SizeIs(1)) << host;
  }
  Route web = route("web", 80);
  web.rules = {rule("a-1.b--c.org", "/")};
  EXPECT_THAT(make_table({web}, {.ingress = 8000}).refused, SizeIs(0));
}

TEST(Routes, WordsThatWouldBeMoreThanWordsAreRefused) {
  Route web = route("web\nbackend x", 80);
  EXPECT_THAT(make_table({web}, {}).refused, SizeIs(1));
  web = route("web", 80);
  web.backends[0].address = "10.0.0.2 weight 5";
  web.rules = {rule("a } || { always_true", "/"), rule("a", "/ }"), rule("a", "/%[env(X)]"),
               rule("a", "/", false, "../bob/cert")};
  const MadeTable made = make_table({web}, {});
  EXPECT_THAT(made.refused, SizeIs(5));
  EXPECT_THAT(made.table.pools.at("tcp.7.web.80").servers, SizeIs(1));
}

}  // namespace
}  // namespace gangway::balancer
