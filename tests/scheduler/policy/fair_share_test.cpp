#include "scheduler/policy/fair_share.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <map>
#include <string>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "scheduler/policy/usage.hpp"
#include "tests/shared_data.hpp"

namespace gangway::scheduler {
namespace {

ShareEntry account(const char* name, std::int64_t shares, const char* parent = "root") {
  return {.key = {AccountName(name), {}}, .parent = AccountName(parent), .shares = shares};
}
ShareEntry user(const char* account, const char* name, std::int64_t shares, double usage) {
  return {.key = {AccountName(account), name}, .parent = {}, .shares = shares, .usage = usage};
}

std::map<std::string, double> factors(const std::vector<ShareEntry>& entries,
                                      FairShareKind kind = FairShareKind::Tree) {
  std::map<std::string, double> out;
  for (const ShareRow& row : fair_shares(entries, kind)) {
    if (row.is_user()) out[row.key.user] = *row.factor;
  }
  return out;
}
using Factors = std::map<std::string, double>;

// ---- Fair Tree ---------------------------------------------------------------------------------

TEST(FairTree, UsersAreRankedByWhatIsLeftOfTheirShare) {
  EXPECT_EQ(factors({user("root", "ann", 1, 10), user("root", "bob", 3, 10),
                     user("root", "cyd", 1, 0), user("root", "dan", 1, 40)}),
            (Factors{{"cyd", 1.0}, {"bob", 0.75}, {"ann", 0.5}, {"dan", 0.25}}));
}

TEST(FairTree, NobodyOfAWorseServedAccountComesBehindABetterServedOne) {
  // ann has had more than her part of physics, but physics less than its part of all.
  EXPECT_EQ(
      factors({account("physics", 50), account("art", 50), user("physics", "ann", 1, 10),
               user("physics", "bob", 9, 0), user("art", "cyd", 1, 30), user("art", "dan", 1, 0)}),
      (Factors{{"bob", 1.0}, {"ann", 0.75}, {"dan", 0.5}, {"cyd", 0.25}}));
}

TEST(FairTree, TiedUsersShareARankAndUseUpTwo) {
  EXPECT_EQ(factors({user("root", "ann", 1, 10), user("root", "bob", 1, 10),
                     user("root", "cyd", 1, 20), user("root", "dan", 1, 5)}),
            (Factors{{"dan", 1.0}, {"ann", 0.75}, {"bob", 0.75}, {"cyd", 0.25}}));
}

TEST(FairTree, TiesAreExactForSharesOfAnyKind) {
  // 1/3 of the shares and 3/9 of the usage have one quotient, however they are rounded.
  EXPECT_EQ(factors({user("root", "ann", 1, 3), user("root", "bob", 3, 9),
                     user("root", "cyd", 7, 21), user("root", "dan", 49, 147)}),
            (Factors{{"ann", 1.0}, {"bob", 1.0}, {"cyd", 1.0}, {"dan", 1.0}}));
}

TEST(FairTree, ChildrenOfTiedAccountsAreSiblings) {
  // Both accounts have had their half. bob's level among his is 4, dan's 2, cyd's 2/3, ann's 4/7.
  EXPECT_EQ(
      factors({account("physics", 1), account("art", 1), user("physics", "ann", 1, 7),
               user("physics", "bob", 1, 1), user("art", "cyd", 1, 6), user("art", "dan", 1, 2)}),
      (Factors{{"bob", 1.0}, {"dan", 0.75}, {"cyd", 0.5}, {"ann", 0.25}}));
}

TEST(FairTree, AUserTiedWithAnAccountSharesTheRankOfItsFirstUser) {
  EXPECT_EQ(
      factors({account("physics", 1), user("root", "zoe", 1, 10), user("physics", "ann", 1, 9),
               user("physics", "bob", 1, 1), user("root", "cyd", 1, 100)}),
      (Factors{{"zoe", 1.0}, {"bob", 1.0}, {"ann", 0.5}, {"cyd", 0.25}}));
}

TEST(FairTree, WithoutUsageAllAreFirst) {
  EXPECT_EQ(
      factors({user("root", "root", 1, 0), account("physics", 50), account("art", 20),
               user("physics", "ann", 1, 0), user("art", "bob", 5, 0), user("art", "cyd", 1, 0)}),
      (Factors{{"root", 1.0}, {"ann", 1.0}, {"bob", 1.0}, {"cyd", 1.0}}));
}

TEST(FairTree, WithoutSharesOneIsLast) {
  EXPECT_EQ(factors({user("root", "ann", 0, 0), user("root", "bob", 1, 100)}),
            (Factors{{"bob", 1.0}, {"ann", 0.5}}));
}

TEST(FairTree, RowsStandBelowTheirParentsUsersFirst) {
  std::string order;
  for (const ShareRow& row : fair_shares({account("b", 1), account("a", 1), account("deep", 1, "a"),
                                          user("deep", "eve", 1, 1), user("a", "ann", 1, 1),
                                          user("root", "zoe", 1, 0)})) {
    order += cat(row.depth, to_string(row.key), ' ');
  }
  EXPECT_EQ(order, "0root 1root/zoe 1a 2a/ann 2deep 3deep/eve 1b ");
}

TEST(FairTree, AnEmptyTreeIsItsRoot) {
  EXPECT_EQ(fair_shares({}).size(), 1U);
  EXPECT_EQ(fair_shares({}, FairShareKind::Classic).size(), 1U);
}

TEST(FairTree, AnAccountBelowAnUnknownOneStandsBelowTheRoot) {
  EXPECT_EQ(fair_shares({account("a", 1, "gone")})[1].depth, 1);
}

// ---- classic -----------------------------------------------------------------------------------

TEST(ClassicFairShare, IsAHalfForWhoHasTakenExactlyHisShare) {
  const Factors found =
      factors({user("root", "ann", 3, 30), user("root", "bob", 1, 10)}, FairShareKind::Classic);
  EXPECT_DOUBLE_EQ(found.at("ann"), 0.5);
  EXPECT_DOUBLE_EQ(found.at("bob"), 0.5);
}

TEST(ClassicFairShare, IsOneWithoutUsageAndSmallForMuch) {
  const Factors found =
      factors({user("root", "ann", 1, 0), user("root", "bob", 1, 10)}, FairShareKind::Classic);
  EXPECT_DOUBLE_EQ(found.at("ann"), 1.0);
  EXPECT_DOUBLE_EQ(found.at("bob"), 0.25);
}

TEST(ClassicFairShare, AnIdleUserBearsPartOfWhatTheAccountHasTaken) {
  // cyd's account has taken all: her part of that is a half, of her share a quarter twice that.
  const Factors found = factors({account("busy", 1), account("idle", 1), user("busy", "bob", 1, 10),
                                 user("busy", "cyd", 1, 0), user("idle", "dan", 1, 0)},
                                FairShareKind::Classic);
  EXPECT_DOUBLE_EQ(found.at("dan"), 1.0);
  EXPECT_DOUBLE_EQ(found.at("cyd"), 0.25);    // U = (1 - 0) / 2, S = 1/4: 2^-2
  EXPECT_DOUBLE_EQ(found.at("bob"), 0.0625);  // U = 1, S = 1/4: 2^-4
}

// ---- properties --------------------------------------------------------------------------------

std::vector<ShareEntry> random_tree(Rng& rng) {
  std::vector<ShareEntry> out;
  std::vector<std::string> accounts{"root"};
  const auto count = rng.between(1, 12);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& parent = accounts[static_cast<std::size_t>(
        rng.between(0, static_cast<std::int64_t>(accounts.size()) - 1))];
    const std::string name = cat("a", i);
    out.push_back(account(name.c_str(), rng.between(0, 4), parent.c_str()));
    accounts.push_back(name);
  }
  const auto users = rng.between(1, 30);
  for (std::int64_t i = 0; i < users; ++i) {
    const auto& in = accounts[static_cast<std::size_t>(
        rng.between(0, static_cast<std::int64_t>(accounts.size()) - 1))];
    out.push_back(user(in.c_str(), cat("u", i).c_str(), rng.between(0, 4),
                       static_cast<double>(rng.between(0, 3))));
  }
  return out;
}

TEST(FairTreeProperty, FactorsAreRanksAndKeepToTheLevelsOfTheTree) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const std::vector<ShareEntry> entries = random_tree(rng);
    const std::vector<ShareRow> rows = fair_shares(entries);
    ASSERT_EQ(rows.size(), entries.size() + 1);
    std::vector<double> found;
    for (const ShareRow& row : rows) {
      if (row.is_user()) found.push_back(*row.factor);
    }
    std::ranges::sort(found, std::greater<>{});
    // The first has 1, and one who has rank k has at most n - k users not behind him.
    ASSERT_DOUBLE_EQ(found.front(), 1.0);
    const auto n = static_cast<double>(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double rank = found[i] * n;
      EXPECT_DOUBLE_EQ(rank, std::round(rank));
      EXPECT_GE(rank, n - static_cast<double>(i) - 1e-9);
    }
    // Of two siblings, all users of the one with the greater level come before the other's.
    for (std::size_t a = 1; a < rows.size(); ++a) {
      for (std::size_t b = 1; b < rows.size(); ++b) {
        const auto parent = [&](std::size_t row) {
          std::size_t up = row;
          while (rows[up].depth >= rows[row].depth) --up;
          return up;
        };
        if (a == b || parent(a) != parent(b) || *rows[a].level_share <= *rows[b].level_share) {
          continue;
        }
        const auto below = [&](std::size_t row) {
          std::pair<double, double> least_most{2, -1};
          for (std::size_t i = row; i < rows.size(); ++i) {
            if (i != row && rows[i].depth <= rows[row].depth) break;
            if (!rows[i].is_user()) continue;
            least_most.first = std::min(least_most.first, *rows[i].factor);
            least_most.second = std::max(least_most.second, *rows[i].factor);
          }
          return least_most;
        };
        EXPECT_GE(below(a).first, below(b).second)
            << to_string(rows[a].key) << " before " << to_string(rows[b].key);
      }
    }
  }
}

TEST(FairTreeProperty, TheOrderOfEntriesDoesNotMatter) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Rng rng(seed);
    std::vector<ShareEntry> entries = random_tree(rng);
    const Factors tree = factors(entries);
    const Factors classic = factors(entries, FairShareKind::Classic);
    for (std::size_t i = entries.size(); i > 1; --i) {
      std::swap(
          entries[i - 1],
          entries[static_cast<std::size_t>(rng.between(0, static_cast<std::int64_t>(i) - 1))]);
    }
    EXPECT_EQ(factors(entries), tree);
    EXPECT_EQ(factors(entries, FairShareKind::Classic), classic);
  }
}

// ---- against Slurm -----------------------------------------------------------------------------

// The columns of `sshare -l -P`.
std::string render(const ShareRow& row) {
  const auto number = [](double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.6f", value);
    return std::string(text);
  };
  const bool is_root = row.depth == 0;
  return cat(std::string(static_cast<std::size_t>(row.depth), ' '), row.key.account.value, '|',
             row.key.user, '|', is_root ? std::string() : cat(row.shares), '|',
             number(row.norm_shares), '|', static_cast<std::int64_t>(row.usage), '|',
             is_root ? std::string() : number(row.norm_usage), '|', number(row.effective_usage),
             '|', row.factor ? number(*row.factor) : std::string(), '|',
             row.level_share ? number(*row.level_share) : std::string());
}

std::vector<std::string> table_of(const std::string& heading) {
  std::ifstream file(test::shared_data("fairshare/slurm-22.05-fair-tree.txt"));
  std::vector<std::string> lines;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("== ")) {
      inside = line == "== " + heading;
    } else if (inside && !line.starts_with("Account|")) {
      lines.push_back(line);
    }
  }
  return lines;
}

// What the users of that cluster had run, in CPU-seconds, and how long before the table it was
// booked. Slurm books at the ticks of a thread, each job at its own; the times are those at which
// all printed digits come out.
struct Booked {
  const char* account;
  const char* name;
  std::int64_t shares;
  double amount;
  double age_s;
  double later_amount = 0;
  double later_age_s = 0;
};
constexpr Booked kBooked[] = {
    {"root", "root", 1, 0, 60},         {"a", "u1", 10, 160, 59.8},
    {"a", "u2", 20, 64, 59.5},          {"a", "u3", 70, 40, 59.8, 320, 71.4},
    {"b", "u4", 1, 240, 60.5},          {"b", "u5", 1, 0, 60, 384, 71.3},
    {"c", "u6", 5, 20, 58.9, 80, 68.1}, {"c", "u7", 15, 120, 60.2},
};

std::vector<ShareEntry> slurm_tree(bool later) {
  std::vector<ShareEntry> entries{account("a", 50), account("b", 30), account("c", 20)};
  constexpr Duration kHalfLife = hours(168);
  for (const Booked& b : kBooked) {
    const auto age = [](double s) { return Duration{static_cast<std::int64_t>(s * 1e9)}; };
    double usage = decayed(b.amount, age(b.age_s), kHalfLife);
    if (later) {
      usage = decayed(usage, seconds(70), kHalfLife) +
              decayed(b.later_amount, age(b.later_age_s), kHalfLife);
    }
    entries.push_back(user(b.account, b.name, b.shares, usage));
  }
  return entries;
}

void expect_table(const std::string& heading, bool later) {
  const std::vector<std::string> expected = table_of(heading);
  if (expected.empty()) {
    GTEST_SKIP() << "no tables of Slurm's at " << test::shared_data("fairshare");
  }
  std::vector<std::string> found;
  for (const ShareRow& row : fair_shares(slurm_tree(later))) found.push_back(render(row));
  EXPECT_EQ(found, expected);
}

TEST(FairTreeOfSlurm, GivesItsFirstTableToTheLastDigit) {
  expect_table("after the first jobs", false);
}

TEST(FairTreeOfSlurm, GivesItsSecondTableToTheLastDigit) {
  expect_table("after more usage by u5, u3, u6", true);
}

}  // namespace
}  // namespace gangway::scheduler
