#include "queues/model/account_machine.hpp"

#include "queues/base/overloaded.hpp"

namespace gangway {

Association apply(const Association& association, const AccountEvent& event, Time at) {
  Association next = association;
  ++next.version;
  std::visit(
      overloaded{
          [&](const account_event::Set& e) {
            next.parent = e.parent;
            next.shares = e.shares;
          },
          [&](const account_event::Removed&) {},
          [&](const account_event::Charged& e) { next.usage = {.amount = e.usage, .as_of = at}; },
      },
      event);
  return next;
}

}  // namespace gangway
