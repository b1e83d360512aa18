// Associations and their events, of convert.hpp.
#include <cmath>
#include <utility>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::wire {
namespace {
using gangway::Result;

gangway::Error corrupt(std::string message) { return {ErrorKind::Corrupt, std::move(message)}; }

Result<std::int64_t> shares_from(std::int64_t shares) {
  if (shares < 0 || shares > kMaxShares) return corrupt(cat("shares: ", shares, " out of range"));
  return shares;
}

Result<double> usage_from(double usage) {
  if (!std::isfinite(usage) || usage < 0) return corrupt("usage: no amount");
  return usage;
}
}  // namespace

void to_wire(const gangway::Association& association, AssociationState* out) {
  out->Clear();
  out->set_account(association.key.account.value);
  out->set_user(association.key.user);
  out->set_parent(association.parent.value);
  out->set_shares(association.shares);
  out->set_usage(association.usage.amount);
  out->set_usage_at_ns(association.usage.as_of.ns);
  out->set_version(association.version);
}

Result<gangway::Association> from_wire(const AssociationState& m) {
  gangway::Association association;
  association.key = {AccountName{m.account()}, m.user()};
  association.parent = AccountName{m.parent()};
  GANGWAY_ASSIGN(association.shares, shares_from(m.shares()));
  GANGWAY_ASSIGN(association.usage.amount, usage_from(m.usage()));
  if (m.usage_at_ns() < 0 || m.usage_at_ns() > kMaxDuration.ns) {
    return corrupt(cat("usage_at_ns: ", m.usage_at_ns(), " is out of range"));
  }
  association.usage.as_of = gangway::Time{m.usage_at_ns()};
  association.version = m.version();
  return association;
}

void to_wire(const gangway::AccountEvent& event, AccountEvent* out) {
  std::visit(overloaded{
                 [&](const account_event::Set& e) {
                   out->mutable_set()->set_parent(e.parent.value);
                   out->mutable_set()->set_shares(e.shares);
                 },
                 [&](const account_event::Removed&) { out->mutable_removed(); },
                 [&](const account_event::Charged& e) {
                   auto* m = out->mutable_charged();
                   to_wire(e.job, m->mutable_job());
                   m->set_attempt(e.attempt);
                   m->set_amount(e.amount);
                   m->set_usage(e.usage);
                 },
             },
             event);
}

Result<gangway::AccountEvent> from_wire(const AccountEvent& m) {
  using gangway::AccountEvent;
  switch (m.what_case()) {
    case wire::AccountEvent::kSet: {
      GANGWAY_ASSIGN(const std::int64_t shares, shares_from(m.set().shares()));
      return AccountEvent(account_event::Set{AccountName{m.set().parent()}, shares});
    }
    case wire::AccountEvent::kRemoved:
      return AccountEvent(account_event::Removed{});
    case wire::AccountEvent::kCharged: {
      const auto& c = m.charged();
      GANGWAY_ASSIGN(const double amount, usage_from(c.amount()));
      GANGWAY_ASSIGN(const double usage, usage_from(c.usage()));
      return AccountEvent(account_event::Charged{from_wire(c.job()), c.attempt(), amount, usage});
    }
    case wire::AccountEvent::WHAT_NOT_SET:
      break;
  }
  return corrupt("account event: of no known kind");
}

}  // namespace gangway::wire
