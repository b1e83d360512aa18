#include "scheduler/jsim/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/jsim/chart.hpp"
#include "scheduler/jsim/plot.hpp"
#include "scheduler/jsim/shake.hpp"

namespace gangway::jsim {
namespace {

using ::testing::HasSubstr;

TraceJob job(std::int64_t number, int submit, int run, int estimate, int processors, int user) {
  return {.number = number,
          .submit = Time{seconds(submit).ns},
          .run = seconds(run),
          .estimate = seconds(estimate),
          .processors = processors,
          .user = user};
}

// Four processors. Job 2 waits for job 1; job 3 may pass it under EASY, not under FCFS.
//
//   3 |    33
//   0 |1111111111|2222
//     0         100
Trace little() {
  Trace trace;
  trace.processors = 4;
  trace.rows = 4;
  trace.jobs = {job(1, 0, 100, 100, 3, 1), job(2, 10, 100, 100, 4, 1), job(3, 20, 20, 50, 1, 2)};
  trace.oddities = {{7, "", "no run time"}};
  return trace;
}

PolicyRun run(const Trace& trace, const char* name, bool with_places = false) {
  PolicyRun out;
  out.name = name;
  ReplayOptions options;
  options.policy = *parse_backfill_policy(name);
  options.with_places = with_places;
  out.schedule = replay(trace, options);
  out.figures = figures_of(trace, out.schedule);
  return out;
}

TEST(Figures, AreThoseOfTheDefinitions) {
  const PolicyRun easy = run(little(), "easy");
  // Waits 0, 90, 0; slowdowns 1, 1.9, 1.
  EXPECT_DOUBLE_EQ(easy.figures.mean_wait_s, 30);
  EXPECT_DOUBLE_EQ(easy.figures.median_wait_s, 0);
  EXPECT_DOUBLE_EQ(easy.figures.longest_wait_s, 90);
  EXPECT_DOUBLE_EQ(easy.figures.mean_slowdown, 1.3);
  EXPECT_DOUBLE_EQ(easy.figures.median_slowdown, 1);
  EXPECT_DOUBLE_EQ(easy.figures.makespan_s, 200);
  EXPECT_DOUBLE_EQ(easy.figures.utilisation, (300 + 400 + 20) / 800.0);
  ASSERT_EQ(easy.figures.users.size(), 2u);
  EXPECT_DOUBLE_EQ(easy.figures.users[0].mean_slowdown, 1.45);
  EXPECT_DOUBLE_EQ(easy.figures.users[1].mean_slowdown, 1);
}

TEST(Figures, ShortJobsCountAsTenSeconds) {
  EXPECT_DOUBLE_EQ(bounded_slowdown(seconds(9), seconds(1)), 1);
  EXPECT_DOUBLE_EQ(bounded_slowdown(seconds(19), seconds(1)), 2);
  EXPECT_DOUBLE_EQ(bounded_slowdown(seconds(20), seconds(20)), 2);
}

TEST(Figures, TheMedianOfAnEvenNumberIsBetweenTheTwoInTheMiddle) {
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_DOUBLE_EQ(median({}), 0);
}

TEST(Report, LinesLeftOutAreCountedAndNamed) {
  EXPECT_EQ(render_trace(little()),
            "3 jobs of 4 lines on 4 processors\nleft out: 1 line, no run time: line 7\n");
  EXPECT_EQ(render_oddities(little()), "line,reason\n7,no run time\n");
}

TEST(Report, PoliciesStandSideBySide) {
  const Trace trace = little();
  const std::string text = render_figures({run(trace, "fcfs"), run(trace, "easy")});
  EXPECT_THAT(text, HasSubstr("bounded slowdown, mean"));
  EXPECT_THAT(text, HasSubstr("1.3000"));
}

TEST(Report, SaysWhoGainsAndWhoLoses) {
  const Trace trace = little();
  const std::string text = render_change(trace, run(trace, "fcfs"), run(trace, "easy"));
  EXPECT_THAT(text, HasSubstr("easy instead of fcfs: 1 job starts earlier, 0 later; 1 user gains, "
                              "0 lose\n"));
}

TEST(Report, TheCsvHasALineForEachJob) {
  const Trace trace = little();
  EXPECT_EQ(render_csv(trace, {run(trace, "easy")}),
            "job,user,processors,submit,run,estimate,start,wait,slowdown\n"
            "1,1,3,0,100,100,0,0,1.0000\n"
            "2,1,4,10,100,100,100,90,1.9000\n"
            "3,2,1,20,20,50,20,0,1.0000\n");
  EXPECT_THAT(render_csv(trace, {run(trace, "easy"), run(trace, "fcfs")}),
              HasSubstr(",start_easy,wait_easy,slowdown_easy,start_fcfs,"));
}

TEST(Chart, HasARectangleForEachRunOfProcessors) {
  const Trace trace = little();
  const PolicyRun easy = run(trace, "easy", true);
  ASSERT_EQ(easy.schedule.runs[1].places.size(), 4u);
  const std::string gantt = render_gantt(trace, easy.schedule);
  EXPECT_THAT(gantt, HasSubstr("<title>job 2, user 1, 4 processors, waited 90 s</title>"));
  EXPECT_TRUE(gantt.ends_with("</svg>\n"));
  EXPECT_THAT(render_utilisation(trace, easy.schedule), HasSubstr("<path fill="));
}

TEST(Plot, HasAPointForEachMeasurementAndARuleForEachPowerOfTen) {
  const std::string plot =
      render_plot({.title = "a < b", .across = "jobs", .up = "ms"},
                  {{"one", {{1'000, 0.5}, {10'000, 5}}}, {"other", {{1'000, 20}}}});
  EXPECT_THAT(plot, HasSubstr("a &lt; b"));
  EXPECT_THAT(plot, HasSubstr(">one</text>"));
  // From 0.1 to 100 are three powers of ten; half of one is 0.7 of its width.
  EXPECT_THAT(plot, HasSubstr("points=\"70.0,392.1 790.0,252.1 \""));
  EXPECT_THAT(plot, HasSubstr("<circle cx=\"70.0\" cy=\"167.9\""));
  std::size_t rules = 0;
  for (std::size_t at = 0; (at = plot.find("<line", at)) != std::string::npos; ++at) ++rules;
  EXPECT_EQ(rules, 2u + 4u);
  EXPECT_TRUE(plot.ends_with("</svg>\n"));
}

TEST(Shake, MovesSubmissionsByALittleAndEquallyForEqualSeeds) {
  const Trace trace = little();
  Rng one(5);
  Rng other(5);
  const Trace shaken = shake(trace, seconds(30), one);
  EXPECT_EQ(shaken.jobs, shake(trace, seconds(30), other).jobs);
  for (const TraceJob& moved : shaken.jobs) {
    const TraceJob& before = trace.jobs[static_cast<std::size_t>(moved.number - 1)];
    EXPECT_GE(moved.submit, Time{});
    EXPECT_LE(moved.submit, before.submit + seconds(30));
    EXPECT_EQ(moved.run, before.run);
  }
}

}  // namespace
}  // namespace gangway::jsim
