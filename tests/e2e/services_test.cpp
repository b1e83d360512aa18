// Services with real daemons: replicas on nodes of their own that answer there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Services : public OnCluster<Services> {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_NETWORKS();
    OnCluster::SetUp();
    busybox_ = find_image("busybox.tar");
    if (busybox_.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  }
  void TearDown() override {
    (void)user({"jctl", "service", "delete", "web"});
    EXPECT_TRUE(becomes_true([&] { return show().empty(); }));
    OnCluster::TearDown();
  }

  // `mark` makes it another revision; it serves port 8080, or, if not `well`, nothing.
  void apply(int replicas, const std::string& mark, bool well = true) {
    const std::string serve = well ? "exec busybox httpd -f -p 8080" : "exec sleep 1000";
    write_as_user(cluster(), directory() + "/web.yaml",
                  cat(R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: )",
                      replicas, R"(
  progressDeadlineSeconds: )",
                      5 * kSlowness, R"(
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: )",
                      busybox_, R"(
          command: [sh, -c, ")",
                      serve, R"("]
          env: [{name: MARK, value: ")",
                      mark, R"("}]
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {tcpSocket: {port: http}, periodSeconds: 1, timeoutSeconds: 20}
)"));
    const Ran ran = user({"jsubmit", "--format", "k8s", "web.yaml"});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
  }
  // The one service there is; empty if there is none.
  nlohmann::json show() {
    const Ran ran = user({"jctl", "service", "--json"});
    const auto json = nlohmann::json::parse(ran.out, nullptr, false);
    if (json.is_discarded() || json["services"].empty()) return {};
    return json["services"][0];
  }
  bool settles(int replicas, int revision) {
    return becomes_true([&] {
      const auto service = show();
      return service.value("state", "") == "settled" && service["ready"] == replicas &&
             service["revision"] == revision;
    });
  }
  // How many replicas answer on their node's port.
  int answering() {
    int count = 0;
    const auto service = show();
    for (const auto& replica : service["replicas"]) {
      if (replica["phase"] != "ready") continue;
      const Ran ran = cluster().in_network(
          replica["node"], {"jrun", "--probe", cat(replica["ports"][0].get<int>())});
      count += ran.exit_code == 0 ? 1 : 0;
    }
    return count;
  }

  std::string busybox_;
};

TEST_F(Services, ReplicasAnswerOnTheirNodesAndOneThatIsKilledIsReplaced) {
  apply(3, "one");
  ASSERT_TRUE(settles(3, 1)) << show().dump(2);
  EXPECT_EQ(answering(), 3);
  const Ran queue = user({"jqueue"});
  EXPECT_THAT(queue.out, HasSubstr("web-1-1"));
  const auto before = show()["replicas"];
  const Ran killed = user({"jcancel", "--signal=KILL", cat(before[0]["job"].get<int>())});
  ASSERT_EQ(killed.exit_code, 0) << killed.err;
  ASSERT_TRUE(becomes_true([&] {
    const auto now = show()["replicas"];
    return std::ranges::none_of(now, [&](const auto& r) { return r["job"] == before[0]["job"]; });
  }));
  EXPECT_TRUE(settles(3, 1)) << show().dump(2);
  EXPECT_EQ(answering(), 3);
}

TEST_F(Services, ScalesUpdatesAndTurnsABrokenUpdateBack) {
  apply(2, "one");
  ASSERT_TRUE(settles(2, 1)) << show().dump(2);
  ASSERT_EQ(user({"jctl", "service", "scale", "web", "4"}).exit_code, 0);
  EXPECT_TRUE(settles(4, 1)) << show().dump(2);
  ASSERT_EQ(user({"jctl", "service", "scale", "web", "2"}).exit_code, 0);
  EXPECT_TRUE(settles(2, 1)) << show().dump(2);
  apply(2, "two");
  EXPECT_TRUE(settles(2, 2)) << show().dump(2);
  EXPECT_EQ(answering(), 2);
  apply(2, "broken", false);
  EXPECT_TRUE(becomes_true([&] { return show()["revision"] == 3; }));
  EXPECT_TRUE(settles(2, 2)) << show().dump(2);
  EXPECT_EQ(answering(), 2);
}

TEST_F(Services, RestartOfTheSchedulerKeepsTheReplicas) {
  apply(2, "one");
  ASSERT_TRUE(settles(2, 1)) << show().dump(2);
  const auto before = show()["replicas"];
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  ASSERT_TRUE(settles(2, 1)) << show().dump(2);
  EXPECT_EQ(show()["replicas"], before);
  EXPECT_EQ(answering(), 2);
}

}  // namespace
}  // namespace gangway::e2e
