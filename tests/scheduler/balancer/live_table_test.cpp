// From what HAProxy has to what it should have.
#include "scheduler/balancer/live_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gangway::balancer {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Table table(std::map<std::string, PoolServer> servers) {
  Table made;
  made.listeners[{"0.0.0.0", 80}].pool = "p";
  made.pools["p"].servers = std::move(servers);
  return made;
}
const PoolServer kA{"10.0.0.2", 1, false};
const PoolServer kB{"10.0.0.3", 1, false};
const PoolServer kBDrained{"10.0.0.3", 1, true};

TEST(LiveTable, ServersComeBeforeOthersGo) {
  const LiveTable live(table({{"a", kA}}));
  const Change change = live.plan(table({{"b", kB}}));
  EXPECT_FALSE(change.reload);
  EXPECT_THAT(
      change.commands,
      ElementsAre("add server p/b 10.0.0.3:1 check inter 2s fall 2 rise 1", "enable health p/b",
                  "set weight p/b 1", "set server p/b state ready", "set server p/a state maint"));
}

TEST(LiveTable, AServerIsDrainedThenOutThenDeleted) {
  LiveTable live(table({{"a", kA}, {"b", kB}}));
  const Table draining = table({{"a", kA}, {"b", kBDrained}});
  EXPECT_THAT(live.plan(draining).commands, ElementsAre("set server p/b state drain"));
  live.obeyed(draining);
  EXPECT_THAT(live.plan(draining).commands, IsEmpty());
  const Table without = table({{"a", kA}});
  EXPECT_THAT(live.plan(without).commands, ElementsAre("set server p/b state maint"));
  live.obeyed(without);
  EXPECT_THAT(live.leaving(), ElementsAre("p/b"));
  live.deleted("p/b");
  EXPECT_THAT(live.leaving(), IsEmpty());
}

TEST(LiveTable, OneThatComesBackBeforeItWasDeletedIsNotAddedAgain) {
  LiveTable live(table({{"a", kA}, {"b", kB}}));
  live.obeyed(table({{"a", kA}}));
  const Table back = table({{"a", kA}, {"b", kB}});
  EXPECT_THAT(live.plan(back).commands,
              ElementsAre("set weight p/b 1", "set server p/b state ready"));
  live.obeyed(back);
  EXPECT_THAT(live.leaving(), IsEmpty());
}

TEST(LiveTable, OtherListenersAndPoolsNeedTheFile) {
  const LiveTable live(table({{"a", kA}}));
  Table other = table({{"a", kA}});
  other.listeners[{"0.0.0.0", 81}].pool = "p";
  EXPECT_TRUE(live.plan(other).reload);
  other = table({{"a", kA}});
  other.pools["q"];
  EXPECT_TRUE(live.plan(other).reload);
  other = table({{"a", kA}});
  other.pools["p"].http = true;
  EXPECT_TRUE(live.plan(other).reload);
}

TEST(LiveTable, AnswersOfSuccessAreNothingOrOneSentence) {
  EXPECT_TRUE(is_success("add server p/a 1:1", "New server registered.\n\n"));
  EXPECT_FALSE(is_success("add server p/a 1:1", "Already exists a server with the same name.\n"));
  EXPECT_TRUE(is_success("set server p/a state drain", "\n"));
  EXPECT_FALSE(is_success("set server p/a state drain", "No such server.\n"));
  EXPECT_TRUE(is_success("del server p/a", "Server deleted.\n"));
}

}  // namespace
}  // namespace gangway::balancer
