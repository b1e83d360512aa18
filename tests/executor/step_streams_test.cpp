// What the origin finds out about a step before it runs: whose turn it is, which way its streams
// go, and what reads a file of the job's.
#include "executor/step_streams.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "executor/waiting_runs.hpp"
#include "queues/base/fd.hpp"

namespace gangway::executor {
namespace {

// ---- waiting -----------------------------------------------------------------------------------

wire::StepRun run_named(const std::string& name) {
  wire::StepRun run;
  run.set_name(name);
  return run;
}

TEST(WaitingRuns, KeepTheirOrderAlsoIfTheFirstComesBack) {
  WaitingRuns waiting;
  ASSERT_TRUE(waiting.try_add(1, run_named("a")));
  ASSERT_TRUE(waiting.try_add(2, run_named("b")));
  waiting.put_back(waiting.take_first());
  EXPECT_EQ(waiting.take_first().run.name(), "a");
  EXPECT_EQ(waiting.take_first().run.name(), "b");
  EXPECT_TRUE(waiting.is_empty());
}

TEST(WaitingRuns, HaveRoomAgainForWhatWasTakenOrHasLeft) {
  const wire::StepRun half = run_named("half");
  WaitingRuns waiting(2 * half.ByteSizeLong());
  ASSERT_TRUE(waiting.try_add(1, half));
  ASSERT_TRUE(waiting.try_add(2, half));
  EXPECT_FALSE(waiting.try_add(3, half));
  waiting.remove_of(2);
  ASSERT_TRUE(waiting.try_add(3, half));
  const WaitingRun first = waiting.take_first();
  EXPECT_EQ(first.client, 1U);
  EXPECT_TRUE(waiting.try_add(4, half));
}

// ---- streams -----------------------------------------------------------------------------------

containers::SharedFd some_descriptor() { return std::make_shared<const Fd>(); }

// A client that passes its own streams to one rank on the first node.
struct Streams {
  Streams() {
    run.set_input(wire::INPUT_ALL);
    run.set_pass_in(true);
    run.set_pass_out(true);
    run.set_pass_err(true);
    layout.tasks = 1;
    layout.nodes = {{.node_index = 0, .ranks = {0}}};
  }
  bool choose() { return choose_streams(run, layout, client); }
  wire::StepRun run;
  StepLayout layout;
  StepDescriptors client{some_descriptor(), some_descriptor(), some_descriptor()};
};

TEST(StepStreams, TheOnlyRankHasTheClientsOwn) {
  Streams step;
  EXPECT_FALSE(step.choose()) << "nobody has to send input";
  EXPECT_TRUE(step.client.in && step.client.out && step.client.err);
}

TEST(StepStreams, InputForSeveralRanksOrForAnotherNodesIsSent) {
  Streams several;
  several.layout.tasks = 2;
  several.layout.nodes[0].ranks = {0, 1};
  EXPECT_TRUE(several.choose());
  EXPECT_FALSE(several.client.in);
  EXPECT_TRUE(several.client.out);
  Streams elsewhere;
  elsewhere.layout.nodes[0].node_index = 1;
  EXPECT_TRUE(elsewhere.choose());
}

TEST(StepStreams, TheOneRankThatReadsHasTheInputIfItIsHere) {
  for (const std::uint32_t reader : {1U, 2U}) {
    Streams step;
    step.run.set_input(wire::INPUT_ONE);
    step.run.set_input_rank(reader);
    step.layout.tasks = 3;
    step.layout.nodes = {{.node_index = 0, .ranks = {0, 1}}, {.node_index = 1, .ranks = {2}}};
    EXPECT_EQ(step.choose(), reader == 2);
  }
}

TEST(StepStreams, ATerminalHasNoneOfThemAndWantsInput) {
  Streams step;
  step.run.set_terminal(true);
  EXPECT_TRUE(step.choose());
  EXPECT_FALSE(step.client.in || step.client.out || step.client.err);
}

TEST(StepStreams, OutputIsNotPassedToDescriptorsThatHaveNotCome) {
  Streams step;
  step.client = {};
  EXPECT_TRUE(step.choose());
  EXPECT_FALSE(step.run.pass_out() || step.run.pass_err());
}

TEST(StepStreams, NobodySendsInputThatComesFromAFileOrIsNotWanted) {
  Streams file;
  file.run.set_pass_in(false);
  file.run.set_in("/data");
  EXPECT_FALSE(file.choose());
  Streams none;
  none.run.set_input(wire::INPUT_NONE);
  EXPECT_FALSE(none.choose());
  Streams reader;
  reader.run.set_pass_in(false);
  reader.run.set_host_files(true);
  EXPECT_FALSE(reader.choose()) << "the end of its input is the origin's to tell";
}

TEST(StepStreams, MorePartsHaveSmallerWindowsWithinBounds) {
  EXPECT_EQ(output_window(1), output_window(32));
  EXPECT_EQ(output_window(128) * 2, output_window(64));
  EXPECT_GT(output_window(1'000'000), 0U);
}

// ---- readers of files --------------------------------------------------------------------------

// Two tasks on each of two nodes.
struct Job {
  Job() {
    facts.step_tool = "/usr/bin/jrun";
    order.key = {JobId{42}};
    order.spec.name = "job";
    order.spec.workdir = "/work";
    order.spec.launch = LaunchMode::Tasks;
    for (const int i : {0, 1}) {
      NodeShare share;
      share.node = NodeName(i == 0 ? "n0" : "n1");
      share.first_task = 2 * i;
      share.tasks = 2;
      order.allocation.shares.push_back(share);
    }
  }
  [[nodiscard]] std::vector<std::string> node_of(std::uint32_t task) const {
    wire::StepFollow what;
    what.set_stream(1);
    what.set_task(task);
    const wire::StepRun run = plan_file_reader(order, facts, what);
    return {run.only_nodes().begin(), run.only_nodes().end()};
  }
  StepOrder order;
  LaunchFacts facts;
};

TEST(FileReader, RunsWhereTheTaskIsAndElseOnTheFirstNode) {
  Job job;
  EXPECT_EQ(job.node_of(3), std::vector<std::string>{"n1"});
  EXPECT_EQ(job.node_of(9), std::vector<std::string>{"n0"}) << "there is no such task";
  job.order.spec.launch = LaunchMode::Batch;
  EXPECT_EQ(job.node_of(3), std::vector<std::string>{"n0"}) << "a script has one output";
}

TEST(FileReader, IsOursAndLooksAtNobodysCores) {
  const Job job;
  wire::StepFollow what;
  what.set_stream(2);
  what.set_lines(10);
  what.set_follow(true);
  const wire::StepRun run = plan_file_reader(job.order, job.facts, what);
  EXPECT_TRUE(run.host_files());
  EXPECT_TRUE(run.overlap());
  EXPECT_EQ(run.input(), wire::INPUT_ALL) << "its end says that the job has ended";
  ASSERT_EQ(run.programs_size(), 1);
  const auto& argv = run.programs(0).argv();
  ASSERT_EQ(argv.size(), 5);
  EXPECT_EQ((std::vector<std::string>{argv.begin(), argv.begin() + 4}),
            (std::vector<std::string>{"/usr/bin/jrun", "--read-file", "follow", "10"}));
}

}  // namespace
}  // namespace gangway::executor
