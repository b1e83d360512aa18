// The search for the earliest start (placement.hpp): a sweep over the moments at which nodes
// become, and cease to be, open for it. Nodes come into the sweep when it reaches what is known of
// them (outlook.hpp).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "scheduler/policy/outlook.hpp"
#include "scheduler/policy/placement.hpp"

namespace gangway::scheduler {

namespace {

// The nodes that are open for one part, each until some time.
class OpenNodes {
 public:
  [[nodiscard]] std::size_t count() const { return count_; }
  void open(NodeIndex node, Time closes) {
    nodes_.push_back({node, closes});
    ++count_;
  }
  void close_one() { --count_; }
  // When all that close by `now` have been closed.
  [[nodiscard]] std::vector<NodeIndex> at(Time now) {
    std::erase_if(nodes_, [&](const Open& node) { return node.closes <= now; });
    std::vector<NodeIndex> out;
    out.reserve(nodes_.size());
    for (const Open& node : nodes_) out.push_back(node.node);
    return out;
  }

 private:
  struct Open {
    NodeIndex node = 0;
    Time closes;
  };
  std::vector<Open> nodes_;  // and some that are closed
  std::size_t count_ = 0;
};

class Sweep {
 public:
  Sweep(const Profile& profile, const Request& request, Profile::QueueNumber queue, Time after)
      : profile_(profile), request_(request), queue_(queue), after_(after) {
    profile.begin_search();
    for (const RequestPart& part : request.parts) {
      parts_.push_back({&part, profile.outlook_for(part, request.limit), OpenNodes()});
    }
  }

  // The next moment at which each part alone has enough nodes: necessary, and for a single part
  // sufficient.
  [[nodiscard]] std::optional<Time> next() {
    for (;;) {
      bring_in();
      if (changes_.empty() || changes_.front().at == Time::infinity()) return std::nullopt;
      const Time at = changes_.front().at;
      bool opened = false;
      while (!changes_.empty() && changes_.front().at == at) opened |= take_first();
      if (opened && may_suffice()) return at;
    }
  }

  // `at`: the last moment.
  [[nodiscard]] std::vector<std::vector<NodeIndex>> open(Time at) {
    std::vector<std::vector<NodeIndex>> out;
    for (Part& part : parts_) out.push_back(part.open.at(at));
    return out;
  }

 private:
  struct Part {
    const RequestPart* wants;
    ByOutlook unseen;  // nodes that are not in the sweep yet
    OpenNodes open;
  };
  struct Change {
    Time at;
    Time closes;  // of an opening: when it ends again
    Time next;
    std::uint32_t part = 0;
    NodeIndex node = 0;
    bool opens = false;
    friend bool operator<(const Change& a, const Change& b) { return b.at < a.at; }  // first on top
  };

  // Who is asked about the nodes that come into the sweep.
  struct Incoming {
    Sweep& sweep;
    std::uint32_t part;
    void prefetch(NodeIndex node) const { sweep.profile_.timeline_of(node).prefetch(); }
    [[nodiscard]] Time earliest_of(const Outlook::Table& table, NodeIndex node, Time from) const {
      return sweep.profile_.refine(table, node, std::max(from, sweep.after_));
    }
    void visit(NodeIndex node, Time from) const {
      if (!sweep.may_open(node, *sweep.parts_[part].wants)) return;
      sweep.find_window(part, node, std::max(from, sweep.after_));
    }
  };

  // All nodes that may have something before or at the next change, or the first that have any.
  void bring_in() {
    for (std::uint32_t p = 0; p < parts_.size(); ++p) {
      Incoming nodes{*this, p};
      for (;;) {
        const Time needed = changes_.empty() ? Time::infinity() : changes_.front().at;
        if (!parts_[p].unseen.may_begin_by(needed)) break;
        parts_[p].unseen.visit_next(needed, nodes);
      }
    }
  }

  // What has a window for it is large enough, unless it is wanted as a whole.
  [[nodiscard]] bool may_open(NodeIndex node, const RequestPart& part) const {
    return part.exclusive ? profile_.may_serve(node, queue_, part)
                          : profile_.is_admitted(node, queue_, part);
  }

  void find_window(std::uint32_t part, NodeIndex node, Time after) {
    const auto window = profile_.timeline_of(node).next_window(
        profile_.wanted_of(node, *parts_[part].wants), after, request_.limit);
    if (!window) return;
    changes_.push_back({window->first, window->last, window->next, part, node, true});
    std::push_heap(changes_.begin(), changes_.end());
  }

  // Says whether it was an opening.
  bool take_first() {
    std::pop_heap(changes_.begin(), changes_.end());
    const Change change = changes_.back();
    changes_.pop_back();
    if (!change.opens) {
      parts_[change.part].open.close_one();
      find_window(change.part, change.node, change.next);
      return false;
    }
    parts_[change.part].open.open(change.node, change.closes);
    if (change.closes != Time::infinity()) {
      changes_.push_back(
          {change.closes, change.closes, change.next, change.part, change.node, false});
      std::push_heap(changes_.begin(), changes_.end());
    }
    return true;
  }

  [[nodiscard]] bool may_suffice() const {
    return std::ranges::all_of(parts_, [](const Part& part) {
      return part.open.count() >= static_cast<std::size_t>(part.wants->nodes);
    });
  }

  const Profile& profile_;
  const Request& request_;
  Profile::QueueNumber queue_;
  Time after_;
  std::vector<Part> parts_;
  std::vector<Change> changes_;  // a heap
};

}  // namespace

std::optional<EarliestPlacement> place_earliest(const Profile& profile,
                                                const Request& request,
                                                Time after) {
  if (!request.choices.empty()) {
    std::optional<EarliestPlacement> earliest;
    for (const Request& choice : request.choices) {
      auto found = place_earliest(profile, choice, after);
      if (found && (!earliest || found->at < earliest->at)) earliest = std::move(found);
    }
    return earliest;
  }
  const auto queue = profile.find_queue(request.queue);
  if (!queue) return std::nullopt;
  Sweep sweep(profile, request, *queue, after);
  while (const auto at = sweep.next()) {
    if (auto placement = place_among(profile, request, *at, sweep.open(*at))) {
      return EarliestPlacement{*at, *std::move(placement)};
    }
  }
  return std::nullopt;
}

}  // namespace gangway::scheduler
