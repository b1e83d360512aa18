// Shares: who of a trace pays for which job, and with how many shares of the machine.
//
// A file has one account, user or group a line; '#' begins a comment:
//
//   account physics 3           three shares below the root
//   account theory 2 physics    two shares below physics
//   user 17 5 theory            the trace's user 17 has five shares in theory
//   group 4 physics             other users' jobs of the trace's group 4 are charged to physics
//
// Whoever is not named has one share, in the group's account or below the root.
//
// Pure values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "scheduler/jsim/trace.hpp"
#include "scheduler/policy/fair_share.hpp"
#include "scheduler/policy/usage.hpp"

namespace gangway::jsim {

// What a file says, before it is held against a trace.
struct ShareRules {
  std::vector<scheduler::ShareEntry> entries;  // accounts, and users that are named
  std::map<std::string, AssociationKey> users;
  std::map<std::int64_t, AccountName> groups;
  bool account_per_group = false;
};

// Errors: Invalid, naming the first bad line.
[[nodiscard]] Result<ShareRules> parse_shares(std::string_view text);

struct Shares {
  std::vector<scheduler::ShareEntry> entries;  // those of users first
  std::vector<scheduler::UserNumber> payer;    // of each job of the trace: an entry
  Duration half_life = hours(168);             // 0: nothing is ever forgotten
};

// Errors: Invalid: a user that the rules name is not in the trace.
[[nodiscard]] Result<Shares> shares_of(const ShareRules& rules, const Trace& trace);

// "17", or the name of a workflow's user; "unknown" for -1.
[[nodiscard]] std::string user_name(const Trace& trace, std::int64_t user);

}  // namespace gangway::jsim
