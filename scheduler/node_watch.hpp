// NodeWatch: who has been silent for how long, and what that means.
//
//   heard within suspect_after        Reached
//   silent for longer                 Suspect: gets no new jobs
//   silent for longer than lost_after Lost: its leased attempts have ended by themselves
//
// Sans-I/O: the boot clock's time is an argument. A node is watched from the moment it is first
// named; after a restart that is the start of this scheduler, because nobody knows what the one
// before acknowledged last.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/node.hpp"

namespace gangway::scheduler {

class NodeWatch {
 public:
  // Requires: suspect_after <= lost_after. Nobody is lost before `none_lost_before`.
  NodeWatch(Duration suspect_after, Duration lost_after, BootTime none_lost_before = {});

  struct Change {
    NodeName node;
    Contact contact = Contact::Unknown;
  };

  // A sign of life, or the beginning of the watch.
  void heard(const NodeName& name, BootTime now);
  // Its connection has closed: suspect at once, lost when its time is over.
  void closed(const NodeName& name);
  void forget(const NodeName& name);
  // Those that have become Suspect or Lost by `now`, in the order of their names; each once.
  [[nodiscard]] std::vector<Change> due(BootTime now);
  // When due() has something to say next.
  [[nodiscard]] std::optional<BootTime> next_due() const;
  // nullopt: not watched.
  [[nodiscard]] std::optional<Duration> silence(const NodeName& name, BootTime now) const;

 private:
  struct Watched {
    BootTime last_heard;
    Contact contact = Contact::Reached;
  };
  [[nodiscard]] BootTime lost_at(const Watched& node) const;
  [[nodiscard]] std::optional<BootTime> due_at(const Watched& node) const;
  void set(const NodeName& name, Watched to);

  Duration suspect_after_;
  Duration lost_after_;
  BootTime none_lost_before_;
  std::map<NodeName, Watched> nodes_;
  std::set<std::pair<BootTime, NodeName>> agenda_;
};

}  // namespace gangway::scheduler
