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

// All of it: version 2.2 of the format, and what logs in circulation make of it.
TEST(Swf, HeadersOfEveryKindAreComments) {
  const auto trace = parse_swf(
      "; Version: 2.2\n; Computer: IBM SP2\n; Installation: somewhere\n; Acknowledge: somebody\n"
      "; Information: http://www.example.org/\n;              http://www.example.com/\n"
      "; Conversion: by hand\n; MaxJobs: 2\n; MaxRecords: 2\n; Preemption: No\n"
      "; UnixStartTime: 843480031\n; TimeZone: 3600\n; TimeZoneString: Europe/Stockholm\n"
      "; StartTime: Mon Sep 23 14:00:31 CEST 1996\n; EndTime:   Fri Aug 29 10:55:01 CEST 1997\n"
      "; MaxNodes: 5\n; MaxProcs: 10\n; MaxRuntime: 64800\n; MaxMemory: 1\n"
      "; AllowOveruse: false\n; MaxQueues: 1\n; Queues: 0 interactive\n; Queue: 1 batch\n"
      "; MaxPartitions: 1\n; Partitions: 1\n; Partition: 1 all\n; Note: MaxProcs: 99\n;\n" +
      row("1", "0", "60", "4", "4", "100"));
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->processors, 10);
  EXPECT_EQ(trace->rows, 1U);
  EXPECT_TRUE(trace->notes.empty());
  EXPECT_TRUE(trace->oddities.empty());
}

TEST(Swf, TheMachineIsFoundHoweverItIsWritten) {
  const std::string job = row("1", "0", "60", "4", "4", "100");
  for (const char* header :
       {";MaxProcs:1152\n", ";\tMaxProcs :  1152\n", "; maxprocs: 1152\n", "; MaxProcs: 1,152\n",
        "; MaxProcs: 1152 (in 144 nodes)\n", ";; MaxProcs: 1152;\n", "# MaxProcs = 1152\r\n",
        "; MaxProcs: -1\n; MaxProcs: 1152\n; MaxProcs: 7\n"}) {
    const auto trace = parse_swf(header + job);
    ASSERT_TRUE(trace) << header;
    EXPECT_EQ(trace->processors, 1152) << header;
  }
  for (const char* header : {"; MaxProcs: many\n", "; MaxProcs: 0\n", "; MaxProcs: 99999999999\n",
                             "; MaxProcsPerJob: 3\n", "; MaxProcs\n"}) {
    const auto trace = parse_swf(header + job);
    ASSERT_TRUE(trace) << header;
    EXPECT_EQ(trace->processors, 4) << header;
  }
}

TEST(Swf, LinesMayEndAsOnWindowsAndBeginWithAMark) {
  const auto trace = parse_swf(
      "\xef\xbb\xbf; MaxProcs: 10\r\n\r\n"
      "1\t0 -1  60 4 -1 -1 4 100 -1 1 7 3 -1 -1 -1 -1 -1\r\n");
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->processors, 10);
  ASSERT_EQ(trace->jobs.size(), 1U);
  EXPECT_EQ(trace->jobs[0].user, 7);
  EXPECT_EQ(trace->jobs[0].group, 3);
  EXPECT_TRUE(trace->oddities.empty());
}

TEST(Swf, CommentsMayStandAnywhere) {
  const auto trace =
      parse_swf(row("1", "0", "1", "1", "1", "1") + "; MaxProcs: 10\n" +
                "2 5 -1 1 1 -1 -1 1 1 -1 1 7 -1 -1 -1 -1 -1 -1 ; the last\n   ; the end\n");
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->processors, 10);
  EXPECT_EQ(trace->jobs.size(), 2U);
  EXPECT_TRUE(trace->oddities.empty());
}

TEST(Swf, WhatIsMissingBehindTheRequestedTimeIsNotKnown) {
  const TraceJob job = only_job(kMachine + "1 0 -1 60 4 -1 -1 -1 100\n");
  EXPECT_EQ(job.user, -1);
  EXPECT_EQ(job.group, -1);
  EXPECT_EQ(only_job(kMachine + "1 0 -1 60 4 -1 -1 -1 100 -1 1 7 3 -1 -1 -1 -1 -1 88 99\n").user,
            7);
}

TEST(Swf, NumbersAreReadAsOthersWriteThem) {
  const TraceJob job = only_job(kMachine + "+1 1.5e1 -1 60.0 4.0 -1 -1 +4 1e2 -1 1 1e300 7\n");
  EXPECT_EQ(job.submit, Time{seconds(15).ns});
  EXPECT_EQ(job.estimate, seconds(100));
  EXPECT_EQ(job.user, -1);
  EXPECT_EQ(why("1 0 -1 60 4 -1 -1 4 +-100 -1 1\n"), "not numbers");
  EXPECT_EQ(why("1 0 -1 60 4.5 -1 -1 -1 100 -1 1\n"), "part of a processor");
}

TEST(Swf, ARowBeyondAllBoundsDoesNotMakeTheMachine) {
  const auto trace =
      parse_swf(row("1", "0", "60", "4", "4", "100") + row("2", "0", "60", "1e300", "-1", "100") +
                row("3", "0", "60", "-1", "2000000000", "100"));
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->processors, 4);
  EXPECT_EQ(trace->oddities.size(), 2U);
}

TEST(Swf, PartialExecutionsAreSaid) {
  const auto trace = parse_swf(kMachine + "1 0 -1 60 4 -1 -1 4 100 -1 2 7\n" +
                               row("2", "0", "60", "4", "4", "100"));
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->jobs.size(), 2U);
  EXPECT_EQ(trace->notes,
            std::vector<std::string>{"1 of the jobs is a part of a job, by status (2 to 4)"});
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
