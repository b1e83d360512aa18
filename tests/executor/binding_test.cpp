// docs/binding.md has the tables; the machines are hwloc's own test files.
#include "executor/binding.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <sstream>

#include "executor/step_layout.hpp"
#include "executor/topology.hpp"
#include "queues/base/text.hpp"
#include "tests/shared_data.hpp"

namespace gangway::executor {
namespace {

std::string trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return std::string(text);
}

// The rows of the doc's tables with so many columns, without heads.
std::vector<std::vector<std::string>> rows_of(std::size_t columns) {
  std::ifstream file(std::string(GANGWAY_SOURCE_DIR) + "/docs/binding.md");
  std::vector<std::vector<std::string>> rows;
  bool head = true;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("|")) {
      head = true;
      continue;
    }
    if (line.starts_with("|---")) {
      head = false;
      continue;
    }
    if (head) continue;
    std::vector<std::string> cells;
    for (const std::string_view cell : split(line, '|')) cells.push_back(trimmed(cell));
    if (cells.size() == columns + 2) rows.emplace_back(cells.begin() + 1, cells.end() - 1);
  }
  return rows;
}

std::vector<std::string> parts_of(const std::string& cell) {
  std::vector<std::string> parts;
  for (const std::string_view part : split(cell, '/')) parts.push_back(trimmed(part));
  return parts;
}

TEST(Binding, EqualsTheWrittenTableOnFourMachines) {
  if (!std::filesystem::exists(test::shared_data("topology/hwloc/nvidiaDGX2.xml"))) {
    GTEST_SKIP() << test::shared_data("topology/hwloc") << " is not there";
  }
  const std::map<std::string, BindTo> ways{{"auto", BindTo::Auto},       {"none", BindTo::None},
                                           {"threads", BindTo::Threads}, {"cores", BindTo::Cores},
                                           {"sockets", BindTo::Sockets}, {"ldoms", BindTo::Numa}};
  const std::map<std::string, SocketDistribution> distributions{
      {"cyclic", SocketDistribution::Cyclic},
      {"block", SocketDistribution::Block},
      {"fcyclic", SocketDistribution::FullCyclic}};
  std::map<std::string, Topology> machines;
  const auto rows = rows_of(6);
  ASSERT_GE(rows.size(), 25U);
  for (const std::vector<std::string>& row : rows) {
    if (!machines.contains(row[0])) {
      const Result<Topology> read =
          read_topology_file(test::shared_data("topology/hwloc/") + row[0] + ".xml");
      ASSERT_TRUE(read) << read.error().message();
      machines[row[0]] = *read;
    }
    const Topology& machine = machines[row[0]];
    std::vector<int> given;
    for (const Pu& pu : machine) given.push_back(pu.os);
    const auto sets = bind_ranks(machine, given,
                                 {.ranks = std::stoi(row[1]),
                                  .cpus_per_task = std::stoi(row[2]),
                                  .distribution = distributions.at(row[3]),
                                  .to = ways.at(row[4]),
                                  .list = {}});
    const std::vector<std::string> wanted = parts_of(row[5]);
    const std::string what = join(row, " | ");
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] == "…") break;
      ASSERT_LT(i, sets.size()) << what;
      EXPECT_EQ(sets[i].empty() ? "-" : render_cpus(sets[i]), wanted[i]) << what << ": task " << i;
    }
    if (wanted.back() == "…") continue;
    EXPECT_EQ(sets.size(), wanted.size()) << what;
  }
}

TEST(Binding, KeepsToTheProcessorsThatWereGiven) {
  const Topology machine{{0, 0, 0, 0}, {1, 0, 0, 0}, {2, 1, 0, 0}, {3, 1, 0, 0}};
  const auto sets = bind_ranks(machine, {1, 2, 3}, {.ranks = 2, .to = BindTo::Sockets});
  EXPECT_EQ(sets, (std::vector<std::vector<int>>{{1, 2, 3}, {1, 2, 3}}));
}

TEST(Binding, ProcessorsThatTheTopologyDoesNotKnowAreCoresOfTheirOwn) {
  const auto sets = bind_ranks({}, {4, 5}, {.ranks = 2, .to = BindTo::Cores});
  EXPECT_EQ(sets, (std::vector<std::vector<int>>{{4}, {5}}));
}

TEST(Binding, ListsGoRound) {
  const auto sets =
      bind_ranks({}, {0, 1, 2}, {.ranks = 3, .to = BindTo::MapCpu, .list = {{2}, {0}}});
  EXPECT_EQ(sets, (std::vector<std::vector<int>>{{2}, {0}, {2}}));
}

TEST(Binding, ListsOfProcessorsAreReadAndWritten) {
  EXPECT_EQ(*parse_cpus("0-2,5"), (std::vector<int>{0, 1, 2, 5}));
  EXPECT_EQ(render_cpus({0, 1, 2, 5}), "0-2,5");
  EXPECT_FALSE(parse_cpus("2-1"));
}

// ---- nodes -------------------------------------------------------------------------------------

Allocation allocation_of(const std::vector<int>& cores) {
  Allocation allocation;
  int first = 0;
  for (std::size_t i = 0; i < cores.size(); ++i) {
    NodeShare share;
    share.node = NodeName("n" + std::to_string(i + 1));
    share.resources.cores = cores[i];
    for (int core = 0; core < cores[i]; ++core) share.cores.push_back(core);
    share.first_task = first++;
    share.tasks = 1;
    allocation.shares.push_back(share);
  }
  return allocation;
}

wire::StepRun step(int nodes, int tasks) {
  wire::StepRun run;
  run.set_nodes(nodes);
  run.set_tasks(tasks);
  return run;
}

TEST(StepLayout, EqualsTheWrittenTable) {
  const auto rows = rows_of(3);
  ASSERT_GE(rows.size(), 10U);
  for (const std::vector<std::string>& row : rows) {
    std::vector<int> cores;
    for (const std::string_view count : split(row[0], ',')) {
      cores.push_back(*parse_integer<int>(count));
    }
    wire::StepRun run;
    std::istringstream words(row[1]);
    for (std::string option, value; words >> option >> value;) {
      if (option == "-n") run.set_tasks(std::stoi(value));
      if (option == "-N") run.set_nodes(std::stoi(value));
      if (option == "-c") run.set_cpus_per_task(std::stoi(value));
      if (value == "block") run.set_distribution(1);
      if (value == "cyclic") run.set_distribution(2);
      if (value.starts_with("plane=")) {
        run.set_distribution(3);
        run.set_plane(std::stoi(value.substr(6)));
      }
    }
    const Allocation allocation = allocation_of(cores);
    const auto layout = lay_out_step(run, allocation, 1, CoresInUse(cores.size()));
    ASSERT_TRUE(layout) << row[1] << ": " << layout.error().message();
    ASSERT_TRUE(layout->has_value()) << row[1];
    std::vector<std::string> found;
    for (const StepNode& node : (*layout)->nodes) found.push_back(render_ranks(node.ranks));
    EXPECT_EQ(found, parts_of(row[2])) << row[0] << " | " << row[1];
  }
}

TEST(StepLayout, StepsWithCoresOfTheirOwnShareNoneAndWaitWhenThereAreNone) {
  const Allocation allocation = allocation_of({2, 2});
  CoresInUse in_use(2);
  std::map<std::pair<std::uint32_t, int>, int> used;
  wire::StepRun run = step(1, 1);
  run.set_exact(true);
  for (int i = 0; i < 4; ++i) {
    const auto layout = lay_out_step(run, allocation, 1, in_use);
    ASSERT_TRUE(layout && layout->has_value()) << i;
    ASSERT_EQ((*layout)->nodes[0].cores.size(), 1U);
    EXPECT_EQ((used[{(*layout)->nodes[0].node_index, (*layout)->nodes[0].cores[0]}])++, 0);
    take_cores(**layout, in_use);
  }
  const auto fifth = lay_out_step(run, allocation, 1, in_use);
  ASSERT_TRUE(fifth);
  EXPECT_FALSE(fifth->has_value());
  run.set_exact(false);
  EXPECT_TRUE(lay_out_step(run, allocation, 1, in_use)->has_value());
}

TEST(StepLayout, AnOverlappingStepLooksAtNobodyAndLeavesNoTrace) {
  const Allocation allocation = allocation_of({2});
  CoresInUse in_use(1);
  wire::StepRun run = step(1, 2);
  run.set_overlap(true);
  const auto layout = lay_out_step(run, allocation, 1, in_use);
  take_cores(**layout, in_use);
  EXPECT_TRUE(in_use[0].empty());
}

TEST(StepLayout, NumbersThatNoStepCanHaveAreRefused) {
  const Allocation allocation = allocation_of({2, 2});
  const auto refused = [&](const std::function<void(wire::StepRun&)>& change) {
    wire::StepRun run = step(1, 1);
    run.set_exact(true);
    change(run);
    const auto layout = lay_out_step(run, allocation, 1, CoresInUse(2));
    return !layout && layout.error().kind() == ErrorKind::Invalid;
  };
  constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  EXPECT_FALSE(refused([](wire::StepRun&) {}));
  EXPECT_TRUE(refused([](wire::StepRun& run) { run.set_nodes(-1); }));
  EXPECT_TRUE(refused([](wire::StepRun& run) { run.set_tasks(kLeast); }));
  EXPECT_TRUE(refused([](wire::StepRun& run) { run.set_tasks(kMost); }));
  EXPECT_TRUE(refused([](wire::StepRun& run) { run.set_cpus_per_task(-3); }));
  EXPECT_TRUE(refused([](wire::StepRun& run) { run.set_plane(kLeast); }));
  EXPECT_TRUE(refused([](wire::StepRun& run) { run.set_distribution(77); }));
  EXPECT_TRUE(refused([](wire::StepRun& run) { run.set_umask(01000); }));
  EXPECT_TRUE(refused([](wire::StepRun& run) { run.set_wait_ns(-1); }));
  EXPECT_TRUE(refused(
      [](wire::StepRun& run) { run.set_time_limit_ns(std::numeric_limits<std::int64_t>::max()); }));
  EXPECT_TRUE(refused([](wire::StepRun& run) {
    run.set_nodes(2);
    run.set_tasks(0);
    run.set_tasks_per_node(kMaxStepTasks);
  }));
}

TEST(StepLayout, WhatCanNeverFitIsRefusedWithTheOption) {
  const Allocation allocation = allocation_of({2, 2});
  wire::StepRun many = step(0, 5);
  many.set_exact(true);
  EXPECT_NE(lay_out_step(many, allocation, 1, CoresInUse(2)).error().message().find("--exact"),
            std::string::npos);
  EXPECT_NE(
      lay_out_step(step(3, 3), allocation, 1, CoresInUse(2)).error().message().find("--nodes=3"),
      std::string::npos);
  wire::StepRun elsewhere = step(0, 1);
  elsewhere.add_only_nodes("n9");
  EXPECT_NE(lay_out_step(elsewhere, allocation, 1, CoresInUse(2)).error().message().find("n9"),
            std::string::npos);
}

}  // namespace
}  // namespace gangway::executor
