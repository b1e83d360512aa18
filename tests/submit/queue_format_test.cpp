#include "submit/queue_format.hpp"

#include <gtest/gtest.h>

namespace gangway::submit {
namespace {

std::vector<JobRow> rows() {
  JobRow running;
  running.key = {.job = {42}};
  running.name = "simulation";
  running.letters = "R";
  running.state = "RUNNING";
  running.reason = "None";
  running.node_list = "n[01-04]";
  running.nodes = 4;
  JobRow waiting;
  waiting.key = {.job = {43}, .index = 7};
  waiting.name = "b";
  waiting.letters = "PD";
  waiting.state = "PENDING";
  waiting.reason = "Resources";
  waiting.nodes = 1;
  return {running, waiting};
}

std::string render(std::string_view format, bool header = false) {
  const auto parsed = parse_queue_format(format);
  EXPECT_TRUE(parsed) << format;
  return parsed ? render_rows(*parsed, rows(), header) : "";
}

// What workflow engines ask squeue for.
TEST(QueueFormat, PlainLettersGiveOneWordEach) {
  EXPECT_EQ(render("%i %t"), "42 R\n43_7 PD\n");
  EXPECT_EQ(render("%i|%T|%R"), "42|RUNNING|n[01-04]\n43_7|PENDING|(Resources)\n");
}

TEST(QueueFormat, WidthPadsAndCuts) {
  EXPECT_EQ(render("%.6i %.4j|%3D|"), "    42 simu|4  |\n  43_7    b|1  |\n");
}

TEST(QueueFormat, NoNameOfAJobWritesAControlCharacter) {
  const auto format = parse_queue_format("%j %i");
  ASSERT_TRUE(format);
  JobRow row = rows().front();
  row.name = "x\033]0;pwn\a\n41 R";
  EXPECT_EQ(render_rows(*format, {row}, false), "x?]0;pwn??41 R 42\n");
}

TEST(QueueFormat, HeaderNamesTheColumns) {
  EXPECT_EQ(render("%i %j", true), "JOBID NAME\n42 simulation\n43_7 b\n");
}

TEST(QueueFormat, UnknownLetterIsAnError) {
  const auto parsed = parse_queue_format("%i %!");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message().substr(0, 14), "there is no %!");
}

TEST(QueueFormat, PercentStandsForItself) { EXPECT_EQ(render("%%%i"), "%42\n%43_7\n"); }

}  // namespace
}  // namespace gangway::submit
