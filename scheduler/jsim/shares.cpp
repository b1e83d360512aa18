#include "scheduler/jsim/shares.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "queues/base/text.hpp"

namespace gangway::jsim {

namespace {

std::vector<std::string> words_of(std::string_view line) {
  line = line.substr(0, line.find('#'));
  std::vector<std::string> out;
  while (!(line = trim(line)).empty()) {
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    out.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return out;
}

// Reads one line into `rules`. Errors: Invalid, without the line's number.
class LineReader {
 public:
  explicit LineReader(ShareRules& rules) : rules_(rules) {}

  Result<void> read(const std::vector<std::string>& words) {
    const std::string& what = words.front();
    if (what == "account") return account(words);
    if (what == "user") return user(words);
    if (what == "group") return group(words);
    return invalid(cat(what, ": account, user or group"));
  }

 private:
  static Error invalid(std::string why) { return {ErrorKind::Invalid, std::move(why)}; }

  static Result<std::int64_t> shares(const std::string& word) {
    const auto number = parse_integer<std::int64_t>(word);
    if (number && *number >= 0 && *number <= kMaxShares) return *number;
    return invalid(cat(word, ": shares are a number from 0 to ", kMaxShares));
  }
  // So no account can stand below itself.
  Result<AccountName> known(const std::string& word) {
    if (word == kRootAccount || accounts_.contains(word)) return AccountName(word);
    return invalid(cat("account ", word, " does not stand above"));
  }

  Result<void> account(const std::vector<std::string>& words) {
    if (words.size() < 3 || words.size() > 4) return invalid("account NAME SHARES [PARENT]");
    GANGWAY_TRY(check_account_name(words[1]));
    const Result<std::int64_t> number = shares(words[2]);
    if (!number) return number.error();
    const Result<AccountName> parent =
        known(words.size() == 4 ? words[3] : std::string(kRootAccount));
    if (!parent) return parent.error();
    if (!accounts_.insert(words[1]).second) return invalid(cat("account ", words[1], " twice"));
    rules_.entries.push_back(
        {.key = {AccountName(words[1]), ""}, .parent = *parent, .shares = *number, .usage = 0});
    return {};
  }
  Result<void> user(const std::vector<std::string>& words) {
    if (words.size() < 3 || words.size() > 4) return invalid("user NAME SHARES [ACCOUNT]");
    const Result<std::int64_t> number = shares(words[2]);
    if (!number) return number.error();
    const Result<AccountName> account =
        known(words.size() == 4 ? words[3] : std::string(kRootAccount));
    if (!account) return account.error();
    const AssociationKey key{*account, words[1]};
    if (!rules_.users.emplace(words[1], key).second)
      return invalid(cat("user ", words[1], " twice"));
    rules_.entries.push_back({.key = key, .parent = {}, .shares = *number, .usage = 0});
    return {};
  }
  Result<void> group(const std::vector<std::string>& words) {
    if (words.size() != 3) return invalid("group NUMBER ACCOUNT");
    const auto number = parse_integer<std::int64_t>(words[1]);
    if (!number || *number < 0) return invalid(cat(words[1], ": groups are numbers"));
    const Result<AccountName> account = known(words[2]);
    if (!account) return account.error();
    if (!rules_.groups.emplace(*number, *account).second) {
      return invalid(cat("group ", words[1], " twice"));
    }
    return {};
  }

  ShareRules& rules_;
  std::set<std::string> accounts_;
};

}  // namespace

Result<ShareRules> parse_shares(std::string_view text) {
  ShareRules rules;
  LineReader reader(rules);
  std::size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::vector<std::string> words = words_of(line);
    if (words.empty()) continue;
    if (const Result<void> read = reader.read(words); !read) {
      return read.error().with_context(cat("line ", number));
    }
  }
  return rules;
}

std::string user_name(const Trace& trace, std::int64_t user) {
  if (const auto name = trace.user_names.find(user); name != trace.user_names.end()) {
    return name->second;
  }
  return user < 0 ? "unknown" : cat(user);
}

Result<Shares> shares_of(const ShareRules& rules, const Trace& trace) {
  Shares out;
  std::map<AssociationKey, scheduler::UserNumber> numbers;
  std::set<std::string> seen;
  std::vector<scheduler::ShareEntry> accounts;
  std::set<AccountName> group_accounts;
  const auto payer_of = [&](const TraceJob& job) -> AssociationKey {
    const std::string name = user_name(trace, job.user);
    seen.insert(name);
    if (const auto user = rules.users.find(name); user != rules.users.end()) return user->second;
    if (rules.account_per_group) {
      const AccountName account(job.group < 0 ? "unknown" : cat("g", job.group));
      if (group_accounts.insert(account).second) {
        accounts.push_back({.key = {account, ""},
                            .parent = AccountName(std::string(kRootAccount)),
                            .shares = 1,
                            .usage = 0});
      }
      return {account, name};
    }
    const auto group = rules.groups.find(job.group);
    return {group != rules.groups.end() ? group->second : AccountName(std::string(kRootAccount)),
            name};
  };
  for (const TraceJob& job : trace.jobs) {
    const AssociationKey key = payer_of(job);
    const auto next = static_cast<scheduler::UserNumber>(out.entries.size());
    const auto [known, is_new] = numbers.emplace(key, next);
    if (is_new) out.entries.push_back({.key = key, .parent = {}, .shares = 1, .usage = 0});
    out.payer.push_back(known->second);
  }
  for (const auto& [name, key] : rules.users) {
    if (!seen.contains(name)) {
      return Error(ErrorKind::Invalid, cat("user ", name, " has no job in the trace"));
    }
  }
  for (const scheduler::ShareEntry& entry : rules.entries) {
    const auto number = numbers.find(entry.key);
    if (number != numbers.end()) {
      out.entries[number->second] = entry;
    } else {
      accounts.push_back(entry);
    }
  }
  out.entries.insert(out.entries.end(), accounts.begin(), accounts.end());
  return out;
}

}  // namespace gangway::jsim
