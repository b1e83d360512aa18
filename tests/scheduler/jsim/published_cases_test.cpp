// Published cases on 100 processors: a job's id has its expected end as its integer part; the name
// of the file says for which policies (tests/shared_data.hpp). No tolerance.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scheduler/jsim/replay.hpp"
#include "tests/shared_data.hpp"

namespace gangway::jsim {
namespace {

struct Case {
  Trace trace;
  std::vector<std::int64_t> ends;
};

Case read_case(const std::filesystem::path& file) {
  struct Row {
    TraceJob job;
    std::int64_t end = 0;
  };
  std::vector<Row> rows;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::int64_t submit = 0;
    double id = 0;
    std::int64_t estimate = 0;
    std::int64_t run = 0;
    Row row;
    if (!(words >> submit >> id >> estimate >> row.job.processors >> run)) continue;
    row.end = static_cast<std::int64_t>(id);
    row.job.number = static_cast<std::int64_t>(rows.size()) + 1;
    row.job.submit = Time{seconds(submit).ns};
    row.job.estimate = seconds(estimate);
    row.job.run = seconds(std::min(run, estimate));
    rows.push_back(row);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.job.submit < b.job.submit; });
  Case out;
  out.trace.processors = 100;
  for (const Row& row : rows) {
    out.trace.jobs.push_back(row.job);
    out.ends.push_back(row.end);
  }
  return out;
}

struct Policy {
  const char* name;
  EventOrder order;
  std::vector<const char*> files;  // beginnings of their names
};
const Policy kPolicies[] = {
    {"fcfs", EventOrder::Batch, {"basic_", "extreme_", "fcfs_"}},
    {"easy", EventOrder::Batch, {"basic_", "extreme_", "bf_", "easy_bf_"}},
    {"easy", EventOrder::Evt, {"basic_", "extreme_", "bf_", "easy_bf_"}},
    {"conservative", EventOrder::Batch, {"basic_", "extreme_", "bf_", "cons_bf_"}},
    {"conservative", EventOrder::Evt, {"basic_", "extreme_", "bf_", "cons_bf_"}},
    {"conservative-replan", EventOrder::Batch, {"basic_", "extreme_", "bf_", "cons_bf_"}},
};

class PublishedCases : public ::testing::TestWithParam<Policy> {};

TEST_P(PublishedCases, EndWhenTheirAuthorsSay) {
  const std::filesystem::path folder = test::shared_data("scheduling-cases");
  if (!std::filesystem::is_directory(folder)) {
    GTEST_SKIP() << "no published cases in " << folder;
  }
  const Policy& policy = GetParam();
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const auto is_beginning = [&](const char* beginning) { return name.starts_with(beginning); };
    if (std::none_of(policy.files.begin(), policy.files.end(), is_beginning)) continue;
    ++files;
    const Case published = read_case(entry.path());
    const Schedule schedule = replay(
        published.trace, {.policy = *parse_backfill_policy(policy.name), .order = policy.order});
    for (std::size_t i = 0; i < published.ends.size(); ++i) {
      EXPECT_EQ(schedule.runs[i].end, Time{seconds(published.ends[i]).ns})
          << name << ", job " << i + 1;
    }
  }
  EXPECT_GE(files, 40);
}

std::string name_of(const ::testing::TestParamInfo<Policy>& info) {
  std::string name;
  for (const char c : std::string(info.param.name)) name += c == '-' ? '_' : c;
  return name + (info.param.order == EventOrder::Evt ? "_evt" : "_batch");
}
INSTANTIATE_TEST_SUITE_P(Policies, PublishedCases, ::testing::ValuesIn(kPolicies), name_of);

}  // namespace
}  // namespace gangway::jsim
