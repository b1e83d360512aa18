// jsim as people call it: every option, what it says and writes, and how it ends.
#include "tests/e2e/harness/program.hpp"

#include <expat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "queues/base/text.hpp"
#include "scheduler/jsim/options.hpp"

namespace gangway::jsim {
namespace {

namespace fs = std::filesystem;
using e2e::Ran;
using ::testing::HasSubstr;
using ::testing::Not;

// Four processors; user 1 in group 1 and user 2 in group 2, two bad lines. Under FCFS job 3 waits
// for job 2, under EASY it passes it.
constexpr const char* kLog =
    "; MaxProcs: 4\n"
    "1  0 -1 100 3 -1 -1 3 120 -1 1 1 1 -1 -1 -1 -1 -1\n"
    "2 10 -1 100 4 -1 -1 4 100 -1 1 1 1 -1 -1 -1 -1 -1\n"
    "rubbish\n"
    "3 20 -1  20 1 -1 -1 1  50 -1 1 2 2 -1 -1 -1 -1 -1\n"
    "4 30 -1   0 1 -1 -1 1  50 -1 1 2 2 -1 -1 -1 -1 -1\n"
    "5 40 -1  30 1 -1 -1 1  60 -1 1 2 2 -1 -1 -1 -1 -1\n";

constexpr const char* kChain = R"({"name": "chain", "workflow": {"tasks": [
    {"id": "a", "runtime": 10}, {"id": "b", "runtime": 10}, {"id": "c<&>", "runtime": 10},
    {"id": "d", "runtime": 10, "parents": ["c<&>"]}, {"id": "e", "runtime": 10, "parents": ["d"]},
    {"id": "f", "parents": ["nobody"]}]}})";
constexpr const char* kDax =
    "<adag name='two'><job id='x' name='p' runtime='5'/><job id='y' name='p' runtime='5'/>"
    "<child ref='y'><parent ref='x'/></child></adag>";

class Jsim : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "jsim-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    write("log.swf", kLog);
    write("chain.json", kChain);
    write("two.xml", kDax);
  }
  void TearDown() override { fs::remove_all(directory_); }

  [[nodiscard]] std::string path(const std::string& name) const { return directory_ / name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::string program() { return GANGWAY_BINARY_DIR "/bin/jsim"; }
  [[nodiscard]] Ran jsim(std::vector<std::string> argv, const std::string& input = "") const {
    for (const std::string& word : argv) given().insert(word.substr(0, word.find('=')));
    argv.insert(argv.begin(), program());
    return e2e::run(argv, {.env = {}, .directory = directory_.string(), .input = input});
  }
  [[nodiscard]] std::string says(const std::vector<std::string>& argv) const {
    const Ran ran = jsim(argv);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_EQ(ran.err, "");
    return ran.out;
  }
  // One line on standard error, and nothing else.
  void expect_refused(const std::vector<std::string>& argv,
                      int code,
                      const std::string& message) const {
    const Ran ran = jsim(argv);
    EXPECT_EQ(ran.exit_code, code) << join(argv, " ");
    EXPECT_EQ(ran.err, "jsim: " + message + "\n") << join(argv, " ");
    EXPECT_EQ(ran.out, "");
  }
  void expect_misused(std::vector<std::string> argv, const std::string& message) const {
    expect_refused(argv, 64, message + " (see --help)");
  }
  // The words behind the name of a row in a table.
  static std::string row(const std::string& table, const std::string& name) {
    for (const std::string_view line : split(table, '\n')) {
      static const std::regex kSpaces(" +");
      if (line.starts_with(name)) {
        return std::regex_replace(std::string(trim(line.substr(name.size()))), kSpaces, " ");
      }
    }
    return "no row " + name;
  }
  static std::set<std::string>& given() {
    static std::set<std::string> words;
    return words;
  }

  fs::path directory_;
};

// Also that no attribute stands twice and every name is closed.
void expect_well_formed(const std::string& svg) {
  XML_Parser parser = XML_ParserCreate(nullptr);
  EXPECT_EQ(XML_Parse(parser, svg.data(), static_cast<int>(svg.size()), XML_TRUE), XML_STATUS_OK)
      << XML_ErrorString(XML_GetErrorCode(parser)) << " in line "
      << XML_GetCurrentLineNumber(parser) << "\n"
      << svg.substr(0, 2000);
  XML_ParserFree(parser);
  EXPECT_THAT(svg, HasSubstr("<svg xmlns=\"http://www.w3.org/2000/svg\""));
}

TEST_F(Jsim, ALogIsReplayedAndItsBadLinesAreNamed) {
  const std::string out = says({"--trace", "log.swf"});
  EXPECT_THAT(out, HasSubstr("4 jobs of 6 lines on 4 processors\n"));
  EXPECT_THAT(out, HasSubstr("left out: 1 line, no run time: line 6\n"));
  EXPECT_THAT(out, HasSubstr("left out: 1 line, not numbers: line 4\n"));
  EXPECT_EQ(row(out, "makespan, s"), "200");
  EXPECT_EQ(row(out, "users"), "2");
}

TEST_F(Jsim, PoliciesStandSideBySideAndItIsSaidWhoGains) {
  const std::string out =
      says({"--trace", "log.swf", "--policy", "fcfs", "--policy=easy", "--policy", "easy:2",
            "--policy", "easy-sjbf", "--policy", "conservative", "--policy", "conservative-replan",
            "--starvation-bound", "1:00:00", "--order", "batch"});
  EXPECT_THAT(row(out, "wait, mean, s"), HasSubstr("107.50 22.50 22.50"));
  EXPECT_THAT(out, HasSubstr("easy instead of fcfs: 2 jobs start earlier, 0 later; 1 user gains, 0 "
                             "lose\n"));
  EXPECT_THAT(out, HasSubstr("conservative-replan instead of fcfs: "));
}

TEST_F(Jsim, EventsOfASecondMayComeOneByOne) {
  EXPECT_EQ(row(says({"--trace", "log.swf", "--order", "evt"}), "makespan, s"), "200");
}

TEST_F(Jsim, EstimatesAndProcessorsCanBeOthers) {
  write("one.swf",
        "; MaxProcs: 2\n1 0 -1 9 2 -1 -1 2 90 -1 1 1 1\n2 0 -1 9 4 -1 -1 4 90 -1 1 1 1\n");
  EXPECT_THAT(says({"--trace", "one.swf"}), HasSubstr("1 job of 2 lines on 2 processors\n"));
  EXPECT_THAT(says({"--trace", "one.swf", "--processors", "8"}),
              HasSubstr("2 jobs of 2 lines on 8 processors\n"));
  (void)says({"--trace", "one.swf", "--estimates", "perfect", "--csv", "jobs.csv"});
  EXPECT_EQ(read("jobs.csv"),
            "job,user,processors,submit,run,estimate,start,wait,slowdown\n"
            "1,1,2,0,9,9,0,0,1.0000\n");
}

TEST_F(Jsim, ALogComesPlainCompressedOrFromStandardInput) {
  const std::string plain = says({"--trace", "log.swf"});
  gzFile file = gzopen(path("log.gz").c_str(), "wb");
  gzwrite(file, kLog, static_cast<unsigned>(std::string_view(kLog).size()));
  gzclose(file);
  EXPECT_EQ(says({"--trace", "log.gz"}), plain);
  EXPECT_EQ(jsim({"--trace", "-"}, kLog).out, plain);
  EXPECT_EQ(jsim({"--trace", "-"}, read("log.gz")).out, plain);
}

TEST_F(Jsim, JobsChartsAndLeftOutLinesAreWritten) {
  (void)says({"--trace", "log.swf", "--policy", "fcfs", "--policy", "easy", "--csv", "jobs.csv",
              "--gantt", "gantt.svg", "--utilisation", "use.svg", "--left-out", "left.csv"});
  EXPECT_EQ(read("jobs.csv"),
            "job,user,processors,submit,run,estimate,start_fcfs,wait_fcfs,slowdown_fcfs,start_easy,"
            "wait_easy,slowdown_easy\n"
            "1,1,3,0,100,120,0,0,1.0000,0,0,1.0000\n"
            "2,1,4,10,100,100,100,90,1.9000,100,90,1.9000\n"
            "3,2,1,20,20,50,200,180,10.0000,20,0,1.0000\n"
            "5,2,1,40,30,60,200,160,6.3333,40,0,1.0000\n");
  EXPECT_EQ(read("left.csv"), "line,reason\n4,not numbers\n6,no run time\n");
  expect_well_formed(read("gantt.svg"));
  expect_well_formed(read("use.svg"));
  EXPECT_THAT(read("gantt.svg"), HasSubstr("<title>job 5, user 2, 1 processors, waited 160 s"));
}

TEST_F(Jsim, ShakingPrintsMediansAndIsTheSameForASeed) {
  const std::vector<std::string> argv{"--trace",  "log.swf", "--policy",   "fcfs",
                                      "--policy", "easy",    "--shake",    "7",
                                      "--seed",   "3",       "--shake-by", "30s"};
  const std::string once = says(argv);
  EXPECT_THAT(once, HasSubstr("over 7 shaken logs (submissions moved by up to 0:30, seed 3): "
                              "median, least and most of the mean bounded slowdown"));
  EXPECT_THAT(once, HasSubstr("\n  easy: "));
  EXPECT_EQ(says(argv), once);
  std::vector<std::string> other = argv;
  other[9] = "4";
  EXPECT_NE(says(other), once);
}

TEST_F(Jsim, UsersAreToldWithTheirShares) {
  const std::string plain = says({"--trace", "log.swf", "--users"});
  EXPECT_THAT(plain, HasSubstr("user  jobs  processor hours  wait, s, easy  slowdown, easy\n"));
  const std::string equal = says({"--trace", "log.swf", "--users", "--fair-share", "users"});
  EXPECT_THAT(row(equal, "1   "), HasSubstr("root 50.00 93.33"));
  const std::string groups = says({"--trace", "log.swf", "--users", "--fair-share", "groups"});
  EXPECT_THAT(row(groups, "2   "), HasSubstr("g2 50.00 6.67"));
  write("shares", "account lab 3\nuser 1 1 lab\nuser 2 1\n");
  const std::string file =
      says({"--trace", "log.swf", "--users", "--fair-share", "shares", "--half-life", "0"});
  EXPECT_THAT(row(file, "1   "), HasSubstr("lab 75.00 93.33"));
}

// Both are there at once, one place at a time; the one with more shares has two of three.
TEST_F(Jsim, SharesDecideWhoIsNext) {
  std::string log = "; MaxProcs: 1\n";
  for (int i = 0; i < 60; ++i) log += cat(i, " 0 -1 600 1 -1 -1 1 600 -1 1 ", i % 2 + 1, " 1\n");
  write("flood.swf", log);
  write("shares", "user 1 2\nuser 2 1\n");
  (void)says({"--trace", "flood.swf", "--fair-share", "shares", "--csv", "jobs.csv"});
  const std::string csv = read("jobs.csv");
  int first_user = 0;
  for (const std::string_view line : split(csv, '\n')) {
    const auto cells = split(line, ',');
    if (cells.size() < 8 || cells[1] != "1") continue;
    first_user += *parse_integer<int>(cells[6]) < 30 * 600 ? 1 : 0;
  }
  EXPECT_NEAR(first_user, 20, 1);
}

TEST_F(Jsim, WorkflowsAreReplayedInBothOrders) {
  const std::string out =
      says({"--workflow",  "chain.json", "--workflow",  "ann=two.xml",   "--nodes",
            "2",           "--cores",    "1",           "--apart",       "1000s",
            "--dag-order", "plain",      "--dag-order", "critical-path", "--csv",
            "tasks.csv",   "--gantt",    "gantt.svg",   "--left-out",    "odd.csv",
            "--users"});
  EXPECT_THAT(out, HasSubstr("2 workflows of 8 tasks on 2 nodes with 1 core\n"));
  EXPECT_THAT(out, HasSubstr("left out: 1 time, an edge of a task that is not there: chain.json: "
                             "edge nobody -> f\n"));
  EXPECT_THAT(out, HasSubstr("mended: 1 time, no run time; it is taken to end at once: chain.json: "
                             "task f\n"));
  EXPECT_EQ(row(out, "chain.json "), "u1 6 0.01 30.0 40.0 30.0");
  EXPECT_EQ(row(out, "two.xml "), "ann 2 0.00 10.0 10.0 10.0");
  EXPECT_THAT(read("tasks.csv"),
              HasSubstr("job,workflow,task,user,processors,submit,run,estimate,eligible_easy/plain,"
                        "start_easy/plain,"));
  EXPECT_THAT(read("tasks.csv"), HasSubstr("\n8,two.xml,p_y,ann,1,1000,5,5,1005,1005,0,1.0000,"));
  EXPECT_THAT(read("odd.csv"), HasSubstr("where,reason\n"));
  expect_well_formed(read("gantt.svg"));
  EXPECT_THAT(read("gantt.svg"), HasSubstr("(c&lt;&amp;&gt;), user u1"));
}

TEST_F(Jsim, SetsOfWorkflowsCanBeShaken) {
  const std::string out =
      says({"--workflow", "chain.json", "--workflow", "two.xml", "--shake", "3"});
  EXPECT_THAT(out, HasSubstr("over 3 shaken sets"));
  EXPECT_THAT(out, HasSubstr("least and most of the makespan\n"));
}

TEST_F(Jsim, TheBarIsForTerminalsOnly) {
  const auto on_terminal = [&](const std::string& options) {
    return e2e::run({"script", "-qec", cat(program(), " --trace log.swf ", options), "/dev/null"},
                    {.env = {{"PATH", "/usr/bin:/bin"}}, .directory = directory_.string()})
        .out;
  };
  EXPECT_THAT(on_terminal(""), HasSubstr("easy                 ["));
  EXPECT_THAT(on_terminal("--quiet"), Not(HasSubstr("[")));
  EXPECT_EQ(jsim({"--trace", "log.swf", "--quiet"}).err, "");
}

TEST_F(Jsim, HelpAndVersionAreThere) {
  EXPECT_EQ(says({"--help"}), help_text());
  EXPECT_EQ(says({"-h"}), help_text());
  EXPECT_THAT(says({"--version"}), HasSubstr("jsim "));
  EXPECT_EQ(says({"-V"}), says({"--version"}));
}

TEST_F(Jsim, WhatIsAskedWronglyIsAUsageErrorThatSaysWhat) {
  expect_misused({}, "which log, or which workflow? --trace FILE or --workflow FILE");
  expect_misused({"log.swf"}, "unexpected log.swf");
  expect_misused({"--trace"}, "--trace needs a value");
  expect_misused({"--trace", "log.swf", "--polcy", "easy"},
                 "unknown option --polcy; did you mean --policy?");
  expect_misused({"--trace", "log.swf", "-x"}, "unknown option -x");
  expect_misused({"--trace", "log.swf", "--shak", "1"}, "--shak may be --shake, --shake-by");
  expect_misused({"--trace", "log.swf", "--users=3"}, "--users takes no value");
  expect_misused({"--trace", "log.swf", "--workflow", "chain.json"},
                 "--trace and --workflow do not go together");
  expect_misused({"--trace", "log.swf", "--nodes", "2"}, "--nodes goes with --workflow alone");
  expect_misused({"--trace", "log.swf", "--dag-order", "plain"},
                 "--dag-order goes with --workflow alone");
  expect_misused({"--workflow", "chain.json", "--processors", "2"},
                 "--processors goes with --trace alone");
  expect_misused({"--workflow", "chain.json", "--fair-share", "groups"},
                 "--fair-share groups goes with --trace alone");
  expect_misused({"--trace", "log.swf", "--half-life", "1"},
                 "--half-life goes with --fair-share alone");
  expect_misused({"--trace", "log.swf", "--fair-share", ""},
                 "--fair-share: users, groups or a file");
  expect_misused({"--workflow", "ann="}, "--workflow ann=: no file");
  expect_misused({"--trace", "log.swf", "--order", "both"}, "--order both: batch or evt");
  expect_misused({"--trace", "log.swf", "--estimates", "good"},
                 "--estimates good: requested or perfect");
  expect_misused({"--trace", "log.swf", "--processors", "0"}, "--processors 0: 1 to 10000000");
  expect_misused({"--workflow", "chain.json", "--nodes", "99999", "--cores", "99999"},
                 "--nodes 99999 --cores 99999: at most 10000000 cores in all");
  expect_misused({"--workflow", "chain.json", "--cores", "many"}, "--cores many: 1 to 10000000");
  expect_misused({"--workflow", "chain.json", "--apart", "soon"}, "--apart soon: no time");
  expect_misused({"--workflow", "chain.json", "--dag-order", "best"},
                 "--dag-order best: critical-path or plain");
  expect_misused({"--trace", "log.swf", "--shake", "0"}, "--shake 0: 1 to 10000");
  expect_misused({"--trace", "log.swf", "--shake-by", "0"}, "--shake-by 0: at least 0:01");
  expect_misused({"--trace", "log.swf", "--seed", "x"}, "--seed x: a number");
  expect_misused({"--trace", "log.swf", "--starvation-bound", "x"},
                 "--starvation-bound x: no time");
  EXPECT_EQ(jsim({"--trace", "log.swf", "--policy", "best"}).exit_code, 64);
}

TEST_F(Jsim, FilesThatAreNotThereOrNotThatAreToldApart) {
  expect_refused({"--trace", "none.swf"}, 66, "open none.swf: No such file or directory");
  expect_refused({"--workflow", "none.json"}, 66, "open none.json: No such file or directory");
  write("empty.swf", "; nothing\n");
  expect_refused({"--trace", "empty.swf"}, 65, "empty.swf: no line is a job");
  expect_refused({"--trace", "chain.json"}, 65,
                 "chain.json: none of 4 lines is a job: line 1: not numbers");
  expect_refused({"--workflow", "log.swf"}, 65, "log.swf: neither JSON (WfFormat) nor XML (DAX)");
  write("circle.xml", "<adag><job id='a'/><child ref='a'><parent ref='a'/></child></adag>");
  expect_refused({"--workflow", "circle.xml"}, 65, "circle.xml: these wait for each other: a -> a");
  write("shares", "account a 1\nuser 9 1 b\n");
  expect_refused({"--trace", "log.swf", "--fair-share", "shares"}, 65,
                 "shares: line 2: account b does not stand above");
  write("shares", "user 9 1\n");
  expect_refused({"--trace", "log.swf", "--fair-share", "shares"}, 65,
                 "shares: user 9 has no job in the trace");
  expect_refused({"--trace", "log.swf", "--csv", "nowhere/jobs.csv"}, 73,
                 "write nowhere/jobs.csv: No such file or directory");
  if (::geteuid() != 0) {
    fs::permissions(path("log.swf"), fs::perms::none);
    EXPECT_EQ(jsim({"--trace", "log.swf"}).exit_code, 77);
  }
}

// The last test of the file: what --help names was used above.
TEST_F(Jsim, EveryOptionOfTheHelpIsTried) {
  if (!given().contains("--trace")) GTEST_SKIP() << "the others did not run in this process";
  const std::string help(help_text());
  static const std::regex kOption(R"(--[a-z][a-z-]*)");
  for (std::sregex_iterator at(help.begin(), help.end(), kOption), end; at != end; ++at) {
    EXPECT_TRUE(given().contains(at->str())) << at->str();
  }
}

}  // namespace
}  // namespace gangway::jsim
