// Services behind the balancer: manifests as people have them, answered by all replicas; an update
// under a loop of requests; a balancer that is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "queues/base/system_program.hpp"
#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/scheduler/balancer/tiny_servers.hpp"

namespace gangway::e2e {
namespace {

using test::RequestLoop;
using testing::HasSubstr;

// Port 80 may be somebody's on the machine that the tests run on.
const std::uint16_t kPort = test::free_port();

class BalancedServices : public OnCluster<BalancedServices> {
 public:
  // As many nodes as replicas, and each replica takes its port on one: an update has no place to
  // spare.
  static ClusterOptions options() { return {.nodes = 3}; }
  static void SetUpTestSuite() {
    if (find_program().empty()) return;
    OnCluster::SetUpTestSuite();
    const std::string file = cluster().layout().config_file();
    std::string text = content(file);
    for (const char* unset : {"  # ports:", "  ports: "}) {
      const std::size_t at = text.find(unset, text.find("\nbalancer:"));
      if (at == std::string::npos) continue;
      text.replace(at, text.find('\n', at) - at, cat("  ports: {80: ", kPort, "}"));
      break;
    }
    std::ofstream(file) << text;
    cluster().kill_daemon("jbalancerd");
    cluster().bring_up_again();
  }

 protected:
  void SetUp() override {
    if (find_program().empty()) GTEST_SKIP() << "no haproxy on this machine";
    OnCluster::SetUp();
    busybox_ = find_image("busybox.tar");
    if (busybox_.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  }
  static std::string find_program() { return find_system_program("haproxy"); }

  void write(const std::string& name, const std::string& text) {
    write_as_user(cluster(), directory() + "/" + name, text);
  }
  // The description's files, with a base image that is here and a program that says who answers.
  // Patient probes: on a busy machine who answers late is not to count as gone.
  void write_manifests(const std::string& release) {
    write("Dockerfile", cat("FROM busybox\nWORKDIR /app\nCOPY serve.sh ./\nENV RELEASE=", release,
                            "\nEXPOSE 8080\nCMD [\"sh\", \"/app/serve.sh\"]\n"));
    write("serve.sh",
          "mkdir -p /tmp/www\necho $(hostname) $RELEASE > /tmp/www/index.html\n"
          "exec httpd -f -p 8080 -h /tmp/www\n");
    const Ran built = user({"jimage", "build", "-q", "-t", "data-processor", "."});
    ASSERT_EQ(built.exit_code, 0) << built.err;
    write_deployment();
  }
  void write_deployment() {
    write("deployment.yaml", R"(apiVersion: apps/v1
kind: Deployment
metadata:
  name: data-processor
spec:
  replicas: 3
  selector:
    matchLabels:
      app: data-processor
  template:
    metadata:
      labels:
        app: data-processor
    spec:
      containers:
      - name: data-processor
        image: data-processor:latest
        ports:
        - containerPort: 8080
        readinessProbe:
          httpGet: {path: /, port: 8080}
          periodSeconds: 1
          timeoutSeconds: 20
)");
    write("service.yaml", R"(apiVersion: v1
kind: Service
metadata:
  name: data-processor
spec:
  type: LoadBalancer
  selector:
    app: data-processor
  ports:
  - port: 80
    targetPort: 8080
)");
  }
  void apply() {
    const Ran ran = user({"jsubmit", "--format", "k8s", "deployment.yaml", "service.yaml"});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
  }
  // Those that answer with this release, of the last requests.
  static std::size_t answering(const std::string& release) {
    std::set<std::string> seen;
    for (int i = 0; i < 12; ++i) {
      const std::string answer = test::ask(kPort);
      if (answer.find(release) != std::string::npos) seen.insert(answer);
    }
    return seen.size();
  }
  std::string busybox_;
};

TEST_F(BalancedServices, ADeploymentIsAnsweredByAllThreeAndUpdatedWithoutALoss) {
  ASSERT_EQ(user({"jimage", "tag", busybox_, "busybox"}).exit_code, 0);
  write_manifests("one");
  apply();
  ASSERT_TRUE(becomes_true([] { return answering("one") == 3; })) << cluster().logs();

  RequestLoop loop(kPort);
  write_manifests("two");
  apply();
  EXPECT_TRUE(becomes_true([] { return answering("two") == 3; }, seconds(120)));
  // No old one answers any more.
  EXPECT_TRUE(becomes_true([] { return answering("one") == 0; }));

  // HAProxy goes on without jbalancerd, and the next one takes it over.
  cluster().kill_daemon("jbalancerd");
  EXPECT_EQ(answering("two"), 3U);
  cluster().bring_up_again();
  EXPECT_EQ(answering("two"), 3U);
  loop.stop();
  EXPECT_EQ(loop.failed(), 0);
  EXPECT_EQ(user({"jctl", "service", "delete", "data-processor"}).exit_code, 0);
  EXPECT_TRUE(becomes_true([] { return answering("two") == 0; }));
}

// The example's own files and its script: Debian's Node as node:14-alpine, express from npm.
TEST_F(BalancedServices, TheExampleIsBuiltAndAnsweredByAllThree) {
  if (std::getenv("GANGWAY_LONG_TESTS") == nullptr) GTEST_SKIP() << "only with tests/run.sh --all";
  if (::geteuid() != 0) GTEST_SKIP() << "mmdebstrap needs root here";
  if (std::system("npm ping >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "npm's registry does not answer";
  const std::string base = directory() + "/base";
  const std::string bootstrap = cat("GANGWAY_IMAGE_LIBRARY=", base, " ", GANGWAY_BINARY_DIR "/bin",
                                    "/jimage bootstrap debian:bookworm -q --include nodejs,npm "
                                    "--tag node:14-alpine && chmod -R a+rX ",
                                    base);
  ASSERT_EQ(std::system(bootstrap.c_str()), 0);
  ASSERT_EQ(user({"jimage", "tag", base + ":node:14-alpine", "node:14-alpine"}).exit_code, 0);
  const std::string address = cat("http://127.0.0.1:", kPort);
  const Ran ran = user(
      {"env", "GANGWAY_ADDRESS=" + address, GANGWAY_SOURCE_DIR "/examples/data-processor/run.sh"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("All three have answered"));
  const Ran stats = user({"curl", "--silent", "-H", "content-type: application/json", "-d",
                          "[1, 2, 6]", address + "/stats"});
  EXPECT_EQ(stats.out, R"({"count":3,"mean":3,"min":1,"max":6})");
}

}  // namespace
}  // namespace gangway::e2e
