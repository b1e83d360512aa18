// A machine that runs an executor.
#pragma once

#include <string>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/resources.hpp"

namespace gangway {

// Reached: heartbeats come. Suspect: late. Lost: silent past its lease; nothing is placed there.
enum class Contact { Unknown, Reached, Suspect, Lost };
[[nodiscard]] std::string_view to_string(Contact contact);

struct Node {
  NodeName name;
  Resources capacity;
  std::vector<std::string> features;  // names that jobs ask for by --constraint; sorted
  std::string address;                // where its shepherds can be reached by those of other nodes
  std::string boot_id;                // changes with each boot of the machine
  Contact contact = Contact::Unknown;
  bool drain = false;  // gets no new jobs: an operator's word
  std::string drain_reason;
  std::uint64_t version = 0;
  friend bool operator==(const Node&, const Node&) = default;
  [[nodiscard]] bool can_take_jobs() const { return contact == Contact::Reached && !drain; }
};

}  // namespace gangway
