// Published schedules: the start second of every job of two logs under seven policies, made with
// independent simulators that agree job by job, and the figures printed with them
// (tests/shared_data.hpp). No tolerance.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "scheduler/jsim/figures.hpp"
#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/swf.hpp"
#include "scheduler/jsim/trace_file.hpp"
#include "tests/shared_data.hpp"

namespace gangway::jsim {
namespace {

std::string with_digits(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// The columns of a file of expected starts by their names.
std::map<std::string, std::vector<std::int64_t>> read_expected(const std::string& path) {
  const auto text = read_trace_file(path);
  EXPECT_TRUE(text);
  std::map<std::string, std::vector<std::int64_t>> out;
  std::vector<std::string> names;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream cells(line);
    std::size_t i = 0;
    for (std::string cell; std::getline(cells, cell, ','); ++i) {
      if (cell.empty()) continue;
      if (names.size() <= i) {
        names.push_back(cell);
      } else if (cell != names[i]) {
        out[names[i]].push_back(std::stoll(cell));
      }
    }
  }
  return out;
}

struct Column {
  const char* name;
  const char* policy;
  EventOrder order;
};
const Column kColumns[] = {
    {"fcfs", "fcfs", EventOrder::Batch},
    {"easy", "easy", EventOrder::Batch},
    {"easy_evt", "easy", EventOrder::Evt},
    {"easy-sjbf", "easy-sjbf", EventOrder::Batch},
    {"easy-sjbf_evt", "easy-sjbf", EventOrder::Evt},
    {"cons_compress", "conservative", EventOrder::Evt},
    {"cons_replan", "conservative-replan", EventOrder::Batch},
};

struct Log {
  const char* file;
  const char* expected;
  const char* original;                        // before the filter
  std::map<std::string, std::string> figures;  // mean bounded slowdown / mean wait, by column
};
const Log kLogs[] = {
    {"kth.swf.gz",
     "kth.expected_starts.csv.gz",
     "KTH-SP2-1996-2-unfiltered.swf.gz",
     {{"fcfs", "6814.9733 / 353776.41"},
      {"easy_evt", "92.5765 / 6836.87"},
      {"easy", "92.6877 / 6834.59"},
      {"easy-sjbf_evt", "69.4054 / 5904.08"},
      {"easy-sjbf", "69.3936 / 5903.69"},
      {"cons_compress", "88.9973 / 7310.55"},
      {"cons_replan", "101.8269 / 7936.17"}}},
    {"hpc2n-alea.swf.gz",
     "hpc2n-alea.expected_starts.csv.gz",
     "HPC2N-2002-alea-2months.swf.gz",
     {{"fcfs", "47.0382 / 5588.63"},
      {"easy_evt", "16.2137 / 3470.18"},
      {"easy", "16.2140 / 3470.19"},
      {"easy-sjbf_evt", "16.0512 / 3316.78"},
      {"easy-sjbf", "16.0543 / 3316.82"},
      {"cons_compress", "16.0430 / 3434.56"},
      {"cons_replan", "16.7364 / 3596.71"}}},
};

class PublishedStarts : public ::testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {
 protected:
  void SetUp() override {
    if (!std::filesystem::is_directory(test::shared_data("swf"))) {
      GTEST_SKIP() << "no logs in " << test::shared_data("swf");
    }
  }
};

Trace read_log(const std::string& name, const SwfOptions& options = {}) {
  const auto text = read_trace_file(test::shared_data("swf/" + name));
  EXPECT_TRUE(text);
  auto trace = parse_swf(*text, options);
  EXPECT_TRUE(trace);
  return *std::move(trace);
}

TEST_P(PublishedStarts, AreOurs) {
  const Log& log = kLogs[std::get<0>(GetParam())];
  const Column& column = kColumns[std::get<1>(GetParam())];
  const Trace trace = read_log(log.file);
  const auto expected =
      read_expected(test::shared_data(std::string("swf/") + log.expected))[column.name];
  ASSERT_EQ(expected.size(), trace.jobs.size());
  const Schedule schedule =
      replay(trace, {.policy = *parse_backfill_policy(column.policy), .order = column.order});
  std::size_t different = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Time start{seconds(expected[i]).ns};
    if (schedule.runs[i].start == start) continue;
    if (++different == 1) {
      ADD_FAILURE() << "job " << trace.jobs[i].number << " starts at "
                    << to_seconds(schedule.runs[i].start - Time{}) << ", expected " << expected[i];
    }
  }
  EXPECT_EQ(different, 0u);
  const Figures figures = figures_of(trace, schedule);
  EXPECT_EQ(
      with_digits("%.4f", figures.mean_slowdown) + " / " + with_digits("%.2f", figures.mean_wait_s),
      log.figures.at(column.name));
}

std::string name_of(const ::testing::TestParamInfo<PublishedStarts::ParamType>& info) {
  std::string name = std::get<0>(info.param) == 0 ? "Kth_" : "Hpc2n_";
  for (const char c : std::string(kColumns[std::get<1>(info.param)].name)) {
    name += c == '-' ? '_' : c;
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Logs,
                         PublishedStarts,
                         ::testing::Combine(::testing::Range<std::size_t>(0, std::size(kLogs)),
                                            ::testing::Range<std::size_t>(0, std::size(kColumns))),
                         name_of);

TEST(PublishedFigures, OfKthAreOursFromTheUnfilteredLog) {
  if (!std::filesystem::is_directory(test::shared_data("swf"))) {
    GTEST_SKIP() << "no logs in " << test::shared_data("swf");
  }
  const auto mean_slowdown = [](const char* policy, Estimates estimates) {
    const Trace trace =
        read_log("KTH-SP2-1996-2-unfiltered.swf.gz", {.processors = {}, .estimates = estimates});
    EXPECT_EQ(trace.jobs.size(), 28'481u);
    const Schedule schedule =
        replay(trace, {.policy = *parse_backfill_policy(policy), .order = EventOrder::Evt});
    return with_digits("%.4f", figures_of(trace, schedule).mean_slowdown);
  };
  EXPECT_EQ(mean_slowdown("easy", Estimates::Requested), "92.5765");
  EXPECT_EQ(mean_slowdown("easy", Estimates::Perfect), "71.7224");
  EXPECT_EQ(mean_slowdown("easy-sjbf", Estimates::Requested), "69.4054");
  EXPECT_EQ(mean_slowdown("easy-sjbf", Estimates::Perfect), "49.8477");
}

}  // namespace
}  // namespace gangway::jsim
