// A service's record: what applying, scaling, going back and the ends of replicas do to it.
#include "queues/model/service_machine.hpp"

#include <gtest/gtest.h>

namespace gangway {
namespace {

namespace e = service_event;

Time at_s(std::int64_t s) { return Time{} + seconds(s); }

ServiceSpec web(std::int32_t replicas, const std::string& image = "web:1") {
  ServiceSpec spec;
  spec.name = "web";
  spec.replicas = replicas;
  spec.replica.image = image;
  spec.revisions_kept = 2;
  return spec;
}

const Owner kAda{.uid = 1000, .gid = 100, .user = "ada"};

class ServiceMachine : public testing::Test {
 protected:
  void happen(const ServiceEvent& event) {
    auto next = apply(service_, event, at_s(++now_s_));
    ASSERT_TRUE(next) << next.error().message();
    service_ = *std::move(next);
  }
  void apply_spec(const ServiceSpec& spec) { happen(e::Applied{kAda, spec, JobSpec{}}); }

  Service service_;
  int now_s_ = 0;
};

TEST_F(ServiceMachine, TheSameAgainIsNoNewRevision) {
  apply_spec(web(3));
  EXPECT_EQ(service_.progress.revision, 1);
  apply_spec(web(3));
  apply_spec(web(5));
  EXPECT_EQ(service_.progress.revision, 1);
  EXPECT_EQ(service_.revisions.size(), 1u);
  EXPECT_EQ(service_.spec.replicas, 5);
}

TEST_F(ServiceMachine, AnotherTemplateOrAnotherJobIsANewRevision) {
  apply_spec(web(3));
  apply_spec(web(3, "web:2"));
  EXPECT_EQ(service_.progress.revision, 2);
  JobSpec other;
  other.account = AccountName("physics");
  happen(e::Applied{kAda, web(3, "web:2"), other});
  EXPECT_EQ(service_.progress.revision, 3);
}

TEST_F(ServiceMachine, AnOlderRevisionIsWantedWithItsOwnTemplate) {
  apply_spec(web(3));
  apply_spec(web(3, "web:2"));
  happen(e::Wanted{1, "rolled back"});
  EXPECT_EQ(service_.progress.revision, 1);
  EXPECT_EQ(service_.spec.replica.image, "web:1");
  // What is applied after it is newer than all there were.
  apply_spec(web(3, "web:2"));
  EXPECT_EQ(service_.progress.revision, 3);
}

TEST_F(ServiceMachine, OldRevisionsAreForgottenButNotThoseThatStillRun) {
  apply_spec(web(1));
  happen(e::Started{1, 1, JobId{1}});
  for (int i = 2; i <= 6; ++i) apply_spec(web(1, "web:" + std::to_string(i)));
  EXPECT_NE(service_.find_revision(1), nullptr);
  EXPECT_EQ(service_.find_revision(2), nullptr);
  happen(e::Forgotten{1});
  apply_spec(web(1, "web:7"));
  EXPECT_EQ(service_.find_revision(1), nullptr);
  EXPECT_NE(service_.find_revision(5), nullptr);
  EXPECT_EQ(service_.revisions.size(), 3u);
}

TEST_F(ServiceMachine, PhaseKeepsItsTimeWhileOnlyTheNoteChanges) {
  apply_spec(web(1));
  happen(e::Started{1, 1, JobId{1}});
  happen(e::Phased{1, ReplicaPhase::Starting, true, ""});
  const Time since = service_.find_replica(1)->since;
  happen(e::Phased{1, ReplicaPhase::Starting, true, "connection refused"});
  EXPECT_EQ(service_.find_replica(1)->since, since);
  EXPECT_EQ(service_.find_replica(1)->note, "connection refused");
}

TEST_F(ServiceMachine, DeletedOneGoesOnlyWithItsLastReplica) {
  apply_spec(web(1));
  happen(e::Started{1, 1, JobId{1}});
  happen(e::Deleted{});
  EXPECT_EQ(service_.spec.replicas, 0);
  EXPECT_FALSE(apply(service_, e::Removed{}, at_s(9)));
  EXPECT_FALSE(apply(service_, e::Applied{kAda, web(1), JobSpec{}}, at_s(9)));
  happen(e::Forgotten{1});
  EXPECT_TRUE(apply(service_, e::Removed{}, at_s(9)));
}

TEST_F(ServiceMachine, NothingHappensToAServiceThatIsNotThere) {
  EXPECT_FALSE(apply(Service{}, e::Scaled{3}, at_s(1)));
  EXPECT_FALSE(apply(Service{}, e::Deleted{}, at_s(1)));
}

TEST(ServiceSpec, WhatCannotBeIsRefusedNamingTheField) {
  const auto error = [](auto spoil) {
    ServiceSpec spec = web(3);
    spec.replica.ports = {{.name = "http", .port = 8080}};
    spoil(spec);
    const auto fine = validate(spec);
    return fine ? std::string("fine") : fine.error().message();
  };
  EXPECT_EQ(error([](ServiceSpec&) {}), "fine");
  EXPECT_EQ(error([](ServiceSpec& s) { s.replicas = -1; }),
            "replicas: -1 is not between 0 and 10000");
  EXPECT_EQ(error([](ServiceSpec& s) { s.replica.ports.push_back({.name = "x", .port = 8080}); }),
            "ports: 8080 stands there twice");
  EXPECT_EQ(error([](ServiceSpec& s) {
              s.replica.readiness = Probe{.kind = Probe::Kind::Http, .port = "nope"};
            }),
            "readiness probe: there is no port nope");
  EXPECT_EQ(error([](ServiceSpec& s) {
              s.update.max_surge = {0, false};
              s.update.max_unavailable = {0, true};
            }),
            "update: max_surge and max_unavailable cannot both be 0");
  EXPECT_EQ(error([](ServiceSpec& s) { s.name = "Web_1"; }).substr(0, 10), "name Web_1");
}

TEST(EndpointTarget, IsFoundByNameByNumberAndWhereThereIsOnlyOne) {
  ReplicaTemplate replica;
  replica.ports = {{.name = "http", .port = 8080}, {.name = "admin", .port = 9000}};
  EXPECT_EQ(find_target(replica, {.name = "", .port = 80, .target = "http"})->port, 8080);
  EXPECT_EQ(find_target(replica, {.name = "", .port = 80, .target = "9000"})->port, 9000);
  EXPECT_EQ(find_target(replica, {.name = "", .port = 9000, .target = ""})->port, 9000);
  EXPECT_EQ(find_target(replica, {.name = "", .port = 80, .target = ""}), nullptr);
  replica.ports.pop_back();
  EXPECT_EQ(find_target(replica, {.name = "", .port = 80, .target = ""})->port, 8080);
}

}  // namespace
}  // namespace gangway
