// Workflows of others: DAGMan files and WfFormat.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "queues/base/text.hpp"
#include "submit/dagman_parse.hpp"
#include "submit/wfcommons_parse.hpp"
#include "tests/shared_data.hpp"

namespace gangway::submit {
namespace {

namespace fs = std::filesystem;

WorkflowInput input_of(const std::string& text, std::map<std::string, std::string> files = {}) {
  WorkflowInput input;
  input.text = text;
  input.file = "flow.dag";
  input.directory = "/home/ann";
  input.around = {.directory = "/home/ann", .environment = {}, .umask = 022, .now = {}};
  input.read_script = [files](const std::string& path) -> Result<std::string> {
    const auto found = files.find(path);
    if (found != files.end()) return found->second;
    return Error(ErrorKind::NotFound, "cannot read " + path);
  };
  return input;
}
std::string errors_of(const WorkflowFile& file) {
  std::string text;
  for (const WorkflowError& error : file.errors) text += cat(error.line, ": ", error.message, "\n");
  return text;
}
const std::string kSubmit = "executable = /bin/echo\narguments = $(what) $(JOB)\nqueue\n";

TEST(Dagman, NodesEdgesVariablesRetriesAndCategories) {
  const WorkflowFile file = parse_dagman(input_of(
      "JOB A a.sub\nJOB B a.sub\nFINAL F a.sub\nVARS B what=\"x y\"\nRETRY B 3\nCATEGORY B io\n"
      "MAXJOBS io 2\nPARENT A CHILD B\n",
      {{"/home/ann/a.sub", kSubmit}}));
  ASSERT_EQ(errors_of(file), "");
  ASSERT_EQ(file.jobs.size(), 3U);
  EXPECT_EQ(file.jobs[1].spec.argv, (std::vector<std::string>{"/bin/echo", "x", "y", "B"}));
  EXPECT_EQ(file.jobs[1].spec.retries, 3);
  EXPECT_EQ(file.jobs[1].needs, (std::vector<Need>{{"A", NeedOutcome::Success}}));
  EXPECT_EQ(file.jobs[2].needs.size(), 2U);
  EXPECT_EQ(file.limits, (std::vector<CategoryLimit>{{"io", 2}}));
}

TEST(Dagman, NodesOfOneSubmitFileWriteFilesOfTheirOwnIds) {
  const WorkflowFile file = parse_dagman(input_of(
      "JOB A a.sub\nJOB B a.sub\n",
      {{"/home/ann/a.sub",
        "executable = /bin/echo\noutput = 5%.$(ClusterId).$(Process)\nerror = $(Cluster).err\n"
        "arguments = \"one 'it''s $(Cluster)'\"\nenvironment = \"ID=c$(ClusterId) B=2\"\n"}}));
  ASSERT_EQ(errors_of(file), "");
  for (const WorkflowJob& job : file.jobs) {
    EXPECT_EQ(job.spec.stdio.out, "5%%.%j.0");
    EXPECT_EQ(job.spec.stdio.err, "%j.err");
    EXPECT_EQ(job.spec.script,
              "#!/bin/sh\nexport ID='c'\"$JOB_ID\"\n"
              "exec '/bin/echo' 'one' 'it'\\''s '\"$JOB_ID\"\n");
    EXPECT_TRUE(job.spec.argv.empty());
    EXPECT_EQ(job.spec.env, (std::vector<std::string>{"B=2"}));
  }
}

TEST(Dagman, TheIdIsNotKnownWhereItChoosesTheProgram) {
  const WorkflowFile file = parse_dagman(
      input_of("JOB A a.sub\n", {{"/home/ann/a.sub", "executable = run.$(Cluster)\n"}}));
  EXPECT_NE(errors_of(file).find("executable: $(Cluster) is known only when the job is there"),
            std::string::npos)
      << errors_of(file);
}

TEST(Dagman, ANodeWithAPriorityGoesBeforeOneWithout) {
  const WorkflowFile file =
      parse_dagman(input_of("JOB A a.sub\nJOB B a.sub\nJOB C a.sub\nPRIORITY B 10\nPRIORITY C -5\n",
                            {{"/home/ann/a.sub", kSubmit}}));
  ASSERT_EQ(errors_of(file), "");
  EXPECT_EQ(file.jobs[0].spec.nice, 10);
  EXPECT_EQ(file.jobs[1].spec.nice, 0);
  EXPECT_EQ(file.jobs[2].spec.nice, 15);
}

TEST(Dagman, VariablesOfTheOldFormArePartedBySemicolons) {
  const WorkflowFile file = parse_dagman(
      input_of("JOB A a.sub\n",
               {{"/home/ann/a.sub", "executable = /bin/env\nenvironment = A=1;B=two words;\n"}}));
  ASSERT_EQ(errors_of(file), "");
  EXPECT_EQ(file.jobs[0].spec.env, (std::vector<std::string>{"A=1", "B=two words"}));
}

TEST(Dagman, InitialdirDoesNotMoveTheExecutable) {
  for (const char* const name : {"solve", "bin/solve"}) {
    const WorkflowFile file = parse_dagman(input_of(
        "JOB A a.sub\n",
        {{"/home/ann/a.sub", cat("executable = ", name, "\ninitialdir = run1\noutput = out\n")}}));
    ASSERT_EQ(errors_of(file), "");
    EXPECT_EQ(file.jobs[0].spec.argv.front(), cat("/home/ann/", name));
    EXPECT_EQ(file.jobs[0].spec.workdir, "/home/ann/run1");
  }
}

TEST(Dagman, SplicesArePutInAndConnectedByTheirEnds) {
  const WorkflowFile file = parse_dagman(
      input_of("JOB A a.sub\nSPLICE S s.dag\nJOB Z a.sub\nPARENT A CHILD S\nPARENT S CHILD Z\n",
               {{"/home/ann/a.sub", kSubmit},
                {"/home/ann/s.dag", "JOB X a.sub\nJOB Y a.sub\nPARENT X CHILD Y\n"}}));
  ASSERT_EQ(errors_of(file), "");
  std::map<std::string, std::vector<Need>> needs;
  for (const WorkflowJob& job : file.jobs) needs[job.name] = job.needs;
  EXPECT_EQ(needs["S+X"], (std::vector<Need>{{"A", NeedOutcome::Success}}));
  EXPECT_EQ(needs["Z"], (std::vector<Need>{{"S+Y", NeedOutcome::Success}}));
}

TEST(Dagman, SplicesAreConnectedByTheirPins) {
  const std::map<std::string, std::string> files = {
      {"up.dag", "JOB A a.sub\nJOB B a.sub\nPIN_OUT A 1\nPIN_OUT B 2\n"},
      {"down.dag", "JOB C a.sub\nJOB D a.sub\nPIN_IN C 1\nPIN_IN C 2\nPIN_IN D 2\n"},
      {"one.dag", "JOB E a.sub\nPIN_IN E 1\n"},
      {"bare.dag", "JOB F a.sub\n"},
      {"orphan.dag", "JOB C a.sub\nJOB D a.sub\nPIN_IN C 1\nPIN_IN C 2\n"}};
  const auto parse = [&](const std::string& lower) {
    WorkflowInput input = input_of(cat("SPLICE U up.dag\nSPLICE L ", lower, "\nCONNECT U L\n"));
    input.read_script = [&](const std::string& path) -> Result<std::string> {
      const auto found = files.find(path.substr(path.rfind('/') + 1));
      return found == files.end() ? kSubmit : found->second;
    };
    return parse_dagman(input);
  };
  const WorkflowFile file = parse("down.dag");
  ASSERT_EQ(errors_of(file), "");
  std::map<std::string, std::vector<Need>> needs;
  for (const WorkflowJob& job : file.jobs) needs[job.name] = job.needs;
  EXPECT_EQ(needs["L+C"],
            (std::vector<Need>{{"U+A", NeedOutcome::Success}, {"U+B", NeedOutcome::Success}}));
  EXPECT_EQ(needs["L+D"], (std::vector<Need>{{"U+B", NeedOutcome::Success}}));
  EXPECT_EQ(errors_of(parse("one.dag")),
            "3: CONNECT: the pins of U and L do not have the same numbers\n");
  EXPECT_EQ(errors_of(parse("bare.dag")), "3: CONNECT: L has no PIN_IN\n");
  EXPECT_EQ(errors_of(parse("orphan.dag")),
            "3: CONNECT: node L+D of L has neither a parent nor a PIN_IN\n");
}

TEST(Dagman, WhatCannotBeHonouredIsRefusedByName) {
  EXPECT_EQ(errors_of(parse_dagman(input_of("JOB A a.sub\nABORT-DAG-ON A 1\nSCRIPT HOLD A x\n",
                                            {{"/home/ann/a.sub", kSubmit}}))),
            "2: cannot be honoured here: ABORT-DAG-ON, SCRIPT HOLD\n");
  EXPECT_EQ(errors_of(parse_dagman(input_of("JOB A none.sub\n"))),
            "1: node A: cannot read /home/ann/none.sub\n");
  EXPECT_EQ(errors_of(parse_dagman(input_of("JOB A\n"))),
            "1: JOB: something is missing in \"JOB A\"\n");
}

// The files of HTCondor's own tests: without their submit files, for which one stands in.
TEST(Dagman, FilesOfHTCondorImportOrAreRefusedByName) {
  const fs::path folder = test::shared_data("dagman");
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  int imported = 0;
  int refused = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::ifstream stream(entry.path());
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    WorkflowInput input = input_of(text);
    input.read_script = [&](const std::string& path) -> Result<std::string> {
      if (!path.ends_with(".dag")) return kSubmit;
      // In the set a file of a directory below has that one's name before its own.
      std::string flat = path.substr(input.directory.size() + 1);
      std::ranges::replace(flat, '/', '_');
      std::ifstream file(folder / flat);
      if (!file) file.open(folder / fs::path(path).filename());
      if (!file) return Error(ErrorKind::NotFound, "cannot read " + path);
      return std::string((std::istreambuf_iterator<char>(file)), {});
    };
    const WorkflowFile file = parse_dagman(input);
    const std::string errors = errors_of(file);
    if (errors.empty()) {
      ++imported;
      EXPECT_FALSE(file.jobs.empty()) << entry.path();
    } else {
      ++refused;
      // What we cannot do, what is not in the set, what its authors made to be wrong, and fragments
      // that others include.
      constexpr std::string_view kReasons[] = {"cannot be honoured here: ABORT-DAG-ON",
                                               "cannot read",
                                               "it has no node",
                                               "there is no node",
                                               "there is no splice",
                                               "has no PIN_OUT",
                                               "do not have the same numbers",
                                               "has neither a parent nor a PIN_IN"};
      EXPECT_TRUE(std::ranges::any_of(
          kReasons, [&](auto reason) { return errors.find(reason) != std::string::npos; }))
          << entry.path() << ": " << errors;
    }
  }
  std::printf("imported %d, refused by name %d\n", imported, refused);
  EXPECT_GE(imported, 85);
}

TEST(Wfcommons, TasksSleepForTheirScaledTimeBehindTheirParents) {
  WorkflowInput input = input_of(R"({"name": "w", "workflow": {
      "specification": {"tasks": [{"id": "a", "children": ["b"]}, {"id": "b", "parents": ["a"]}]},
      "execution": {"tasks": [{"id": "a", "runtimeInSeconds": 20}, {"id": "b", "runtimeInSeconds": 1}]}}})");
  const WorkflowFile file = parse_wfcommons(input, 0.01);
  ASSERT_EQ(errors_of(file), "");
  EXPECT_EQ(file.jobs[0].spec.argv, (std::vector<std::string>{"/bin/sleep", "0.200"}));
  EXPECT_EQ(file.jobs[1].needs, (std::vector<Need>{{"a", NeedOutcome::Success}}));
  EXPECT_NE(errors_of(parse_wfcommons(input_of("{"), 1)), "");
}

}  // namespace
}  // namespace gangway::submit
