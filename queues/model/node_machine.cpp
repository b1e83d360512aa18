#include "queues/model/node_machine.hpp"

#include "queues/base/overloaded.hpp"

namespace gangway {

Node apply(const Node& node, const NodeEvent& event) {
  Node next = node;
  ++next.version;
  std::visit(overloaded{
                 [&](const node_event::Registered& e) {
                   next.capacity = e.capacity;
                   next.boot_id = e.boot_id;
                   next.address = e.address;
                   next.features = e.features;
                   next.contact = Contact::Reached;
                 },
                 [&](const node_event::Drained& e) {
                   next.drain = e.on;
                   next.drain_reason = e.on ? e.reason : std::string();
                 },
                 [&](const node_event::Lost&) { next.contact = Contact::Lost; },
                 [&](const node_event::ConfirmedDown&) { next.contact = Contact::Lost; },
             },
             event);
  return next;
}

bool same_state(const Node& a, const Node& b) {
  Node b_in_contact = b;
  b_in_contact.contact = a.contact;
  return a == b_in_contact;
}

}  // namespace gangway
