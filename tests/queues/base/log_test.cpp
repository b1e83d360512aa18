#include "queues/base/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gangway {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

std::string logged(LogLevel level, std::string_view event, std::string value) {
  testing::internal::CaptureStderr();
  log(level, event, {{"key", std::move(value)}});
  return testing::internal::GetCapturedStderr();
}

class Log : public testing::Test {
 protected:
  void SetUp() override { set_log("jtest", LogLevel::Info); }
};

TEST_F(Log, LineHasTimeLevelProgramEventAndFields) {
  EXPECT_THAT(logged(LogLevel::Info, "job_start", "42"),
              MatchesRegex("t=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
                           "level=info program=jtest event=job_start key=42\n"));
}

TEST_F(Log, LineBelowTheLevelIsDropped) {
  EXPECT_EQ(logged(LogLevel::Debug, "noise", ""), "");
  EXPECT_NE(logged(LogLevel::Error, "trouble", ""), "");
}

TEST_F(Log, ValueWithBlanksOrQuotesIsQuoted) {
  EXPECT_THAT(logged(LogLevel::Info, "e", "a b"), HasSubstr(" key=\"a b\"\n"));
  EXPECT_THAT(logged(LogLevel::Info, "e", "say \"x\""), HasSubstr(R"( key="say \"x\"")"));
  EXPECT_THAT(logged(LogLevel::Info, "e", ""), HasSubstr(" key=\"\"\n"));
}

TEST_F(Log, ValueCannotForgeALine) {
  const std::string line = logged(LogLevel::Info, "e", "x\nt=0 level=error\x1b[2J");
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_THAT(line, HasSubstr(R"(key="x\nt=0 level=error\x1b[2J")"));
}

}  // namespace
}  // namespace gangway
