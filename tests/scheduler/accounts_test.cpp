// Who pays, what is charged, and what follows from it for the order of the queue.
#include <gtest/gtest.h>

#include <cmath>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

wire::Response command(World& world,
                       wire::AccountCommand::Verb verb,
                       const char* account,
                       const char* user = "",
                       std::optional<std::int64_t> shares = std::nullopt,
                       const char* parent = nullptr,
                       std::uint32_t by = kOlga) {
  wire::Request request;
  wire::AccountCommand& order = *request.mutable_account_command();
  order.set_verb(verb);
  order.set_account(account);
  order.set_user(user);
  if (shares) order.set_shares(*shares);
  if (parent != nullptr) order.set_parent(parent);
  return world.ask(by, std::move(request));
}
// "" if it was done.
std::string add(World& world,
                const char* account,
                const char* user = "",
                std::int64_t shares = 1,
                const char* parent = nullptr) {
  return command(world, wire::AccountCommand::ADD, account, user, shares, parent).error().message();
}
// An account with users, each with one share.
void make(World& world,
          const char* account,
          const std::vector<const char*>& users,
          std::int64_t shares = 1) {
  EXPECT_EQ(add(world, account, "", shares), "");
  for (const char* const user : users) EXPECT_EQ(add(world, account, user), "");
}
std::string remove(World& world, const char* account, const char* user = "") {
  return command(world, wire::AccountCommand::REMOVE, account, user).error().message();
}

ShareRow row_of(World& world, const char* account, const char* user = "") {
  wire::Request ping;
  ping.mutable_ping();
  (void)world.ask(kAlice, std::move(ping));  // so that it is now
  for (const ShareRow& row : world.controller->shares()) {
    if (row.key == AssociationKey{AccountName(account), user}) return row;
  }
  ADD_FAILURE() << "no row of " << account << '/' << user;
  return {};
}
std::vector<account_event::Charged> charges(const World& world) {
  std::vector<account_event::Charged> out;
  for (const Event& event : world.events) {
    const auto* account = std::get_if<Event::OfAccount>(&event.subject);
    if (account == nullptr) continue;
    if (const auto* c = std::get_if<account_event::Charged>(&account->what)) out.push_back(*c);
  }
  return out;
}

SpecBuilder job_of(const char* account) {
  SpecBuilder builder;
  const_cast<JobSpec&>(builder.spec()).account = AccountName(account);
  return builder;
}

TEST(Accounts, AUserInNoneStandsBelowTheRootFromTheFirstJobOn) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  EXPECT_EQ(row_of(world, "root", "alice").shares, 1);
  EXPECT_EQ(world.associations.size(), 1U) << "and is durable";
}

TEST(Accounts, WithoutAnyAnyNameIsALabel) {
  World world;
  world.start().nodes(1);
  const auto id = world.submit(job_of("whatever"));
  EXPECT_EQ(world.get(id).spec->account.value, "whatever");
  EXPECT_EQ(row_of(world, "root", "alice").shares, 1);
}

TEST(Accounts, AreKeptToOnceThereAreSome) {
  World world;
  world.start().nodes(1);
  EXPECT_EQ(add(world, "physics"), "");
  EXPECT_EQ(add(world, "physics", "alice"), "");
  EXPECT_EQ(world.try_submit(job_of("fysics")).error().message(),
            "account fysics does not exist; did you mean physics?");
  EXPECT_EQ(world.try_submit(job_of("physics"), kBob).error().message(),
            "user bob is not in account physics; an operator can add one: jctl accounts add");
  world.submit(job(), kBob);  // has a share of his own beside the accounts
  EXPECT_EQ(world.get(world.submit(job())).spec->account.value, "physics") << "her default";
}

TEST(Accounts, OnlyOperatorsChangeThem) {
  World world;
  world.start();
  EXPECT_EQ(command(world, wire::AccountCommand::ADD, "physics", "", 1, nullptr, kAlice)
                .error()
                .message(),
            "only operators change accounts");
}

TEST(Accounts, FormATree) {
  World world;
  world.start();
  EXPECT_EQ(add(world, "science", "", 60), "");
  EXPECT_EQ(add(world, "physics", "", 2, "science"), "");
  EXPECT_EQ(add(world, "physics"), "account physics exists already");
  EXPECT_EQ(add(world, "art", "", 1, "arts"), "account arts does not exist");
  EXPECT_EQ(add(world, "a b"),
            "account \"a b\": names have 1 to 64 letters, digits, dots, dashes "
            "and underscores");
  EXPECT_EQ(command(world, wire::AccountCommand::SET, "science", "", std::nullopt, "physics")
                .error()
                .message(),
            "account science would stand below itself");
  EXPECT_EQ(remove(world, "science"), "account physics stands below science");
  EXPECT_EQ(row_of(world, "physics").depth, 2);
  EXPECT_EQ(command(world, wire::AccountCommand::SET, "physics", "", 7, "root").error().message(),
            "");
  EXPECT_EQ(row_of(world, "physics").depth, 1);
  EXPECT_EQ(row_of(world, "physics").shares, 7);
  EXPECT_EQ(remove(world, "science"), "");
  EXPECT_EQ(remove(world, "science"), "account science does not exist");
  EXPECT_EQ(world.associations.size(), 1U);
}

TEST(Accounts, WithJobsAreNotRemoved) {
  World world;
  world.start().nodes(1);
  make(world, "physics", {"alice"});
  const auto id = world.submit(job());
  EXPECT_EQ(remove(world, "physics", "alice"), "job 1 of account physics/alice has not ended");
  EXPECT_EQ(remove(world, "physics"), "job 1 of account physics has not ended");
  world.run_to_end(id);
  EXPECT_EQ(remove(world, "physics"), "");
  EXPECT_TRUE(world.associations.empty());
}

TEST(Accounts, SurviveARestart) {
  World world;
  world.start();
  EXPECT_EQ(add(world, "physics", "", 30), "");
  EXPECT_EQ(add(world, "physics", "alice", 7), "");
  world.restart();
  EXPECT_EQ(row_of(world, "physics").shares, 30);
  EXPECT_EQ(row_of(world, "physics", "alice").shares, 7);
}

// ---- usage -------------------------------------------------------------------------------------

World& without_decay(World& world) {
  world.config.usage.half_life = {};
  return world;
}

TEST(UsageOfJobs, CountsFromTheLaunchAndWhileTheyRun) {
  World world;
  without_decay(world).start().nodes(2);
  const auto id = world.submit(job().nodes(2).cores(3));
  world.live(seconds(20));
  EXPECT_EQ(row_of(world, "root", "alice").usage, 0) << "it is not launched yet";
  world.run(id);
  world.live(seconds(10));
  EXPECT_DOUBLE_EQ(row_of(world, "root", "alice").usage, 60);
  EXPECT_TRUE(charges(world).empty());
}

TEST(UsageOfJobs, IsChargedOnceWithTheEnd) {
  World world;
  without_decay(world).start().nodes(2);
  const auto id = world.submit(job().nodes(2).cores(3).mpi());
  world.run(id);
  world.live(seconds(10));
  world.finished("n1", id);
  world.live(seconds(5));
  world.finished("n2", id);
  world.live(seconds(100));
  ASSERT_EQ(charges(world).size(), 1U);
  EXPECT_DOUBLE_EQ(charges(world)[0].amount, 90);
  EXPECT_DOUBLE_EQ(row_of(world, "root", "alice").usage, 90);
  EXPECT_DOUBLE_EQ(world.associations.begin()->second.usage.amount, 90);
}

TEST(UsageOfJobs, OfARunningOneSurvivesARestart) {
  World world;
  without_decay(world).start().node("n1", 4);
  world.submit(job().cores(2));
  world.run(1);
  world.live(seconds(10));
  world.restart().node("n1", 4, {{1, 1, wire::HeldAttempt::RUNNING}});
  world.live(seconds(10));
  EXPECT_DOUBLE_EQ(row_of(world, "root", "alice").usage, 40);
  world.finished("n1", 1);
  world.restart();
  EXPECT_DOUBLE_EQ(row_of(world, "root", "alice").usage, 40);
  EXPECT_EQ(charges(world).size(), 1U);
}

TEST(UsageOfJobs, EachAttemptIsCharged) {
  World world;
  without_decay(world).start().node("n1", 4);
  world.submit(job());
  for (const Attempt attempt : {1U, 2U}) {
    world.run(1);
    world.live(seconds(10));
    world.finished(
        "n1", 1, outcome(attempt == 1 ? OutcomeKind::NodeFailed : OutcomeKind::Completed), attempt);
  }
  ASSERT_EQ(charges(world).size(), 2U);
  EXPECT_EQ(charges(world)[1].attempt, 2U);
  EXPECT_DOUBLE_EQ(row_of(world, "root", "alice").usage, 20);
}

TEST(UsageOfJobs, FadesWithTheHalfLife) {
  World world;
  world.config.usage.half_life = hours(1);
  world.start().nodes(1);
  world.submit(job());
  world.run(1);
  world.live(seconds(10));
  world.finished("n1", 1);
  const double at_first = row_of(world, "root", "alice").usage;
  world.advance(hours(1));
  EXPECT_NEAR(row_of(world, "root", "alice").usage, at_first / 2, 1e-9);
}

TEST(UsageOfJobs, GoesWhereTheJobBeganToBeCharged) {
  World world;
  without_decay(world).start().nodes(1);
  world.submit(job_of("physics"));  // a label
  world.run(1);
  world.live(seconds(10));
  make(world, "physics", {"alice"});
  EXPECT_EQ(remove(world, "root", "alice"), "job 1 of account root/alice has not ended");
  world.finished("n1", 1);
  EXPECT_DOUBLE_EQ(row_of(world, "root", "alice").usage, 10);
  EXPECT_DOUBLE_EQ(row_of(world, "physics", "alice").usage, 0);
}

// ---- what follows ------------------------------------------------------------------------------

TEST(FairShareOfJobs, WhoHasUsedLessIsNext) {
  World world;
  world.start().node("n1", 1);
  world.submit(job());
  world.run(1);
  world.submit(job());        // alice's second comes before ...
  world.submit(job(), kBob);  // ... bob's first
  world.live(seconds(60));
  world.finished("n1", 1);
  EXPECT_EQ(world.phase(3), "Starting");
  EXPECT_EQ(world.phase(2), "Waiting");
}

TEST(FairShareOfJobs, ABetterQualityOfServiceIsNext) {
  World world;
  world.config.qos = {{"normal", 0}, {"urgent", 100}};
  world.start().node("n1", 1);
  world.submit(job());
  world.submit(job());
  SpecBuilder urgent;
  const_cast<JobSpec&>(urgent.spec()).qos = "urgent";
  world.submit(urgent);
  world.run_to_end(1);
  EXPECT_EQ(world.phase(3), "Starting");
  const_cast<JobSpec&>(urgent.spec()).qos = "ugent";
  EXPECT_EQ(world.try_submit(urgent).error().message(),
            "QOS ugent does not exist; there is: normal, urgent");
}

TEST(FairShareOfJobs, EachTermIsExplained) {
  World world;
  world.start().node("n1", 1);
  world.submit(job());
  world.run(1);
  const auto id = world.submit(job());
  wire::Request request;
  wire::to_wire(World::key(id), request.mutable_explain()->add_keys());
  std::string all;
  const wire::Response response = world.ask(kAlice, std::move(request));
  for (const std::string& line : response.explained().lines()) all += line + "\n";
  EXPECT_NE(all.find("priority: age 0 + fair share 10000\n"), std::string::npos) << all;
  EXPECT_NE(all.find("charged to: root/alice\n"), std::string::npos) << all;
}

// Two users with shares 3:1 fill the queue of four nodes with two cores each, with jobs of
// different lengths, through restarts.
TEST(FairShareOfJobs, TwoFloodsGetTheirPartsOfTheCluster) {
  World world;
  world.start();
  make(world, "big", {"alice"}, 3);
  make(world, "small", {"bob"});
  world.nodes(4, 2);
  for (int i = 0; i < 500; ++i) {
    world.submit(job(), kBob);
    world.submit(job(), kAlice);
  }
  std::multimap<Time, std::uint64_t> ends;
  std::map<std::string, double> core_seconds;
  for (int finished = 0; finished < 500;) {
    for (std::uint64_t id = 1; id <= 1000; ++id) {
      const Job* const job = world.controller->state().find_job(World::key(id));
      if (job == nullptr || !std::holds_alternative<phase::Starting>(job->phase)) continue;
      const Duration run = seconds(static_cast<std::int64_t>(20 + id * 7 % 50));
      core_seconds[job->owner.user] += to_seconds(run);
      ends.emplace(world.now.wall + run, id);
      world.run(id);
    }
    ASSERT_FALSE(ends.empty());
    const auto [at, id] = *ends.begin();
    ends.erase(ends.begin());
    if (at > world.now.wall) world.live(at - world.now.wall);
    const Job placed = world.get(id);
    world.finished(placed.allocation()->shares[0].node.value.c_str(), id);
    ++finished;
  }
  EXPECT_NEAR(core_seconds["alice"] / core_seconds["bob"], 3, 0.15);
  EXPECT_NEAR(row_of(world, "big").norm_usage, 0.75, 0.0375 / 2);
}

}  // namespace
}  // namespace gangway::scheduler
