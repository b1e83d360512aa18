#include "scheduler/policy/profile.hpp"

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

void Profile::set_queues(const std::vector<Queue>& queues) {
  queues_.clear();
  for (const Queue& queue : queues) {
    const std::size_t number = queues_.size();
    Queue sorted = queue;
    std::sort(sorted.nodes.begin(), sorted.nodes.end());
    queues_.emplace(queue.name, std::pair{number, std::move(sorted)});
  }
  in_queue_.assign(queues_.size(), {});
  for (NodeIndex node = 0; node < node_count(); ++node) refresh_queues(node);
}

void Profile::refresh_queues(NodeIndex number) {
  const NodeName& node = nodes_[number].name;
  for (const auto& [name, entry] : queues_) {
    const auto& [of, queue] = entry;
    const bool is_in =
        queue.nodes.empty() || std::binary_search(queue.nodes.begin(), queue.nodes.end(), node);
    in_queue_[of].resize(nodes_.size(), false);
    in_queue_[of][number] = is_in;
  }
}

NodeIndex Profile::index_of(const NodeName& name) {
  const auto [at, is_new] = numbers_.try_emplace(name, node_count());
  if (is_new) {
    Node& node = nodes_.emplace_back();
    node.name = name;
    timelines_.emplace_back();
    usable_.push_back(false);
    reservations_.push_back(0);
    ranks_.push_back(0);
    refresh_queues(at->second);
    settled_ = false;
  }
  return at->second;
}

void Profile::set_node(const NodeName& name,
                       const Resources& capacity,
                       bool usable,
                       const std::vector<std::string>& features) {
  const NodeIndex number = index_of(name);
  unindex(number);
  Node& node = nodes_[number];
  usable_[number] = usable;
  node.features = kinds_.features().bits_of(features);
  const Amounts amounts = kinds_.of_node(capacity);
  if (!(amounts == node.capacity)) {
    timelines_[number].take(Timeline::kAlways, Time::infinity(), node.capacity);
    timelines_[number].give(Timeline::kAlways, Time::infinity(), amounts);
    node.capacity = amounts;
    node.whole = Wanted(amounts);
    outlook_.on_given(number);
    retake_cores(number);
  }
  index(number);
}

void Profile::retake_cores(NodeIndex number) {
  Node& node = nodes_[number];
  node.cores = CoreSet(node.capacity.cores());
  node.shares_cores = false;
  for (const HeldCores& held : node.running) {
    node.shares_cores |= !node.cores.take(held.cores);
  }
}

void Profile::drop_node(const NodeName& name) {
  if (numbers_.contains(name)) set_node(name, Resources{}, false);
}

void Profile::settle() {
  if (settled_) return;
  by_fit_.clear();
  std::uint32_t rank = 0;
  std::vector<NodeIndex> order;
  order.reserve(nodes_.size());
  for (const auto& [name, number] : numbers_) {
    ranks_[number] = rank++;
    order.push_back(number);
  }
  std::ranges::stable_sort(order, [&](NodeIndex a, NodeIndex b) {
    return nodes_[a].capacity.of < nodes_[b].capacity.of;
  });
  outlook_.set_order(std::move(order));
  settled_ = true;
  for (NodeIndex node = 0; node < node_count(); ++node) index(node);
}

BestFit::Position Profile::position_of(NodeIndex number) const {
  return {nodes_[number].capacity.has_named(), timelines_[number].cores_at(Timeline::kAlways),
          ranks_[number], number};
}

void Profile::index(NodeIndex number) {
  if (!settled_ || !usable_[number]) return;
  const Timeline& timeline = timelines_[number];
  by_fit_.insert(position_of(number), timeline.now(), timeline.fits_now(nodes_[number].whole));
}

void Profile::unindex(NodeIndex number) {
  if (settled_ && usable_[number]) by_fit_.erase(position_of(number));
}

void Profile::hold(const Holder& holder, const NodeClaim& claim) {
  timelines_[claim.node].take(holder.from, holder.held_until, claim.amounts);
  outlook_.on_taken(claim.node);
  if (holder.reservation) ++reservations_[claim.node];
}

void Profile::let_go(const Holder& holder, const NodeClaim& claim) {
  timelines_[claim.node].give(holder.from, holder.held_until, claim.amounts);
  outlook_.on_given(claim.node);
  if (holder.reservation) --reservations_[claim.node];
}

void Profile::start(JobKey key, Time end, std::vector<NodeClaim> claims) {
  Holder holder{false, Timeline::kAlways, end, end > now_ ? end : now_ + kOverrun,
                std::move(claims)};
  for (const NodeClaim& claim : holder.claims) {
    unindex(claim.node);
    Node& node = nodes_[claim.node];
    node.shares_cores |= !node.cores.take(claim.cores);
    node.running.push_back({key, claim.cores});
    hold(holder, claim);
    index(claim.node);
  }
  ends_.emplace(end, key);
  CHECK(holders_.emplace(key, std::move(holder)).second);
}

void Profile::reserve(JobKey key, Time from, Time to, std::vector<NodeClaim> claims) {
  Holder holder{true, from, to, to, std::move(claims)};
  for (const NodeClaim& claim : holder.claims) hold(holder, claim);
  CHECK(holders_.emplace(key, std::move(holder)).second);
}

void Profile::move_reservation(JobKey key,
                               const std::vector<NodeIndex>& nodes,
                               std::vector<NodeClaim> claims) {
  Holder& holder = holders_.at(key);
  CHECK(holder.reservation);
  const auto stays = std::partition(
      holder.claims.begin(), holder.claims.end(),
      [&](const NodeClaim& claim) { return std::ranges::find(nodes, claim.node) == nodes.end(); });
  for (auto claim = stays; claim != holder.claims.end(); ++claim) let_go(holder, *claim);
  holder.claims.erase(stays, holder.claims.end());
  for (NodeClaim& claim : claims) {
    hold(holder, claim);
    holder.claims.push_back(std::move(claim));
  }
}

void Profile::end(JobKey key) {
  const auto found = holders_.find(key);
  if (found == holders_.end()) return;
  const Holder holder = std::move(found->second);
  holders_.erase(found);
  if (holder.reservation) {
    for (const NodeClaim& claim : holder.claims) let_go(holder, claim);
    return;
  }
  ends_.erase({holder.end, key});
  for (const NodeClaim& claim : holder.claims) {
    unindex(claim.node);
    let_go(holder, claim);
    Node& node = nodes_[claim.node];
    const auto mine = std::find_if(node.running.begin(), node.running.end(),
                                   [&](const HeldCores& held) { return held.key == key; });
    if (mine != node.running.end()) node.running.erase(mine);
    // After a restart of the scheduler a job that is completing may still be thought to have cores
    // that were given to another meanwhile: only what nobody else claims is free.
    node.cores.give(claim.cores);
    if (node.shares_cores) retake_cores(claim.node);
    index(claim.node);
  }
}

void Profile::advance(Time now) {
  now_ = now;
  for (const auto& [end, key] : ends_) {
    if (end > now) break;
    Holder& holder = holders_.at(key);
    // What is free now stays the same, so the index by fit does too.
    for (const NodeClaim& claim : holder.claims) {
      timelines_[claim.node].take(holder.held_until, now + kOverrun, claim.amounts);
      outlook_.on_taken(claim.node);
    }
    holder.held_until = std::max(holder.held_until, now + kOverrun);
  }
}

std::optional<Profile::QueueNumber> Profile::find_queue(const QueueName& queue) const {
  const auto found = queues_.find(queue);
  if (found == queues_.end()) return std::nullopt;
  return found->second.first;
}

bool Profile::may_serve(NodeIndex number,
                        QueueNumber queue,
                        const RequestPart& part,
                        bool even_if_unusable) const {
  return is_admitted(number, queue, part, even_if_unusable) &&
         part.wanted.fits_in(nodes_[number].capacity);
}

bool Profile::is_admitted(NodeIndex number,
                          QueueNumber queue,
                          const RequestPart& part,
                          bool even_if_unusable) const {
  if (!usable_[number] && !even_if_unusable) return false;
  if (!in_queue_[queue][number]) return false;
  const Node& node = nodes_[number];
  if (!part.filter.admits(node.features)) return false;
  const auto& [only, never] = std::tie(part.only, part.never);
  if (!only.empty() && !std::binary_search(only.begin(), only.end(), node.name)) return false;
  return never.empty() || !std::binary_search(never.begin(), never.end(), node.name);
}

ByOutlook Profile::outlook_for(const RequestPart& part, std::optional<Duration> limit) const {
  std::vector<Outlook::Table*> tables;
  const auto add = [&](std::size_t kind, std::int64_t amount) {
    const Outlook::Size size{.kind = kind, .amount = amount, .length = limit};
    tables.push_back(&outlook_.table_of(Outlook::rounded_down(size)));
  };
  if (part.exclusive) {
    add(Outlook::kWhole, 0);
  } else {
    for (std::size_t kind = 0; kind < kMaxKinds; ++kind) {
      if (part.per_node.of[kind] > 0) add(kind, part.per_node.of[kind]);
    }
  }
  if (tables.empty()) add(0, 0);
  return {outlook_, std::move(tables)};
}

Time Profile::refine(const Outlook::Table& table, NodeIndex node, Time from) const {
  const Wanted& wanted = table.size.kind == Outlook::kWhole ? nodes_[node].whole : table.wanted;
  const auto window = timelines_[node].next_window(wanted, from, table.size.length);
  return window ? window->first : Time::infinity();
}

std::vector<Profile::End> Profile::ends_after(Time now) const {
  std::vector<End> out;
  out.reserve(ends_.size());
  // Those past their end come first and all at the same moment.
  for (const auto& [at, key] : ends_) out.push_back({std::max(at, now + kOverrun), key});
  std::stable_sort(out.begin(), out.end(), [](const End& a, const End& b) { return a.at < b.at; });
  return out;
}

const std::vector<NodeClaim>& Profile::claims_of(JobKey key) const {
  return holders_.at(key).claims;
}

}  // namespace gangway::scheduler
