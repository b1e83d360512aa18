// Published cases for EASY backfilling on 100 processors: a job's id has its expected end as its
// integer part (tests/shared_data.hpp).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "policy_builders.hpp"
#include "scheduler/policy/planner.hpp"
#include "tests/shared_data.hpp"

namespace gangway::scheduler {
namespace {

struct Case {
  std::int64_t submit = 0;
  std::int64_t expected_end = 0;
  std::int64_t estimate = 0;
  int processors = 0;
  std::int64_t run = 0;
};

std::filesystem::path cases_folder() { return test::shared_data("scheduling-cases"); }

std::vector<Case> read_cases(const std::filesystem::path& file) {
  std::vector<Case> cases;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    Case c;
    double id = 0;
    if (!(words >> c.submit >> id >> c.estimate >> c.processors >> c.run)) continue;
    c.expected_end = static_cast<std::int64_t>(id);
    cases.push_back(c);
  }
  std::stable_sort(cases.begin(), cases.end(),
                   [](const Case& a, const Case& b) { return a.submit < b.submit; });
  return cases;
}

// The end of each job. A processor is a node of one core, or a core of the only node.
std::vector<std::int64_t> play(const std::vector<Case>& cases, bool one_node) {
  LittleCluster cluster;
  cluster.nodes(one_node ? 1 : 100, one_node ? 100 : 1);
  std::map<JobKey, std::size_t> index;
  std::map<std::size_t, std::int64_t> running;  // ends
  std::vector<std::int64_t> ends(cases.size(), -1);
  std::size_t next = 0;
  while (next < cases.size() || !running.empty()) {
    std::int64_t now = next < cases.size() ? cases[next].submit : INT64_MAX;
    for (const auto& [job, end] : running) now = std::min(now, end);
    for (auto at = running.begin(); at != running.end();) {
      if (at->second == now) {
        cluster.ends(at->first + 1);
        at = running.erase(at);
      } else {
        ++at;
      }
    }
    for (; next < cases.size() && cases[next].submit == now; ++next) {
      CandidateBuilder b = job(next + 1).eligible(at_s(now)).limit(seconds(cases[next].estimate));
      if (one_node) {
        b.tasks(cases[next].processors);
      } else {
        b.nodes(cases[next].processors);
      }
      index[key(next + 1)] = next;
      cluster.waits(b);
    }
    for (const Start& start : cluster.pass(at_s(now)).starts) {
      const std::size_t which = index.at(start.key);
      ends[which] = now + std::min(cases[which].run, cases[which].estimate);
      running[which] = ends[which];
    }
  }
  return ends;
}

class PublishedCases : public ::testing::TestWithParam<bool> {};

TEST_P(PublishedCases, EndWhenTheirAuthorsSay) {
  const std::filesystem::path folder = cases_folder();
  if (!std::filesystem::is_directory(folder)) {
    GTEST_SKIP() << "no published cases in " << folder;
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool for_easy = name.starts_with("basic_input") || name.starts_with("extreme_input") ||
                          name.starts_with("bf_input") || name.starts_with("easy_bf_input");
    if (!for_easy) continue;
    ++files;
    const std::vector<Case> cases = read_cases(entry.path());
    const std::vector<std::int64_t> ends = play(cases, GetParam());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      EXPECT_EQ(ends[i], cases[i].expected_end) << name << ", job " << i + 1;
    }
  }
  EXPECT_GE(files, 40);
}

INSTANTIATE_TEST_SUITE_P(OneNodeOrAHundred, PublishedCases, ::testing::Bool());

}  // namespace
}  // namespace gangway::scheduler
