#include "queues/base/time.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace gangway {
namespace {

TEST(TimeLimit, IsReadInSlurmsNotation) {
  EXPECT_EQ(parse_time_limit("90"), minutes(90));
  EXPECT_EQ(parse_time_limit("0"), Duration{});
  EXPECT_EQ(parse_time_limit("5:30"), seconds(330));
  EXPECT_EQ(parse_time_limit("01:02:03"), seconds(3723));
  EXPECT_EQ(parse_time_limit("90:00"), minutes(90));
  EXPECT_EQ(parse_time_limit("2-12"), hours(60));
  EXPECT_EQ(parse_time_limit("2-12:30"), hours(60) + minutes(30));
  EXPECT_EQ(parse_time_limit("1-00:00:01"), hours(24) + seconds(1));
}

TEST(TimeLimit, IsReadWithUnits) {
  EXPECT_EQ(parse_time_limit("1h30m"), minutes(90));
  EXPECT_EQ(parse_time_limit("45s"), seconds(45));
  EXPECT_EQ(parse_time_limit("2d"), hours(48));
  EXPECT_EQ(parse_time_limit("500ms"), milliseconds(500));
  EXPECT_EQ(parse_time_limit("1s500ms"), milliseconds(1500));
}

TEST(TimeLimit, IsNotReadFromAnythingElse) {
  for (const auto* text : {"",
                           " ",
                           "abc",
                           "-1",
                           "-5:00",
                           "1:",
                           ":30",
                           "1:2:3:4",
                           "1--2",
                           "1-",
                           "1-2:3:4:5",
                           "1.5h",
                           "h",
                           "30m1h",
                           "1h1h",
                           "5x",
                           "1h30",
                           "1h-30m",
                           "+5",
                           "1 h",
                           "1-2h",
                           "1e3",
                           "infinite",
                           "9223372036854775807",
                           "99999999999999999999",
                           "106752-00",
                           "9223372036854775807d"}) {
    EXPECT_FALSE(parse_time_limit(text)) << text;
  }
}

TEST(TimeLimit, PrintedIsReadBackToTheSecond) {
  for (const std::int64_t s : {0, 1, 59, 60, 3599, 3600, 86399, 86400, 1'000'000}) {
    EXPECT_EQ(parse_time_limit(render_duration(seconds(s))), seconds(s)) << s;
  }
}

TEST(RenderDuration, HasAtLeastMinutesAndSeconds) {
  EXPECT_EQ(render_duration(Duration{}), "0:00");
  EXPECT_EQ(render_duration(seconds(184)), "3:04");
  EXPECT_EQ(render_duration(seconds(7384)), "02:03:04");
  EXPECT_EQ(render_duration(seconds(93784)), "1-02:03:04");
  EXPECT_EQ(render_duration(seconds(-5)), "-0:05");
}

TEST(RenderLocalTime, IsTheZonesAndNamesTheEnds) {
  ASSERT_EQ(setenv("TZ", "UTC-1", 1), 0);  // POSIX: one hour east
  tzset();
  EXPECT_EQ(render_local_time(Time{} + seconds(1)), "1970-01-01T01:00:01");
  EXPECT_EQ(render_local_time(Time{}), "-");
  EXPECT_EQ(render_local_time(Time::infinity()), "never");
}

TEST(Time, InfinityStaysWhateverIsAdded) {
  EXPECT_EQ(Time::infinity() + hours(1), Time::infinity());
  EXPECT_GT(Time::infinity(), Time{} + hours(1'000'000));
}

TEST(SystemClock, DoesNotGoBack) {
  const SystemClock clock;
  const Now first = clock.now();
  const Now second = clock.now();
  EXPECT_GE(second.boot, first.boot);
  EXPECT_GT(first.wall, Time{} + hours(438'000));
}

}  // namespace
}  // namespace gangway
