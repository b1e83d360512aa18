// Questions to a replica as programs in its sandbox.
#include "executor/prober.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/executor/fakes.hpp"

namespace gangway::executor {
namespace {

using namespace testing;  // NOLINT: the fakes of this folder
using ::testing::ElementsAre;

class ProberTest : public ::testing::Test {
 protected:
  ProberTest() {
    order_.key = {JobId{42}};
    order_.attempt = 1;
    order_.spec.name = "web-1-1";
    order_.spec.argv = {"serve"};
    order_.spec.workdir = "/tmp";
    order_.spec.components = {Component{}};
    NodeShare share;
    share.node = NodeName("n0");
    share.tasks = 1;
    share.devices = {{"service_port", {20007}}};
    order_.allocation.shares = {share};
    order_.replica.emplace();
    order_.replica->ports = {{.name = "http", .port = 0}};
    facts_.node = NodeName("n0");
    facts_.step_tool = "/usr/bin/jrun";
  }
  void begin() {
    prober_ = std::make_unique<Prober>(
        Prober::World{.loop = loop_,
                      .runtime = runtime_,
                      .order = order_,
                      .facts = facts_,
                      .sandbox = sandbox_,
                      .tell = [this](const ReplicaHealth& health) { told_.push_back(health); }});
    loop_.pass();
  }

  FakeLoop loop_;
  FakeRuntime runtime_;
  StepOrder order_;
  LaunchFacts facts_;
  containers::SandboxReady sandbox_;
  std::vector<ReplicaHealth> told_;
  std::unique_ptr<Prober> prober_;
};

TEST_F(ProberTest, AsksAtThePortTheReplicaWasGiven) {
  order_.replica->readiness = Probe{.kind = Probe::Kind::Http, .path = "/ready", .port = "http"};
  begin();
  ASSERT_EQ(runtime_.programs.size(), 1u);
  EXPECT_THAT(runtime_.programs[0].argv,
              ElementsAre("/usr/bin/jrun", "--probe", "20007", "/ready"));
  EXPECT_TRUE(runtime_.programs[0].host_files);
}

TEST_F(ProberTest, CommandRunsAsTheReplicaDoes) {
  order_.replica->liveness =
      Probe{.kind = Probe::Kind::Exec, .command = {"test -e ok"}, .shell = true};
  begin();
  ASSERT_EQ(runtime_.programs.size(), 1u);
  EXPECT_THAT(runtime_.programs[0].argv, ElementsAre("/bin/sh", "-c", "test -e ok"));
  EXPECT_FALSE(runtime_.programs[0].host_files);
}

TEST_F(ProberTest, TellsOnceAtFirstAndThenWhatChanges) {
  order_.replica->readiness = Probe{.kind = Probe::Kind::Tcp, .period = seconds(1)};
  begin();
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_FALSE(told_[0].ready);
  runtime_.end(runtime_.programs[0].id, 0);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_TRUE(told_[1].ready);
  loop_.pass(seconds(1));
  ASSERT_EQ(runtime_.programs.size(), 2u);
  runtime_.end(runtime_.programs[1].id, 0);
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(ProberTest, AnswerThatTakesTooLongIsABadOneAndItsProgramIsKilled) {
  order_.replica->liveness =
      Probe{.kind = Probe::Kind::Tcp, .period = seconds(10), .timeout = seconds(2), .failures = 1};
  begin();
  loop_.pass(seconds(3));
  ASSERT_EQ(runtime_.signals_to.size(), 1u);
  EXPECT_EQ(runtime_.signals_to[0], std::pair(runtime_.programs[0].id, int{SIGKILL}));
  runtime_.end(runtime_.programs[0].id, SIGKILL);
  EXPECT_FALSE(told_.back().alive);
  EXPECT_EQ(told_.back().note.substr(0, 28), "liveness probe: no answer fo");
}

}  // namespace
}  // namespace gangway::executor
