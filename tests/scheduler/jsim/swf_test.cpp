#include "scheduler/jsim/swf.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "scheduler/jsim/trace_file.hpp"
#include "tests/shared_data.hpp"

namespace gangway::jsim {
namespace {

// number, submit, run, allocated, requested, requested time; user 7
std::string row(const char* number,
                const char* submit,
                const char* run,
                const char* allocated,
                const char* requested,
                const char* requested_time) {
  return std::string(number) + " " + submit + " -1 " + run + " " + allocated + " -1 -1 " +
         requested + " " + requested_time + " -1 1 7 -1 -1 -1 -1 -1 -1\n";
}

const std::string kMachine = "; MaxProcs: 10\n";

TraceJob only_job(const std::string& text, const SwfOptions& options = {}) {
  const auto trace = parse_swf(text, options);
  EXPECT_TRUE(trace);
  EXPECT_EQ(trace->jobs.size(), 1u);
  return trace->jobs.at(0);
}

std::string why(const std::string& bad_row) {
  const auto trace = parse_swf(kMachine + bad_row + row("9", "0", "1", "1", "1", "1"));
  EXPECT_TRUE(trace);
  EXPECT_EQ(trace->jobs.size(), 1u);
  EXPECT_EQ(trace->oddities.size(), 1u);
  return trace->oddities.empty() ? "" : trace->oddities[0].why;
}

TEST(Swf, AJobIsWhatWasRequested) {
  const TraceJob job = only_job(kMachine + row("3", "5", "60", "4", "8", "100"));
  EXPECT_EQ(job.number, 3);
  EXPECT_EQ(job.submit, Time{seconds(5).ns});
  EXPECT_EQ(job.run, seconds(60));
  EXPECT_EQ(job.estimate, seconds(100));
  EXPECT_EQ(job.processors, 8);
  EXPECT_EQ(job.user, 7);
}

TEST(Swf, UnknownProcessorsAreTakenFromTheOtherColumn) {
  EXPECT_EQ(only_job(kMachine + row("1", "0", "60", "4", "-1", "100")).processors, 4);
  EXPECT_EQ(only_job(kMachine + row("1", "0", "60", "0", "3", "100")).processors, 3);
}

TEST(Swf, AJobThatRanPastItsRequestRanAsLongAsRequested) {
  EXPECT_EQ(only_job(kMachine + row("1", "0", "160", "4", "4", "100")).run, seconds(100));
}

TEST(Swf, FractionsOfSecondsAreKept) {
  EXPECT_EQ(only_job(kMachine + row("1", "0", "0.25", "4", "4", "100")).run, milliseconds(250));
}

TEST(Swf, PerfectEstimatesAreTheRunTimes) {
  const SwfOptions perfect{.processors = {}, .estimates = Estimates::Perfect};
  EXPECT_EQ(only_job(kMachine + row("1", "0", "60", "4", "4", "100"), perfect).estimate,
            seconds(60));
}

TEST(Swf, WhatIsNoJobIsCountedAndNamed) {
  EXPECT_EQ(why(row("1", "0", "60", "-1", "0", "100")), "no processors");
  EXPECT_EQ(why(row("1", "0", "60", "4", "11", "100")), "more processors than the machine has");
  EXPECT_EQ(why(row("1", "0", "60", "11", "4", "100")), "more processors than the machine has");
  EXPECT_EQ(why(row("1", "0", "0", "4", "4", "100")), "no run time");
  EXPECT_EQ(why(row("1", "0", "-1", "4", "4", "100")), "no run time");
  EXPECT_EQ(why(row("1", "0", "60", "4", "4", "-1")), "no requested time");
  EXPECT_EQ(why(row("1", "-5", "60", "4", "4", "100")), "submitted before the log begins");
  EXPECT_EQ(why("1 0 -1 60\n"), "too few columns");
  EXPECT_EQ(why("1 0 -1 6x 4 -1 -1 4 100 -1 1\n"), "not numbers");
  EXPECT_EQ(why("1 0 -1 nan 4 -1 -1 4 100 -1 1\n"), "not numbers");
  EXPECT_EQ(why(row("1", "1e300", "60", "4", "4", "100")), "a time beyond 150 years");
}

TEST(Swf, LinesAreNumberedFromTheTopOfTheFile) {
  const auto trace =
      parse_swf("; a\n\n; MaxProcs: 10\nbad\n" + row("9", "0", "1", "1", "1", "1") + "worse");
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->rows, 3u);
  ASSERT_EQ(trace->oddities.size(), 2u);
  EXPECT_EQ(trace->oddities[0].line, 4u);
  EXPECT_EQ(trace->oddities[1].line, 6u);
}

TEST(Swf, JobsComeByTheirSubmitTimeAndAsTheyStoodWhereItIsEqual) {
  const auto trace =
      parse_swf(kMachine + row("1", "9", "1", "1", "1", "1") + row("2", "3", "1", "1", "1", "1") +
                row("3", "9", "1", "1", "1", "1"));
  ASSERT_TRUE(trace);
  ASSERT_EQ(trace->jobs.size(), 3u);
  EXPECT_EQ(trace->jobs[0].number, 2);
  EXPECT_EQ(trace->jobs[1].number, 1);
  EXPECT_EQ(trace->jobs[2].number, 3);
}

TEST(Swf, AMachineThatTheHeaderDoesNotNameIsGuessedAndSaid) {
  const std::string job = row("1", "0", "60", "4", "6", "100");
  EXPECT_EQ(parse_swf("; MaxNodes: 12\n" + job)->processors, 12);
  EXPECT_EQ(parse_swf(job)->processors, 6);
  EXPECT_EQ(parse_swf(job)->notes.size(), 1u);
  EXPECT_EQ(parse_swf(kMachine + job, {.processors = 64})->processors, 64);
}

TEST(Swf, ALogWithoutRequestedTimesHasRunTimesInstead) {
  const auto trace = parse_swf(kMachine + row("1", "0", "60", "4", "4", "-1"));
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->jobs.at(0).estimate, seconds(60));
  EXPECT_EQ(trace->notes.size(), 1u);
}

TEST(Swf, ALogWithoutJobsIsAnError) {
  EXPECT_FALSE(parse_swf(""));
  EXPECT_FALSE(parse_swf("; MaxProcs: 10\n"));
  const auto none = parse_swf("rubbish\n");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message(), "none of 1 lines is a job: line 1: not numbers");
}

TEST(Swf, LogsOfOthersAreReadAndTheirBadLinesCounted) {
  const std::filesystem::path folder = test::shared_data("swf");
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no logs in " << folder;
  struct Log {
    const char* file;
    std::size_t rows;
    std::size_t jobs;
    int processors;
  };
  for (const Log& log :
       {Log{"KTH-SP2-1996-2-unfiltered.swf.gz", 28489, 28481, 100},
        Log{"kth.swf.gz", 28481, 28481, 100}, Log{"hpc2n-alea.swf.gz", 3145, 3145, 240},
        Log{"lublin_256.swf.gz", 10000, 10000, 256},
        Log{"NASA-iPSC-1993-3.1-cln.swf.gz", 18239, 18066, 128}}) {
    const auto text = read_trace_file((folder / log.file).string());
    ASSERT_TRUE(text) << log.file;
    const auto trace = parse_swf(*text);
    ASSERT_TRUE(trace) << log.file;
    EXPECT_EQ(trace->rows, log.rows) << log.file;
    EXPECT_EQ(trace->jobs.size(), log.jobs) << log.file;
    EXPECT_EQ(trace->jobs.size() + trace->oddities.size(), log.rows) << log.file;
    EXPECT_EQ(trace->processors, log.processors) << log.file;
  }
}

TEST(TraceFile, AFileThatIsNotThereOrDamagedIsAnError) {
  EXPECT_EQ(read_trace_file("/nowhere/log.swf").error().kind(), ErrorKind::NotFound);
  const std::string path = ::testing::TempDir() + "damaged.swf.gz";
  std::ofstream(path, std::ios::binary) << "\x1f\x8b\x08rubbish that is no stream";
  EXPECT_FALSE(read_trace_file(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace gangway::jsim
