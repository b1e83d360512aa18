#include "scheduler/jsim/shares.hpp"

#include <gtest/gtest.h>

#include "queues/base/text.hpp"
#include "scheduler/jsim/figures.hpp"
#include "scheduler/jsim/replay.hpp"

namespace gangway::jsim {
namespace {

std::string why_not(std::string_view text) {
  const Result<ShareRules> rules = parse_shares(text);
  EXPECT_FALSE(rules);
  return rules ? "" : rules.error().message();
}

// `count` jobs of a minute on one processor of each of the users, all there at once.
Trace flood(const std::vector<std::int64_t>& users, int count) {
  Trace trace;
  trace.processors = 4;
  for (int i = 0; i < count; ++i) {
    for (const std::int64_t user : users) {
      TraceJob job;
      job.number = static_cast<std::int64_t>(trace.jobs.size());
      job.run = job.estimate = minutes(1);
      job.user = user;
      job.group = user % 10;
      trace.jobs.push_back(job);
    }
  }
  return trace;
}

Schedule run(const Trace& trace, const Shares* shares) {
  ReplayOptions options;
  options.shares = shares;
  return replay(trace, options);
}

// How many minutes of processors a user has had when the machine has given out `all`.
int had_of_first(const Trace& trace, const Schedule& schedule, std::int64_t user, int all) {
  const Time until{minutes(all / trace.processors).ns};
  int had = 0;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    had += trace.jobs[i].user == user && schedule.runs[i].start < until ? 1 : 0;
  }
  return had;
}

TEST(Shares, AFileNamesAccountsUsersAndGroups) {
  const Result<ShareRules> rules = parse_shares(
      "# who pays\r\n"
      "account physics 3\n"
      "\n"
      "account theory 2 physics   # below it\n"
      "user 17 5 theory\n"
      "user ann 1\n"
      "group 4 physics\n");
  ASSERT_TRUE(rules) << rules.error().message();
  ASSERT_EQ(rules->entries.size(), 4U);
  EXPECT_EQ(rules->entries[1].parent.value, "physics");
  EXPECT_EQ(rules->entries[1].shares, 2);
  EXPECT_EQ(rules->users.at("17").account.value, "theory");
  EXPECT_EQ(rules->users.at("ann").account.value, "root");
  EXPECT_EQ(rules->groups.at(4).value, "physics");
}

TEST(Shares, ABadLineIsNamed) {
  EXPECT_EQ(why_not("\nacount a 1"), "line 2: acount: account, user or group");
  EXPECT_EQ(why_not("account a"), "line 1: account NAME SHARES [PARENT]");
  EXPECT_EQ(why_not("account a -1"), "line 1: -1: shares are a number from 0 to 1000000000");
  EXPECT_EQ(why_not("account a 1 b\naccount b 1"), "line 1: account b does not stand above");
  EXPECT_EQ(why_not("account a 1\naccount a 1"), "line 2: account a twice");
  EXPECT_EQ(why_not("user 1 1\nuser 1 2"), "line 2: user 1 twice");
  EXPECT_EQ(why_not("group x root"), "line 1: x: groups are numbers");
  EXPECT_EQ(why_not("group 1 1 root"), "line 1: group NUMBER ACCOUNT");
}

TEST(Shares, AUserWithoutJobsIsAMistake) {
  const Result<Shares> shares = shares_of(*parse_shares("user 9 1"), flood({1}, 1));
  ASSERT_FALSE(shares);
  EXPECT_EQ(shares.error().message(), "user 9 has no job in the trace");
}

TEST(Shares, WhoIsNotNamedStandsInTheGroupsAccountOrBelowTheRoot) {
  const Trace trace = flood({17, 24, 5}, 1);
  const Result<Shares> shares =
      shares_of(*parse_shares("account physics 3\nuser 17 5\ngroup 4 physics"), trace);
  ASSERT_TRUE(shares);
  std::vector<std::string> payers;
  for (const auto number : shares->payer) payers.push_back(to_string(shares->entries[number].key));
  EXPECT_EQ(payers, (std::vector<std::string>{"root/17", "physics/24", "root/5"}));
  EXPECT_EQ(shares->entries[shares->payer[0]].shares, 5);
}

TEST(Shares, EachGroupCanBeAnAccount) {
  ShareRules rules;
  rules.account_per_group = true;
  Trace trace = flood({17, 24}, 1);
  trace.jobs[1].group = -1;
  const Result<Shares> shares = shares_of(rules, trace);
  ASSERT_TRUE(shares);
  EXPECT_EQ(to_string(shares->entries[shares->payer[0]].key), "g7/17");
  EXPECT_EQ(to_string(shares->entries[shares->payer[1]].key), "unknown/24");
}

TEST(Shares, WithoutThemTheOrderOfSubmissionCounts) {
  const Trace trace = flood({1, 2}, 600);
  EXPECT_EQ(had_of_first(trace, run(trace, nullptr), 1, 400), 200);
}

TEST(Shares, ThreeToOneIsThreeToOne) {
  const Trace trace = flood({1, 2}, 600);
  const Result<Shares> shares = shares_of(*parse_shares("user 1 3\nuser 2 1"), trace);
  ASSERT_TRUE(shares);
  EXPECT_NEAR(had_of_first(trace, run(trace, &*shares), 1, 400), 300, 15);
}

TEST(Shares, AnAccountIsServedAsAWhole) {
  const Trace trace = flood({1, 2, 3}, 600);
  const Result<Shares> shares = shares_of(
      *parse_shares("account a 1\naccount b 1\nuser 1 1 a\nuser 2 1 b\nuser 3 1 b"), trace);
  ASSERT_TRUE(shares);
  EXPECT_NEAR(had_of_first(trace, run(trace, &*shares), 1, 400), 200, 20);
}

}  // namespace
}  // namespace gangway::jsim
