// Requests for services: which hosts, ports and words they may name, and whose those are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scheduler/controller_world.hpp"

namespace gangway::scheduler {
namespace {

using testing::HasSubstr;

class ServiceRequests : public testing::Test {
 protected:
  // A service "web" with an endpoint "front", whose port is `port`.
  static wire::Request web(std::int32_t port, const std::vector<IngressRule>& rules = {}) {
    ServiceSpec spec;
    spec.name = "web";
    spec.replica.labels = {{"app", "web"}};
    spec.replica.image = "web:1";
    spec.replica.ports = {{.name = "http", .port = 0}};
    wire::Request request;
    wire::SubmitServices* const set = request.mutable_submit_services();
    wire::to_wire(spec, set->add_services()->mutable_spec());
    JobSpec job = scheduler::job().spec();
    job.argv = {"serve"};
    wire::to_wire(job, set->mutable_services(0)->mutable_job());
    const Endpoint front{.name = "front",
                         .labels = {},
                         .selector = {{"app", "web"}},
                         .reach = Endpoint::Reach::LoadBalancer,
                         .ports = {{.name = "http", .port = port, .target = "http"}}};
    wire::to_wire(front, set->add_endpoints());
    for (const IngressRule& rule : rules) wire::to_wire(rule, set->add_rules());
    return request;
  }
  static IngressRule rule(std::string host, std::string path, bool exact = false) {
    return {std::move(host), std::move(path), exact, "front", "", ""};
  }
  // "" if it was taken.
  std::string ask(std::uint32_t uid, const wire::Request& request) {
    return world_.ask(uid, request).error().message();
  }
  // Each user's services have another port.
  std::string ask_for(std::uint32_t uid, const std::vector<IngressRule>& rules) {
    return ask(uid, web(8000 + static_cast<std::int32_t>(uid), rules));
  }
  [[nodiscard]] const Service* find(std::uint32_t uid) const {
    return world_.controller->state().find_service({uid, "web"});
  }
  void change(wire::Request& request, const std::function<void(ServiceSpec&, JobSpec&)>& how) {
    wire::NewService& one = *request.mutable_submit_services()->mutable_services(0);
    ServiceSpec spec = *wire::from_wire(one.spec());
    JobSpec job = *wire::from_wire(one.job());
    how(spec, job);
    wire::to_wire(spec, one.mutable_spec());
    one.clear_job();
    wire::to_wire(job, one.mutable_job());
  }
  void SetUp() override { world_.start().nodes(2); }

  World world_;
};

TEST_F(ServiceRequests, AHostThatHaproxyWouldTakeForAFlagIsRefused) {
  for (const char* const host : {"-f", "-m", "--", "a.-i", "a_b.org", "a b"}) {
    EXPECT_THAT(ask_for(kAlice, {rule(host, "/")}), HasSubstr("words of letters")) << host;
  }
  EXPECT_THAT(ask_for(kAlice, {rule("a.org", "/ }")}), HasSubstr("begins with /"));
  EXPECT_EQ(ask_for(kAlice, {rule("a.org", "/a")}), "");
}

TEST_F(ServiceRequests, APlaceInAnotherSpellingIsTheSamePlace) {
  EXPECT_THAT(ask_for(kAlice, {rule("shop.org", "/api"), rule("SHOP.org", "/api//")}),
              HasSubstr("rule shop.org/api: leads to service web already"));
  // To the letter is another place than what begins with it.
  EXPECT_EQ(ask_for(kAlice, {rule("Shop.Org", "/api/"), rule("shop.org", "/api", true)}), "");
  EXPECT_EQ(find(kAlice)->rules.front().host, "shop.org");
  EXPECT_EQ(find(kAlice)->rules.front().path, "/api");
}

TEST_F(ServiceRequests, AHostBelongsToOneUser) {
  EXPECT_EQ(ask_for(kAlice, {rule("shop.org", "/"), rule("*.fish.org", "/")}), "");
  for (const char* const host : {"shop.org", "SHOP.org", "one.fish.org", "*.fish.org", "*.org"}) {
    EXPECT_THAT(ask_for(kBob, {rule(host, "/login")}), HasSubstr("of service web of alice"))
        << host;
  }
  EXPECT_THAT(ask_for(kBob, {rule("", "/")}), HasSubstr("only an operator sets it"));
  EXPECT_EQ(ask_for(kBob, {rule("two.one.fish.org", "/"), rule("shop.net", "/")}), "");
  EXPECT_EQ(ask_for(kOlga, {rule("", "/")}), "");
}

TEST_F(ServiceRequests, PortsOfEveryKindAreCounted) {
  world_.config.endpoint_ports_per_user = 1;
  world_.start().nodes(2);
  EXPECT_EQ(ask(kAlice, web(8001)), "");
  wire::Request second = web(8002);
  second.mutable_submit_services()->mutable_endpoints(0)->set_name("other");
  EXPECT_THAT(ask(kAlice, second), HasSubstr("at most 1 ports of endpoints"));
}

TEST_F(ServiceRequests, NiceBelowZeroIsAnOperatorsForReplicasToo) {
  wire::Request request = web(8001);
  change(request, [](ServiceSpec&, JobSpec& job) { job.nice = -1; });
  EXPECT_THAT(ask(kAlice, request), HasSubstr("--nice: below 0 only an operator sets it"));
  EXPECT_EQ(ask(kOlga, request), "");
}

TEST_F(ServiceRequests, ASubmittedJobIsNoReplica) {
  JobSpec spec = job().spec();
  spec.kind = JobKind::Service;
  const auto submit = [&] {
    wire::Request request;
    request.mutable_submit()->set_key(world_.fresh_key());
    wire::to_wire(spec, request.mutable_submit()->add_jobs()->mutable_spec());
    return world_.ask(kAlice, request);
  };
  const wire::Response answer = submit();
  ASSERT_FALSE(answer.has_error()) << answer.error().message();
  EXPECT_EQ(world_.get(answer.submitted().jobs(0)).spec->kind, JobKind::Batch);
  spec.components.front().named_per_node.set_named("tcp-8080", 1);
  EXPECT_THAT(submit().error().message(), HasSubstr("tcp-8080 is for replicas of services"));
}

TEST_F(ServiceRequests, APortOfTheRangeCannotBeNamed) {
  wire::Request request = web(8001);
  change(request, [](ServiceSpec& spec, JobSpec&) { spec.replica.ports[0].port = 20005; });
  EXPECT_THAT(ask(kAlice, request), HasSubstr("20005 is of those that are given out"));
}

TEST_F(ServiceRequests, ATemplateKeepsThePortsItsEndpointsLeadTo) {
  EXPECT_EQ(ask(kAlice, web(8001)), "");
  wire::Request renamed = web(8001);
  change(renamed, [](ServiceSpec& spec, JobSpec&) { spec.replica.ports[0].name = "web"; });
  renamed.mutable_submit_services()->clear_endpoints();
  EXPECT_THAT(ask(kAlice, renamed), HasSubstr("its endpoint front leads to port http"));
}

TEST_F(ServiceRequests, ATableLargerThanAFrameIsSentInParts) {
  const std::string label(60, 'a');
  const std::string host = cat(label, '.', label, '.', label, ".org");
  for (int i = 0; i < 12; ++i) {
    wire::Request request = web(8001 + i);
    change(request, [&](ServiceSpec& spec, JobSpec&) {
      spec.name = cat("web", i);
      spec.replica.labels = {{"app", cat("web", i)}};
    });
    wire::ServiceEndpoint& endpoint = *request.mutable_submit_services()->mutable_endpoints(0);
    endpoint.set_name(cat("front", i));
    endpoint.mutable_selector(0)->set_value(cat("web", i));
    for (int r = 0; r < 80; ++r) {
      IngressRule one = rule(host, cat("/", i, "/", r, "/", std::string(1000, 'a')));
      one.endpoint = endpoint.name();
      wire::to_wire(one, request.mutable_submit_services()->add_rules());
    }
    ASSERT_EQ(ask(kAlice, request), "") << i;
  }
  wire::Request subscribe;
  subscribe.mutable_subscribe_routes();
  const auto& parts = world_.answers(world_.ask_later(kOlga, subscribe));
  ASSERT_GT(parts.size(), 1U);
  EXPECT_EQ(parts.front().routes().version(), 0U);
  EXPECT_NE(parts.back().routes().version(), 0U);
}

TEST_F(ServiceRequests, AServiceTooLargeToBeShownIsRefused) {
  wire::Request request = web(8001);
  const auto with = [&](std::size_t bytes) {
    change(request, [&](ServiceSpec& spec, JobSpec&) {
      spec.replica.env = {{"A", std::string(bytes, 'a')}};
    });
    return ask(kAlice, request);
  };
  EXPECT_THAT(with(2 << 20), HasSubstr("have together more than"));
  // Revisions that nobody needs go when they are too much together.
  for (std::size_t i = 0; i < 9; ++i) ASSERT_EQ(with((900 << 10) + i), "");
  EXPECT_LT(find(kAlice)->revisions.size(), 8U);
  wire::Request scale;
  scale.mutable_service_command()->set_verb(wire::ServiceCommand::SCALE);
  scale.mutable_service_command()->set_name("web");
  scale.mutable_service_command()->set_replicas(0);
  const wire::Response answer = world_.ask(kAlice, scale);
  EXPECT_FALSE(answer.has_error());
  EXPECT_LT(answer.ByteSizeLong(), 1U << 20);
}

TEST_F(ServiceRequests, OnlyAnotherEndpointIsAChange) {
  EXPECT_EQ(ask(kAlice, web(8001)), "");
  const auto what = [&](std::int32_t port) {
    return world_.ask(kAlice, web(port)).services_applied().services(0).what();
  };
  EXPECT_EQ(what(8001), wire::ServicesApplied::UNCHANGED);
  EXPECT_EQ(what(8003), wire::ServicesApplied::SCALED);
}

}  // namespace
}  // namespace gangway::scheduler
