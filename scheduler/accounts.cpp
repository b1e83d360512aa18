// Accounts: who pays for a job, what has been used, and the shares that follow from it.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

// Deep enough for any organisation, and for walks that go down by recursion.
constexpr int kMaxAccountDepth = 32;
constexpr std::size_t kMaxAssociations = 1'000'000;

const AccountName kRoot{std::string(kRootAccount)};

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }
Error conflict(std::string message) { return {ErrorKind::Conflict, std::move(message)}; }

}  // namespace

// ---- who pays ----------------------------------------------------------------------------------

bool Controller::Impl::has_accounts() const {
  return std::ranges::any_of(state.associations(),
                             [](const auto& entry) { return !entry.second.is_user(); });
}

std::vector<std::string> Controller::Impl::accounts_of(const std::string& user) const {
  std::vector<std::string> names;
  for (const auto& [key, association] : state.associations()) {
    if (key.user == user && key.account != kRoot) names.push_back(key.account.value);
  }
  return names;
}

// Without accounts any name is taken, as a label: scripts that name one are to run everywhere.
Result<void> Controller::Impl::fill_account(JobSpec& spec, const std::string& user) const {
  if (!has_accounts()) return {};
  if (spec.account.empty()) {
    const std::vector<std::string> own = accounts_of(user);
    if (!own.empty()) spec.account = AccountName(own.front());
    return {};
  }
  const std::string& name = spec.account.value;
  if (state.find_association({spec.account, {}}) == nullptr) {
    std::vector<std::string> names;
    for (const auto& [key, association] : state.associations()) {
      if (!association.is_user()) names.push_back(key.account.value);
    }
    const std::string meant = nearest(name, names);
    return invalid(cat("account ", name, " does not exist",
                       meant.empty() ? std::string() : cat("; did you mean ", meant, "?")));
  }
  if (state.find_association({spec.account, user}) == nullptr) {
    const std::vector<std::string> own = accounts_of(user);
    return Error(ErrorKind::Denied, cat("user ", user, " is not in account ", name, "; ",
                                        own.empty() ? "an operator can add one: jctl accounts add"
                                                    : cat("there is: ", join(own, ", "))));
  }
  return {};
}

Result<void> Controller::Impl::check_qos(const JobSpec& spec) const {
  if (spec.qos.empty() || config.qos.empty() || config.qos.contains(spec.qos)) return {};
  std::vector<std::string> names;
  for (const auto& [name, priority] : config.qos) names.push_back(name);
  return invalid(cat("QOS ", spec.qos, " does not exist; there is: ", join(names, ", ")));
}

double Controller::Impl::qos_factor(const JobSpec& spec) const {
  const auto found = config.qos.find(spec.qos);
  if (found == config.qos.end()) return 0;
  std::int64_t highest = 1;
  for (const auto& [name, priority] : config.qos) highest = std::max(highest, std::abs(priority));
  return static_cast<double>(found->second) / static_cast<double>(highest);
}

AssociationKey Controller::Impl::payer_of(const Job& job) const {
  AssociationKey named{job.spec->account, job.owner.user};
  if (!named.account.empty() && state.find_association(named) != nullptr) return named;
  return {kRoot, job.owner.user};
}

// A user in no account has a share beside the accounts.
UserNumber Controller::Impl::payer_number(const Job& job) {
  const AssociationKey key = payer_of(job);
  if (state.find_association(key) == nullptr) {
    state.record(key, account_event::Set{{}, 1}, now.wall, turn.batch);
  }
  return number_of(key);
}

// Who has not been heard of has used nothing: as good as the best.
UserNumber Controller::Impl::payer_number_if(const Job& job) const {
  const auto known = user_numbers.find(payer_of(job));
  if (known != user_numbers.end()) return known->second;
  const auto best = std::ranges::max_element(told_shares.factors);
  return static_cast<UserNumber>(best - told_shares.factors.begin());
}

UserNumber Controller::Impl::number_of(const AssociationKey& key) {
  const auto [entry, is_new] =
      user_numbers.try_emplace(key, static_cast<UserNumber>(numbered_users.size()));
  if (is_new) {
    numbered_users.push_back(key);
    next_shares = now.boot;  // the planner knows no factor for this number
  }
  return entry->second;
}

// ---- what has been used ------------------------------------------------------------------------

void Controller::Impl::load_usage() {
  for (const auto& [key, association] : state.associations()) {
    if (!association.is_user()) continue;
    usage.set_settled(number_of(key), association.usage);
  }
}

void Controller::Impl::begin_charging(const Job& job, Time since) {
  usage.begin(job.key, payer_number(job), rate_of(*job.allocation(), config.usage.weights), since);
}

// Each time of running is charged once: in the batch of the event that ends it.
void Controller::Impl::charge_runs() {
  for (const auto& change : state.take_run_changes()) {
    const Job& job = state.get_job(change.job);
    if (change.runs) {
      // It may have ended in the same turn; then there is nothing to charge.
      if (job.allocation() != nullptr) begin_charging(job, change.at);
      continue;
    }
    if (!usage.runs(change.job)) continue;
    const UsageBook::Charge charge = usage.end(change.job, change.at);
    state.record(
        numbered_users[charge.user],
        account_event::Charged{change.job, change.attempt, charge.amount, charge.usage.amount},
        change.at, turn.batch);
  }
}

// ---- shares ------------------------------------------------------------------------------------

std::vector<ShareRow> Controller::Impl::shares() const {
  const std::vector<double> used = usage.usages_at(now.wall);
  std::vector<ShareEntry> entries;
  entries.reserve(state.associations().size());
  for (const auto& [key, association] : state.associations()) {
    ShareEntry entry{
        .key = key, .parent = association.parent, .shares = association.shares, .usage = 0};
    const auto number = user_numbers.find(key);
    if (number != user_numbers.end() && number->second < used.size()) {
      entry.usage = used[number->second];
    }
    entries.push_back(std::move(entry));
  }
  return fair_shares(entries, config.fair_share);
}

// Factors follow usage, which changes all the time; the planner has to put its line in order anew
// for them. So they are looked at before a pass, but no more often than the work allows, counted in
// jobs and users because that does not depend on the machine: so seldom that less than one
// submission in a hundred meets it, which with a million jobs is every two and a half minutes
// (Slurm reckons every five by default). Who has aged fully is told with them.
void Controller::Impl::renew_fair_shares() {
  constexpr Duration kForAUser = microseconds(10);
  constexpr Duration kForAJob = microseconds(150);
  constexpr Duration kAges = minutes(1);
  if (now.boot < next_shares) return;
  next_shares = now.boot + kForAUser * static_cast<std::int64_t>(state.associations().size()) +
                kForAJob * static_cast<std::int64_t>(waiting.size());
  delta::FairSharesAre found{.at = now.wall, .factors = std::vector<double>(numbered_users.size())};
  for (const ShareRow& row : shares()) {
    if (const auto number = user_numbers.find(row.key); number != user_numbers.end()) {
      found.factors[number->second] = row.factor.value_or(0);
    }
  }
  if (found.factors == told_shares.factors && found.at >= told_shares.at &&
      found.at - told_shares.at < kAges) {
    return;
  }
  told_shares = std::move(found);
  planner.apply(told_shares);
}

void Controller::Impl::on_list_shares(io::PeerId from, std::uint32_t stream) {
  wire::Response response;
  response.mutable_shares();
  std::size_t bytes = 0;
  for (const ShareRow& row : shares()) {
    wire::ShareView* const view = response.mutable_shares()->add_rows();
    view->set_account(row.key.account.value);
    view->set_user(row.key.user);
    view->set_depth(row.depth);
    view->set_shares(row.shares);
    view->set_norm_shares(row.norm_shares);
    view->set_usage(row.usage);
    view->set_norm_usage(row.norm_usage);
    view->set_effective_usage(row.effective_usage);
    if (row.factor) view->set_factor(*row.factor);
    if (row.level_share) view->set_level_share(*row.level_share);
    bytes += view->ByteSizeLong();
    if (bytes > kResponseBytes) {
      response.set_more(true);
      reply(from, stream, std::exchange(response, {}));
      response.mutable_shares();
      bytes = 0;
    }
  }
  reply(from, stream, std::move(response));
}

// ---- operators' words --------------------------------------------------------------------------

void Controller::Impl::on_account_command(io::PeerId from,
                                          const io::LocalUser& user,
                                          std::uint32_t stream,
                                          const wire::AccountCommand& command) {
  if (!is_operator(user)) {
    return reply_error(from, stream, Error(ErrorKind::Denied, "only operators change accounts"));
  }
  if (const Result<void> done = change_accounts(command); !done) {
    return reply_error(from, stream, done.error());
  }
  next_shares = now.boot;
  want_pass();
  wire::Response response;
  response.mutable_acted();
  reply(from, stream, std::move(response));
}

Result<void> Controller::Impl::change_accounts(const wire::AccountCommand& command) {
  const AssociationKey key{AccountName(command.account()), command.user()};
  const bool of_user = !key.user.empty();
  const bool in_root = of_user && key.account == kRoot;
  if (!in_root) GANGWAY_TRY(check_account_name(key.account.value));
  if (key.user.size() > kMaxNameBytes || !is_utf8(key.user)) {
    return invalid("this cannot be the name of a user");
  }
  if (command.has_shares() && (command.shares() < 0 || command.shares() > kMaxShares)) {
    return invalid(cat("shares ", command.shares(), ": from 0 to ", kMaxShares, " are possible"));
  }
  const Association* const known = state.find_association(key);
  const std::string name = to_string(key);
  switch (command.verb()) {
    case wire::AccountCommand::ADD: {
      if (known != nullptr) return conflict(cat("account ", name, " exists already"));
      if (state.associations().size() >= kMaxAssociations) {
        return Error(ErrorKind::Exhausted, "there are too many accounts and users");
      }
      if (of_user && !in_root && state.find_association({key.account, {}}) == nullptr) {
        return Error(ErrorKind::NotFound, cat("account ", key.account.value, " does not exist"));
      }
      break;
    }
    case wire::AccountCommand::SET:
    case wire::AccountCommand::REMOVE:
      if (known == nullptr) {
        return Error(ErrorKind::NotFound, cat("account ", name, " does not exist"));
      }
      break;
    default:
      return Error(ErrorKind::Unsupported, "unknown verb");
  }
  if (command.verb() == wire::AccountCommand::REMOVE) return remove_account(key);

  AccountName parent = known == nullptr ? AccountName() : known->parent;
  if (command.has_parent()) {
    if (of_user) return invalid("users have no parent; add the user to the other account");
    parent = AccountName(command.parent());
    if (parent == kRoot) parent = AccountName();
    GANGWAY_TRY(check_parent(key.account, parent));
  }
  const std::int64_t new_shares =
      command.has_shares() ? command.shares() : (known == nullptr ? 1 : known->shares);
  state.record(key, account_event::Set{parent, new_shares}, now.wall, turn.batch);
  if (of_user) (void)number_of(key);
  return {};
}

// Empty: the root.
Result<void> Controller::Impl::check_parent(const AccountName& account,
                                            const AccountName& parent) const {
  int depth = 1;
  for (AccountName up = parent; !up.empty(); ++depth) {
    if (up == account) {
      return invalid(cat("account ", account.value, " would stand below itself"));
    }
    const Association* const above = state.find_association({up, {}});
    if (above == nullptr) {
      return Error(ErrorKind::NotFound, cat("account ", up.value, " does not exist"));
    }
    up = above->parent;
  }
  if (depth + depth_below(account) > kMaxAccountDepth) {
    return invalid(cat("accounts stand at most ", kMaxAccountDepth, " deep"));
  }
  return {};
}

int Controller::Impl::depth_below(const AccountName& account) const {
  int deepest = 0;
  for (const auto& [key, association] : state.associations()) {
    if (!association.is_user() && association.parent == account) {
      deepest = std::max(deepest, 1 + depth_below(key.account));
    }
  }
  return deepest;
}

// With an account its users go, unless jobs that are charged to one of them have not ended.
Result<void> Controller::Impl::remove_account(const AssociationKey& key) {
  std::vector<AssociationKey> gone;
  for (const auto& [other, association] : state.associations()) {
    if (!association.is_user() && key.user.empty() && association.parent == key.account) {
      return conflict(cat("account ", other.account.value, " stands below ", key.account.value));
    }
    if (other == key || (key.user.empty() && other.account == key.account)) gone.push_back(other);
  }
  const auto is_charged = [&](const Job& job, const AssociationKey& to) {
    if (job.is_finished()) return false;
    // Who pays for a job that runs was settled when it began to.
    const auto charged = usage.user_of(job.key);
    return (charged ? numbered_users[*charged] : payer_of(job)) == to;
  };
  for (const AssociationKey& other : gone) {
    if (other.user.empty()) continue;
    for (const JobKey whole : state.jobs_of_user(other.user)) {
      const Job& job = state.get_job(whole);
      std::vector<JobKey> keys{whole};
      if (job.array) {
        const std::vector<JobKey> rows = rows_of_array(whole.job);
        keys.insert(keys.begin(), rows.begin(), rows.end());
      }
      for (const JobKey one : keys) {
        if (!is_charged(state.get_job(one), other)) continue;
        return conflict(
            cat("job ", to_string(one), " of account ", to_string(key), " has not ended"));
      }
    }
  }
  for (const AssociationKey& other : gone) {
    state.record(other, account_event::Removed{}, now.wall, turn.batch);
    user_numbers.erase(other);  // the number is not given again
  }
  return {};
}

}  // namespace gangway::scheduler
