// Fair share: from shares and usage to one factor for each user, 1 for the first in line.
//
// Fair Tree (the default). Each association has a level fair share among its siblings,
//
//     LF = S / U,  S = its shares / those of all siblings,  U = its usage / that of all siblings
//
// 0 without shares, infinite without usage. The tree is walked depth first, at each level the
// largest LF first, and users are ranked as they are met: the factor is rank / number of users,
// where the first has the highest rank. So no user of a better served account comes before one of a
// worse served account, whatever stands below. Ties: users with equal LF share the better rank and
// use up as many ranks as they are; accounts with equal LF are taken as one, their children as
// siblings; a user before an account of equal LF shares its rank with the account's first user.
// Source: R. Cox, L. Morrison, "Fair Tree: Fairshare Algorithm for Slurm", 2014; Slurm's manual.
// Deviation: LF is compared as one quotient of products, so that ties in small numbers are exact.
//
// Classic: F = 2^(-U/S), S the product of shares on the way down from the root, and
// U = own + (U of the parent - own) * S among siblings, own = its usage / that of the cluster;
// below the root U = own. Source: Slurm's manual, "Classic Fairshare Algorithm" (dampening factor
// 1).
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "queues/model/account.hpp"

namespace gangway::scheduler {

enum class FairShareKind { Tree, Classic };

// An account, or a user in an account. The root is not among them.
struct ShareEntry {
  AssociationKey key;
  AccountName parent;  // of an account; unknown ones count as the root
  std::int64_t shares = 1;
  double usage = 0;  // of a user
};

struct ShareRow {
  AssociationKey key;
  int depth = 0;  // the root has 0
  std::int64_t shares = 0;
  double norm_shares = 0;  // among siblings; classic: of the cluster
  double usage = 0;        // an account's: that of all below it
  double norm_usage = 0;   // of the cluster's
  double effective_usage = 0;
  std::optional<double> factor;         // of users
  std::optional<double> level_share{};  // LF; not with the classic kind, not of the root
  [[nodiscard]] bool is_user() const { return !key.user.empty(); }
};

// The root first, then what is below it: users before accounts, by name, each account followed by
// what is below it. Requires: no key twice, accounts in no circle. O(n log n).
[[nodiscard]] std::vector<ShareRow> fair_shares(const std::vector<ShareEntry>& entries,
                                                FairShareKind kind = FairShareKind::Tree);

}  // namespace gangway::scheduler
