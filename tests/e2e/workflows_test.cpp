// Workflow files: accepted whole or not at all, run in order, ended even if a part can never run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Workflows : public OnCluster<Workflows> {
 public:
  static ClusterOptions options() { return {.nodes = 2}; }

 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  Ran submit_workflow(const std::string& yaml, std::vector<std::string> options = {"--wait"}) {
    write_as_user(cluster(), directory() + "/flow.yaml", yaml);
    options.insert(options.begin(), "jsubmit");
    options.emplace_back("flow.yaml");
    return user(options);
  }
};

TEST_F(Workflows, JobsRunInTheOrderOfTheirNeeds) {
  const Ran ran = submit_workflow(R"(version: 1
jobs:
  left:  {command: [sh, -c, "echo left >> order"]}
  right: {needs: [left], command: [sh, -c, "echo right >> order"]}
  last:  {needs: [left, right], command: [sh, -c, "echo last >> order"]}
)");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(file("order"), "left\nright\nlast\n");
}

TEST_F(Workflows, WhatCanNeverRunIsEndedAndTheWorkflowFinishes) {
  const Ran ran = submit_workflow(R"(version: 1
jobs:
  breaks: {command: ["false"]}
  after:  {needs: [breaks], command: [touch, ran]}
  repair: {needs: [{job: breaks, on: failure}], command: [touch, repaired]}
)");
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(directory() + "/ran"));
  EXPECT_TRUE(std::filesystem::exists(directory() + "/repaired")) << ran.err;
}

TEST_F(Workflows, ASkippedJobSaysWhyAndTheFailedOneItsCode) {
  const Ran ran = submit_workflow(R"(version: 1
jobs:
  breaks: {command: [sh, -c, "exit 3"]}
  after:  {needs: [breaks], command: [touch, ran]}
)");
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_THAT(ran.err, HasSubstr("(breaks): FAILED with exit code 3\n"));
  EXPECT_THAT(ran.err, HasSubstr("(after): CANCELLED, skipped: needs breaks to succeed"));
}

// More than one message of the wire holds.
TEST_F(Workflows, ALargeOneIsOneThing) {
  std::string yaml = "version: 1\njobs:\n  gate: {command: [sleep, \"600\"]}\n";
  constexpr int kJobs = 1500;
  for (int i = 0; i < kJobs; ++i) yaml += cat("  j", i, ": {needs: [gate], command: [\"true\"]}\n");
  const Ran accepted = submit_workflow(yaml, {"--parsable"});
  ASSERT_EQ(accepted.exit_code, 0) << accepted.err;
  const std::string id(trim(accepted.out));
  EXPECT_THAT(user({"jqueue", id}).out, HasSubstr(cat("0 of ", kJobs + 1, " completed")));
  // After a restart as well, which looks at so many some at a time.
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  EXPECT_THAT(user({"jqueue", id}).out, HasSubstr(cat("0 of ", kJobs + 1, " completed")));
  // One job that cannot be is enough for nothing to be taken.
  const Ran refused =
      submit_workflow(yaml + "  last: {needs: [gate], nodes: 99, command: [\"true\"]}\n", {});
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_THAT(refused.err, HasSubstr("99 nodes"));
  EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_TRUE(becomes_true([&] { return user({"jqueue", "--noheader"}).out.empty(); }));
}

TEST_F(Workflows, ACycleIsNamedInOrderAndNothingIsQueued) {
  const Ran ran = submit_workflow(R"(version: 1
jobs:
  a: {needs: [c], command: ["true"]}
  b: {needs: [a], command: ["true"]}
  c: {needs: [b], command: ["true"]}
)",
                                  {});
  EXPECT_EQ(ran.exit_code, 65);
  EXPECT_THAT(ran.err, HasSubstr("cycle"));
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
}

TEST_F(Workflows, AnUnknownNeedComesWithItsLine) {
  const Ran ran = submit_workflow(
      "version: 1\njobs:\n  a:\n    needs: [nobody]\n"
      "    command: [\"true\"]\n",
      {});
  EXPECT_EQ(ran.exit_code, 65);
  EXPECT_THAT(ran.err, HasSubstr("flow.yaml:4"));
}

TEST_F(Workflows, AnUnknownKeyComesWithItsLine) {
  const Ran ran = submit_workflow("version: 1\njobs:\n  a:\n    comand: [\"true\"]\n", {});
  EXPECT_EQ(ran.exit_code, 65);
  EXPECT_THAT(ran.err, HasSubstr("flow.yaml:4"));
}

TEST_F(Workflows, AFailureIsResumedAndNothingIsRepeated) {
  const Ran first = submit_workflow(R"(version: 1
jobs:
  prepare: {command: [sh, -c, "echo prepare >> order"]}
  each:    {needs: prepare, array: 1-3, command: [sh, -c, "echo each >> order; test -e repaired || test $JOB_ARRAY_TASK_ID != 2"]}
  last:    {needs: each, command: [sh, -c, "echo last >> order"]}
  tell:    {final: true, command: [sh, -c, "echo tell >> order"]}
)",
                                    {"--wait", "-Q"});
  EXPECT_NE(first.exit_code, 0);
  EXPECT_EQ(file("order"), "prepare\neach\neach\neach\ntell\n");
  const std::size_t begin = first.out.find(" w", 12) + 1;
  const std::string id = first.out.substr(begin, first.out.find(' ', begin) - begin);
  write_as_user(cluster(), directory() + "/repaired", "");
  const Ran again = user({"jrequeue", "--failed", id});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(file("order"), "prepare\neach\neach\neach\ntell\neach\nlast\ntell\n");
  EXPECT_THAT(user({"jqueue", "--dag", id}).out, HasSubstr("last *"));
  EXPECT_THAT(user({"jqueue", "--dot", "-w", id}).out, HasSubstr("\"each\" -> \"last\""));
}

TEST_F(Workflows, ParametersSubWorkflowsAndWhatGoesBeforeAndBehind) {
  write_as_user(cluster(), directory() + "/sub.yaml", R"(version: 1
parameters:
  word: none
jobs:
  say:  {pre: "echo pre >> order", command: [sh, -c, "echo {{word}} >> order; exit 3"],
         post: "echo code $JOB_EXIT_CODE >> order"}
  then: {needs: say, command: [sh, -c, "echo then >> order"]}
)");
  const Ran ran = submit_workflow(R"(version: 1
parameters:
  word: hello
categories: {one: 1}
jobs:
  greet: {workflow: sub.yaml, parameters: {word: "{{word}}"}}
  a:     {needs: greet, category: one, command: [sh, -c, "echo x >> order"]}
  b:     {needs: greet, category: one, command: [sh, -c, "echo x >> order"]}
)",
                                  {"--wait", "--param", "word=good"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(file("order"), "pre\ngood\ncode 3\nthen\nx\nx\n");
}

TEST_F(Workflows, ADagmanFileRunsWithItsSubmitFiles) {
  write_as_user(cluster(), directory() + "/node.cmd",
                "executable = /bin/sh\narguments = \"-c 'echo $(name) >> order; $(what)'\"\n"
                "output = out.$(ClusterId)\nqueue\n");
  write_as_user(cluster(), directory() + "/flow.dag",
                R"dag(JOB A node.cmd
JOB B node.cmd
JOB C node.cmd
VARS A name="$(JOB)" what="true"
VARS B name="b" what="test `grep -c b order` = 2"
VARS C name="c" what="true"
SCRIPT POST C sh -c ":"
RETRY B 1
PARENT A CHILD B
PARENT B CHILD C
DOT flow.dot
)dag");
  const Ran ran = user({"jsubmit", "--wait", "--format=dagman", "flow.dag"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(file("order"), "A\nb\nb\nc\n");
  EXPECT_THAT(ran.err, HasSubstr("without effect here: DOT"));
  EXPECT_EQ(user({"sh", "-c", "ls out.[0-9]* | wc -l"}).out, "3\n") << "of ids of their own";
  write_as_user(cluster(), directory() + "/bad.dag", "JOB A node.cmd\nABORT-DAG-ON A 3\n");
  const Ran refused = user({"jsubmit", "--format=dagman", "bad.dag"});
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_THAT(refused.err, HasSubstr("cannot be honoured here: ABORT-DAG-ON"));
}

}  // namespace
}  // namespace gangway::e2e
