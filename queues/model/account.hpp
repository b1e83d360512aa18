// Accounts: who pays. Accounts form a tree below the root; users stand in accounts. Each has shares
// among its siblings, and each user's use of the cluster is remembered, halved with every
// half-life.
//
// An account, and a user in an account, is one Association; the root is not stored. A user without
// an account stands below the root. Pure values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"

namespace gangway {

inline constexpr std::string_view kRootAccount = "root";
inline constexpr std::int64_t kMaxShares = 1'000'000'000;

struct AssociationKey {
  AccountName account;
  std::string user;  // empty: the account itself
  friend auto operator<=>(const AssociationKey&, const AssociationKey&) = default;
};
// "physics", "physics/ann".
[[nodiscard]] std::string to_string(const AssociationKey& key);

// Weighted resources times seconds (scheduler/policy/usage.hpp), as they counted at `as_of`.
struct DecayedUsage {
  double amount = 0;
  Time as_of;
  friend bool operator==(const DecayedUsage&, const DecayedUsage&) = default;
};

struct Association {
  AssociationKey key;
  AccountName parent;       // of an account
  std::int64_t shares = 1;  // 0 to kMaxShares
  DecayedUsage usage;       // of a user, by what has ended
  std::uint64_t version = 0;
  friend bool operator==(const Association&, const Association&) = default;
  [[nodiscard]] bool is_user() const { return !key.user.empty(); }
};

// A name of an account: 1 to 64 letters, digits, dots, dashes and underscores, and not the root's.
// Errors: Invalid.
[[nodiscard]] Result<void> check_account_name(std::string_view name);

}  // namespace gangway
