// A service under lost nodes and restarts of the scheduler.
#include <gtest/gtest.h>

#include <algorithm>

#include "queues/wire/convert.hpp"
#include "tests/sim/sim_cluster.hpp"
#include "tests/sim/workload.hpp"

namespace gangway::sim {
namespace {

class ServiceScenario : public ::testing::Test {
 protected:
  ServiceScenario() : cluster({.seed = 23, .nodes = 4, .cores = 4, .lease = seconds(30)}) {
    cluster.run_for(seconds(2));
  }
  void TearDown() override {
    cluster.run_for(seconds(120));
    const auto broken = cluster.violations_at_rest();
    EXPECT_TRUE(broken.empty()) << (broken.empty() ? "" : broken.front());
  }
  void apply(std::int32_t replicas, const std::string& image = "web:1") {
    ServiceSpec spec;
    spec.name = "web";
    spec.replicas = replicas;
    spec.replica.image = image;
    spec.replica.ports = {{.name = "http", .port = 8080}};
    wire::Request request;
    wire::NewService* const one = request.mutable_submit_services()->add_services();
    wire::to_wire(spec, one->mutable_spec());
    JobSpec of_replica = job().run("100h").spec();
    of_replica.time_limit.reset();
    wire::to_wire(of_replica, one->mutable_job());
    cluster.submit(std::move(request));
  }
  // As stored.
  std::vector<ServiceReplica> ready() {
    std::vector<ServiceReplica> out;
    for (const auto& [key, service] : cluster.disk().services) {
      for (const ServiceReplica& replica : service.replicas) {
        if (replica.phase == ReplicaPhase::Ready) out.push_back(replica);
      }
    }
    return out;
  }
  // …and their programs run: what is stored is sent afterwards.
  bool has_ready(std::size_t count, Duration limit) {
    return cluster.run_until(
        [&] {
          const auto& services = cluster.disk().services;
          return !services.empty() && ready().size() == count &&
                 services.begin()->second.replicas.size() == count &&
                 cluster.live_programs() == static_cast<int>(count);
        },
        limit);
  }

  Cluster cluster;
};

TEST_F(ServiceScenario, ReplicaOfALostNodeRunsAgainElsewhere) {
  apply(3);
  ASSERT_TRUE(has_ready(3, seconds(30)));
  const JobId first = ready().front().job;
  const std::string node = cluster.row(first)->allocation()->shares.front().node.value;
  for (int i = 0; i < 4; ++i) {
    if (cluster.node_name(i) == node) cluster.crash_node(i);
  }
  ASSERT_TRUE(cluster.run_until([&] { return ready().size() == 2; }, minutes(2)));
  EXPECT_TRUE(has_ready(3, minutes(2)));
  EXPECT_EQ(cluster.live_programs(), 3);
}

TEST_F(ServiceScenario, RestartOfTheSchedulerTouchesNoReplica) {
  apply(3);
  ASSERT_TRUE(has_ready(3, seconds(30)));
  const std::vector<ServiceReplica> before = ready();
  cluster.crash_scheduler();
  cluster.run_for(seconds(5));
  EXPECT_EQ(cluster.live_programs(), 3);
  cluster.start_scheduler();
  cluster.run_for(seconds(60));
  EXPECT_EQ(ready(), before);
  EXPECT_EQ(cluster.live_programs(), 3);
}

TEST_F(ServiceScenario, UpdateGoesOnThroughARestartOfTheScheduler) {
  apply(3);
  ASSERT_TRUE(has_ready(3, seconds(30)));
  apply(3, "web:2");
  cluster.run_for(seconds(2));
  cluster.crash_scheduler();
  cluster.run_for(seconds(2));
  cluster.start_scheduler();
  EXPECT_TRUE(cluster.run_until(
      [&] {
        const auto now = ready();
        return now.size() == 3 &&
               std::ranges::all_of(now, [](const auto& r) { return r.revision == 2; });
      },
      minutes(3)));
}

}  // namespace
}  // namespace gangway::sim
