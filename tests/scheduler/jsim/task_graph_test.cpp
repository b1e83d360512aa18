// Workflows as others write them: both formats, their versions, and what is odd in them.
#include "scheduler/jsim/task_graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "queues/base/text.hpp"
#include "scheduler/jsim/trace_file.hpp"
#include "tests/shared_data.hpp"

namespace gangway::jsim {
namespace {

using ::testing::HasSubstr;

using Edges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

TaskGraph read(std::string_view text) {
  Result<TaskGraph> graph = parse_workflow(text);
  EXPECT_TRUE(graph) << graph.error().message();
  return graph ? *graph : TaskGraph{};
}
Edges edges_of(const TaskGraph& graph) {
  Edges out;
  for (const GraphEdge& edge : graph.edges) out.emplace_back(edge.from, edge.to);
  return out;
}
std::string why_not(std::string_view text) {
  const Result<TaskGraph> graph = parse_workflow(text);
  EXPECT_FALSE(graph);
  return graph ? "" : graph.error().message();
}
std::vector<std::string> oddities(const TaskGraph& graph) {
  std::vector<std::string> out;
  for (const Oddity& odd : graph.oddities) {
    out.push_back(cat(odd.mended ? "mended " : "left out ", odd.where, ": ", odd.why));
  }
  return out;
}

constexpr std::string_view kWfFormat = R"({
  "name": "flow", "schemaVersion": "1.5",
  "workflow": {
    "specification": {"tasks": [
      {"name": "split", "id": "split_1", "children": ["work_2", "work_3"], "parents": []},
      {"name": "work", "id": "work_2", "children": [], "parents": ["split_1"]},
      {"name": "work", "id": "work_3", "children": [], "parents": ["split_1"]}]},
    "execution": {"makespanInSeconds": 9, "tasks": [
      {"id": "work_3", "runtimeInSeconds": 0, "coreCount": 2.5},
      {"id": "work_2", "runtimeInSeconds": 7.25},
      {"id": "split_1", "runtimeInSeconds": 1, "coreCount": 4}]}}})";

TEST(TaskGraph, WfFormatHasTasksAndMeasurementsApart) {
  const TaskGraph graph = read(kWfFormat);
  EXPECT_EQ(graph.name, "flow");
  EXPECT_EQ(graph.tasks, (std::vector<Task>{{"split", seconds(1), 4},
                                            {"work", milliseconds(7250), 1},
                                            {"work", seconds(0), 3}}));
  EXPECT_EQ(edges_of(graph), (Edges{{0, 1}, {0, 2}}));
  EXPECT_TRUE(graph.oddities.empty());
}

TEST(TaskGraph, OlderWfFormatHasBothInOnePlaceAndNamesParents) {
  const TaskGraph graph = read(R"({"workflow": {"tasks": [
      {"name": "a", "id": "ID1", "runtime": 3, "cores": 2, "parents": []},
      {"name": "b", "id": "ID2", "runtimeInSeconds": 4, "parents": ["a"]}]}})");
  EXPECT_EQ(graph.tasks, (std::vector<Task>{{"a", seconds(3), 2}, {"b", seconds(4), 1}}));
  EXPECT_EQ(edges_of(graph), (Edges{{0, 1}}));
}

TEST(TaskGraph, DaxHasJobsAndThenTheirParents) {
  const TaskGraph graph = read(R"(<?xml version="1.0" encoding="UTF-8"?>
<adag xmlns="http://pegasus.isi.edu/schema/DAX" name="test">
  <job id="ID0" namespace="M" name="project" runtime="13.39"><uses file="x" size="3"/></job>
  <job id="ID1" namespace="M" name="project" runtime="1"/>
  <job id="ID2" name="add" runtime="2" cores="8"/>
  <child ref="ID2"><parent ref="ID0"/><parent ref="ID1"/></child>
</adag>)");
  EXPECT_EQ(graph.name, "test");
  EXPECT_EQ(graph.tasks, (std::vector<Task>{{"project_ID0", milliseconds(13390), 1},
                                            {"project_ID1", seconds(1), 1},
                                            {"add_ID2", seconds(2), 8}}));
  EXPECT_EQ(edges_of(graph), (Edges{{0, 2}, {1, 2}}));
}

TEST(TaskGraph, WhatIsOddIsToldWithItsTask) {
  const TaskGraph graph = read(R"({"workflow": {"tasks": [
      {"id": "a", "runtimeInSeconds": -3, "children": ["b", "nobody"]},
      {"id": "b", "runtimeInSeconds": "long", "cores": 0, "parents": ["a", 7]},
      {"runtimeInSeconds": 1}]}})");
  EXPECT_EQ(graph.read, 3U);
  EXPECT_EQ(graph.tasks.size(), 2U);
  EXPECT_EQ(edges_of(graph), (Edges{{0, 1}}));
  EXPECT_THAT(oddities(graph), ::testing::UnorderedElementsAre(
                                   "left out task number 3: a task without id and name",
                                   "left out edge a -> nobody: an edge of a task that is not there",
                                   "left out task b: something in parents is no name",
                                   "mended task a: no run time; it is taken to end at once",
                                   "mended task b: no run time; it is taken to end at once",
                                   "mended task b: no number of cores; one is taken"));
}

TEST(TaskGraph, ATaskThatWasNotMeasuredEndsAtOnce) {
  const TaskGraph graph = read(R"({"workflow": {"specification": {"tasks": [{"id": "a"}]},
                                  "execution": {"tasks": [{"id": "b", "runtimeInSeconds": 1}]}}})");
  EXPECT_EQ(graph.tasks, (std::vector<Task>{{"a", seconds(0), 1}}));
  EXPECT_EQ(graph.oddities.size(), 1U);
}

TEST(TaskGraph, WhatIsNoWorkflowIsRefusedWithTheReason) {
  EXPECT_EQ(why_not(""), "the file is empty");
  EXPECT_EQ(why_not(" \n"), "the file is empty");
  EXPECT_EQ(why_not("; MaxProcs: 4"), "neither JSON (WfFormat) nor XML (DAX)");
  EXPECT_THAT(why_not("{\"workflow\": "), HasSubstr("line 1, column 14"));
  EXPECT_EQ(why_not("{}"), "it has no \"workflow\"");
  EXPECT_EQ(why_not(R"({"workflow": {"tasks": 3}})"), "its workflow has no list of tasks");
  EXPECT_EQ(why_not(R"({"workflow": {"tasks": []}})"), "there are no tasks");
  EXPECT_EQ(why_not("<adag/>"), "there are no tasks");
  EXPECT_EQ(why_not("<svg/>"), "XML, but no <adag>");
  EXPECT_EQ(why_not("<adag>\n<job id='a'>\n</adag>"), "line 3: mismatched tag");
  EXPECT_EQ(why_not("<adag><job id='a'/><job id='a'/></adag>"), "two tasks are a");
}

TEST(TaskGraph, TasksThatWaitForEachOtherAreRefused) {
  EXPECT_EQ(why_not(R"({"workflow": {"tasks": [{"id": "a", "runtime": 1, "parents": ["b"]},
                                               {"id": "b", "runtime": 1, "parents": ["a"]}]}})"),
            "these wait for each other: a -> b -> a");
  EXPECT_EQ(why_not("<adag><job id='a'/><child ref='a'><parent ref='a'/></child></adag>"),
            "these wait for each other: a -> a");
}

// A few bytes must not become gigabytes.
TEST(TaskGraph, EntitiesOfXmlDoNotExpandWithoutEnd) {
  std::string text = "<!DOCTYPE adag [<!ENTITY l0 \"lollollollollollol\">";
  for (int i = 1; i < 12; ++i) {
    text += cat("<!ENTITY l", i, " \"");
    for (int j = 0; j < 10; ++j) text += cat("&l", i - 1, ";");
    text += "\">";
  }
  EXPECT_FALSE(parse_workflow(text + "]><adag name=\"&l11;\"><job id=\"a\"/></adag>"));
}

TEST(TaskGraph, EveryPublishedWorkflowIsReadWhole) {
  const std::filesystem::path folder = test::shared_data("workflows");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const Result<std::string> text = read_trace_file(entry.path());
    ASSERT_TRUE(text) << entry.path();
    const Result<TaskGraph> graph = parse_workflow(*text);
    ASSERT_TRUE(graph) << entry.path() << ": " << graph.error().message();
    EXPECT_EQ(graph->tasks.size(), graph->read) << entry.path();
    EXPECT_FALSE(graph->edges.empty()) << entry.path();
    EXPECT_TRUE(graph->oddities.empty()) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 13U);
}

}  // namespace
}  // namespace gangway::jsim
