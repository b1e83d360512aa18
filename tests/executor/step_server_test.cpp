// The origin of a job's steps against a client that does not keep to the rules.
#include "executor/step_server.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "tests/executor/fakes.hpp"

namespace gangway::executor {
namespace {

using namespace testing;  // NOLINT: the fakes of this folder

StepOrder make_order() {
  StepOrder order;
  order.key = {JobId{42}};
  order.attempt = 1;
  order.spec.name = "steps";
  order.spec.argv = {"steps"};
  order.spec.workdir = "/tmp";
  order.spec.components = {Component{}};
  NodeShare share;
  share.node = NodeName("n0");
  share.resources.cores = 2;
  share.cores = {0, 1};
  share.tasks = 2;
  order.allocation.shares.push_back(share);
  return order;
}

// A session that comes through the agent.
struct World {
  World() : order(make_order()), server(faces()) { facts.node = NodeName("n0"); }
  StepServerWorld faces() {
    return {
        .loop = loop,
        .runtime = runtime,
        .order = order,
        .facts = facts,
        .sandbox = sandbox,
        .make_pmix_link =
            [this](PmixHandler& handler) { return std::make_unique<FakePmixLink>(pmix, handler); },
        .tell_peer = [](std::uint32_t, const wire::Peer&) {},
        .tell_outside =
            [this](const wire::NodeSession& session) {
              if (session.has_closed()) closed.push_back(session.id());
            },
        .count_programs = [](int) {}};
  }
  void say(std::uint64_t session, const wire::ToStep& message) {
    wire::NodeSession said;
    said.set_id(session);
    *said.mutable_to_step() = message;
    server.on_outside(said);
    loop.pass();
  }
  static wire::ToStep run(bool exact = false) {
    wire::ToStep message;
    wire::StepRun& run = *message.mutable_run();
    run.set_tasks(exact ? 2 : 1);
    run.set_exact(exact);
    run.set_mpi(static_cast<std::uint32_t>(MpiMode::None));
    run.set_input(wire::INPUT_ALL);
    run.add_programs()->add_argv("cat");
    return message;
  }
  [[nodiscard]] bool is_ended(std::size_t program) const {
    const std::pair<std::uint32_t, int> term{runtime.programs.at(program).id, SIGTERM};
    return std::find(runtime.signals_to.begin(), runtime.signals_to.end(), term) !=
           runtime.signals_to.end();
  }

  FakeLoop loop;
  FakeRuntime runtime;
  FakePmix pmix;
  StepOrder order;
  LaunchFacts facts;
  containers::SandboxReady sandbox;
  std::vector<std::uint64_t> closed;
  StepServer server;
};

TEST(StepServer, AClientThatLiesAboutItsOutputIsCutOffAndItsStepEnds) {
  World world;
  world.say(1, World::run());
  ASSERT_EQ(world.runtime.programs.size(), 1U);
  wire::ToStep taken;
  taken.mutable_consumed()->set_bytes(std::uint64_t{1} << 40);
  world.say(1, taken);
  EXPECT_EQ(world.closed, std::vector<std::uint64_t>{1});
  EXPECT_TRUE(world.is_ended(0));
}

TEST(StepServer, AClientThatGivesMoreInputThanIsTakenIsCutOff) {
  World world;
  world.say(1, World::run());
  wire::ToStep input;
  input.mutable_input()->set_data(std::string(64 << 10, 'x'));
  int given = 0;
  for (; given < 1000 && world.closed.empty(); ++given) world.say(1, input);
  EXPECT_LE(given, 64);
  EXPECT_TRUE(world.is_ended(0));
}

TEST(StepServer, NumbersThatNoStepCanHaveAreRefusedAndOthersGoOn) {
  World world;
  wire::ToStep bad = World::run(true);
  bad.mutable_run()->set_nodes(-1);
  world.say(1, bad);
  EXPECT_EQ(world.closed, std::vector<std::uint64_t>{1});
  EXPECT_TRUE(world.runtime.programs.empty());
  world.say(2, World::run());
  EXPECT_EQ(world.runtime.programs.size(), 1U);
}

TEST(StepServer, AClientThatWaitsForCoresIsHeardOnce) {
  World world;
  world.say(1, World::run(true));
  ASSERT_EQ(world.runtime.programs.size(), 2U);
  for (int i = 0; i < 100; ++i) world.say(2, World::run(true));
  for (const std::size_t program : {0U, 1U}) {
    world.runtime.end(world.runtime.programs[program].id, 0);
  }
  world.loop.pass(seconds(5));
  EXPECT_EQ(world.runtime.programs.size(), 4U) << "one step of two tasks";
}

TEST(StepServer, RunsThatWaitForCoresAreBoundedByTheirBytes) {
  World world;
  world.say(1, World::run(true));
  wire::ToStep large = World::run(true);
  large.mutable_run()->add_env("X=" + std::string(8 << 20, 'x'));
  for (std::uint64_t session = 2; session < 20; ++session) world.say(session, large);
  EXPECT_EQ(world.closed.size(), 18U - kMaxBytesOfWaitingRuns / large.run().ByteSizeLong());
}

}  // namespace
}  // namespace gangway::executor
