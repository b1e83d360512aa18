#include "submit/job_values.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <ctime>

namespace gangway::submit {
namespace {

TEST(JobValues, CountsHaveBounds) {
  EXPECT_EQ(parse_count("08", 1, 100), 8);
  EXPECT_EQ(parse_count("2k", 1, 5000), 2048);
  EXPECT_EQ(parse_count("0", 1, 100), std::nullopt);
  EXPECT_EQ(parse_count("101", 1, 100), std::nullopt);
  EXPECT_EQ(parse_count("9000000000000000000k", 1, 1'000'000), std::nullopt);
  EXPECT_EQ(parse_count("-9000000000000000000k", 1, 1'000'000), std::nullopt);
  EXPECT_EQ(parse_count("four", 1, 100), std::nullopt);
  EXPECT_EQ(parse_count("", 1, 100), std::nullopt);
}

TEST(JobValues, NamedResourcesHaveTypeAndCount) {
  using Amounts = std::vector<std::pair<std::string, std::int64_t>>;
  EXPECT_EQ(*parse_named("gpu"), (Amounts{{"gpu", 1}}));
  EXPECT_EQ(*parse_named("gpu:2,nic:1"), (Amounts{{"gpu", 2}, {"nic", 1}}));
  EXPECT_EQ(*parse_named("gpu:a100:4"), (Amounts{{"gpu:a100", 4}}));
  EXPECT_EQ(*parse_named("gpu:a100"), (Amounts{{"gpu:a100", 1}}));
  EXPECT_TRUE(parse_named("gpu:0")->empty());
  EXPECT_TRUE(parse_named("none")->empty());
  EXPECT_FALSE(parse_named("gpu:a:b"));
  EXPECT_FALSE(parse_named(":2"));
}

TEST(JobValues, DependenciesAreSlurms) {
  const auto found = parse_dependencies("afterok:12:13,afterany:14,after:15+5,singleton");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->all, (std::vector<Dependency>{{DependencyKind::AfterOk, {12}, {}},
                                                 {DependencyKind::AfterOk, {13}, {}},
                                                 {DependencyKind::AfterAny, {14}, {}},
                                                 {DependencyKind::After, {15}, minutes(5)},
                                                 {DependencyKind::Singleton, {}, {}}}));
}

TEST(JobValues, BadDependenciesSayWhatWouldBeRight) {
  EXPECT_EQ(parse_dependencies("afterokk:1").error().message(),
            "\"afterokk\" is not a kind of dependency; did you mean afterok?");
  EXPECT_EQ(parse_dependencies("afterok").error().message(),
            "\"afterok\" names no job; write afterok:42");
  EXPECT_EQ(parse_dependencies("afterok:x").error().message(),
            "\"x\" is not a job id; they are numbers such as 42");
  EXPECT_EQ(parse_dependencies("afterok:1?afterok:2,afterok:3").error().message(),
            "\",\" (all must hold) and \"?\" (one is enough) exclude each other");
  EXPECT_TRUE(parse_dependencies("afterok:1?afterok:2_7")->any);
  EXPECT_EQ(parse_dependencies("aftercorr:1")->all[0].kind, DependencyKind::AfterCorr);
}

TEST(JobValues, SingletonTakesNoJob) {
  EXPECT_EQ(parse_dependencies("singleton:3").error().message(),
            "\"singleton:3\": singleton takes no job; it waits for all of the same name and user");
}

TEST(JobValues, CountsHaveSlurmsUnits) {
  EXPECT_EQ(parse_named("lscratch:10G")->at(0).second, std::int64_t{10} << 30);
  EXPECT_EQ(parse_named("a:2k,b:3m,c:1T")->at(2).second, std::int64_t{1} << 40);
  EXPECT_EQ(parse_count("1P", 0, std::int64_t{1} << 60), std::int64_t{1} << 50);
  EXPECT_EQ(parse_count("9000000P", 0, std::int64_t{1} << 60), std::nullopt);
}

TEST(JobValues, ALimitMeansTheSameForEveryProgram) {
  for (const char* const none : {"0", "UNLIMITED", "infinite"}) {
    EXPECT_EQ(parse_job_limit(none), Duration{}) << none;
  }
  EXPECT_EQ(parse_job_limit("1:30:00"), minutes(90));
  EXPECT_EQ(parse_job_limit("soon"), std::nullopt);
}

class BeginTime : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC0", 1);
    ::tzset();
  }
  // 2026-11-23T20:41:07Z
  const Time now_{1'795'466'467'000'000'000};
};

TEST_F(BeginTime, ADayThatDoesNotExistIsRefused) {
  EXPECT_FALSE(parse_begin("2027-02-29", Time{}));
  EXPECT_FALSE(parse_begin("2027-02-31", Time{}));
  EXPECT_FALSE(parse_begin("2027-04-31T10:00", Time{}));
  EXPECT_TRUE(parse_begin("2028-02-29", Time{}));
}
TEST_F(BeginTime, IsRelativeToNow) {
  EXPECT_EQ(parse_begin("now", now_), now_);
  EXPECT_EQ(parse_begin("now+90", now_), now_ + seconds(90));
  EXPECT_EQ(parse_begin("now+2hours", now_), now_ + hours(2));
  EXPECT_EQ(parse_begin("now+1day", now_), now_ + hours(24));
  EXPECT_EQ(parse_begin("now+2fortnights", now_), std::nullopt);
  EXPECT_EQ(parse_begin("now-1", now_), std::nullopt);
}

TEST_F(BeginTime, TimeOfDayIsTheNextOne) {
  const Time midnight{1'795'478'400'000'000'000};  // 2026-11-24T00:00:00Z
  EXPECT_EQ(parse_begin("midnight", now_), midnight);
  EXPECT_EQ(parse_begin("tomorrow", now_), midnight);
  EXPECT_EQ(parse_begin("16:30", now_), midnight + minutes(16 * 60 + 30));
  EXPECT_EQ(parse_begin("20:41:08", now_), now_ + seconds(1));
}

TEST_F(BeginTime, DateMayHaveATime) {
  const Time midnight{1'795'478'400'000'000'000};
  EXPECT_EQ(parse_begin("2026-11-24", now_), midnight);
  EXPECT_EQ(parse_begin("2026-11-24T10:00:30", now_), midnight + seconds(36030));
  EXPECT_EQ(parse_begin("2026-13-24", now_), std::nullopt);
  EXPECT_EQ(parse_begin("${BEGIN}", now_), std::nullopt);
}

TEST(JobValues, BindsHaveSourceDestinationAndMode) {
  const auto binds = parse_binds("/data,in:/input:ro");
  ASSERT_TRUE(binds);
  EXPECT_EQ(*binds, (std::vector<BindSpec>{{"/data", "/data", false}, {"in", "/input", true}}));
  EXPECT_FALSE(parse_binds("/a:b"));
  EXPECT_FALSE(parse_binds("/a:/b:rx"));
}

TEST(JobValues, SignalsHaveNamesAndNumbers) {
  EXPECT_EQ(parse_signal("USR1"), SIGUSR1);
  EXPECT_EQ(parse_signal("sigterm"), SIGTERM);
  EXPECT_EQ(parse_signal("9"), 9);
  EXPECT_EQ(parse_signal("65"), std::nullopt);
  EXPECT_TRUE(is_signal_request("B:USR1@120"));
  EXPECT_TRUE(is_signal_request("SIGUSR1@90"));
  EXPECT_TRUE(is_signal_request("2@60"));
  EXPECT_FALSE(is_signal_request("X:USR1"));
  EXPECT_FALSE(is_signal_request("USR1@soon"));
}

TEST(JobValues, WindowIsInSecondsIfItHasNoUnit) {
  EXPECT_EQ(parse_window("60"), seconds(60));
  EXPECT_EQ(parse_window("0"), Duration{});
  EXPECT_EQ(parse_window("2m"), minutes(2));
  EXPECT_EQ(parse_window(""), std::nullopt);
}

}  // namespace
}  // namespace gangway::submit
