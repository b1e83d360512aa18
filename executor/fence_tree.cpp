#include "executor/fence_tree.hpp"

#include <algorithm>
#include <optional>

#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

constexpr std::size_t kMaxSignatureBytes = 64;

// "0-3,7": ranges of the sorted `ranks`; a digest when that is long, so that ids stay small.
std::string signature_of(const std::vector<std::uint32_t>& ranks) {
  std::string text;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t end = i + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += end - i == 1 ? cat(ranks[i]) : cat(ranks[i], '-', ranks[end - 1]);
    i = end;
  }
  return text.size() <= kMaxSignatureBytes ? text : sha256_hex(text);
}

FenceSend up_message(std::uint32_t to,
                     const std::string& signature,
                     std::uint64_t counter,
                     std::int32_t status,
                     std::string data) {
  FenceSend send{.node_index = to, .message = {}};
  wire::FenceUp& up = *send.message.mutable_fence_up();
  up.mutable_id()->set_signature(signature);
  up.mutable_id()->set_counter(counter);
  up.set_status(status);
  up.set_data(std::move(data));
  return send;
}

FenceSend down_message(std::uint32_t to,
                       const std::string& signature,
                       std::uint64_t counter,
                       std::int32_t status,
                       const std::string& data) {
  FenceSend send{.node_index = to, .message = {}};
  wire::FenceDown& down = *send.message.mutable_fence_down();
  down.mutable_id()->set_signature(signature);
  down.mutable_id()->set_counter(counter);
  down.set_status(status);
  down.set_data(data);
  return send;
}

}  // namespace

FenceTree::FenceTree(std::uint32_t self, std::vector<RankRange> nodes, std::uint32_t fan_out)
    : self_(self), fan_out_(fan_out), lost_(nodes.size(), false) {
  CHECK(self_ < nodes.size());
  CHECK(fan_out_ >= 1);
  for (std::uint32_t node = 0; node < nodes.size(); ++node) {
    if (nodes[node].count == 0) continue;
    whole_nodes_.push_back(node);
    blocks_.push_back({node, nodes[node]});
    total_ranks_ += nodes[node].count;
  }
  std::ranges::sort(blocks_, {}, [](const Block& block) { return block.ranks.first; });
}

void FenceTree::add_ranks(std::uint32_t node, RankRange ranks) {
  CHECK(node < lost_.size());
  if (ranks.count == 0) return;
  const auto after = std::ranges::upper_bound(blocks_, ranks.first, {},
                                              [](const Block& block) { return block.ranks.first; });
  blocks_.insert(after, {node, ranks});
}

std::optional<std::uint32_t> FenceTree::node_of(std::uint32_t rank) const {
  const auto after = std::ranges::upper_bound(blocks_, rank, {},
                                              [](const Block& block) { return block.ranks.first; });
  if (after == blocks_.begin()) return std::nullopt;
  const Block& block = *(after - 1);
  if (rank - block.ranks.first >= block.ranks.count) return std::nullopt;
  return block.node;
}

std::optional<FenceTree::Participants> FenceTree::participants(const wire::PmixFence& fence) const {
  Participants result;
  std::vector<std::uint32_t> ranks;
  if (!fence.whole()) {
    ranks.assign(fence.ranks().begin(), fence.ranks().end());
    std::ranges::sort(ranks);
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    for (const std::uint32_t rank : ranks) {
      const std::optional<std::uint32_t> node = node_of(rank);
      if (!node) return std::nullopt;
      result.nodes.push_back(*node);
    }
  }
  // All ranks by number are the same set as "whole".
  if (fence.whole() ||
      (ranks.size() == total_ranks_ && ranks.back() - ranks.front() + 1 == total_ranks_ &&
       ranks.front() == blocks_.front().ranks.first)) {
    result.nodes = whole_nodes_;
    result.signature = "*";
  } else {
    result.signature = signature_of(ranks);
  }
  if (!fence.label().empty()) {
    result.signature = cat(fence.label(), '|', result.signature);
    if (result.signature.size() > kMaxSignatureBytes) {
      result.signature = sha256_hex(result.signature);
    }
  }
  std::ranges::sort(result.nodes);
  result.nodes.erase(std::unique(result.nodes.begin(), result.nodes.end()), result.nodes.end());
  if (!std::ranges::binary_search(result.nodes, self_)) return std::nullopt;
  return result;
}

FenceActions FenceTree::on_local(const wire::PmixFence& message) {
  std::optional<Participants> taking_part = participants(message);
  if (!taking_part) return {FenceComplete{message.id(), kPmixBadParameter, {}}};
  if (counters_.size() >= kMaxFenceSets && !counters_.contains(taking_part->signature)) {
    return {FenceComplete{message.id(), kPmixOutOfResource, {}}};
  }
  const Id id{taking_part->signature, counters_[taking_part->signature]++};
  const auto [entry, is_new] = open_.try_emplace(id);
  Fence& fence = entry->second;
  fence.here = true;
  fence.local_id = message.id();
  fence.nodes = std::move(taking_part->nodes);
  fence.position =
      static_cast<std::size_t>(std::ranges::lower_bound(fence.nodes, self_) - fence.nodes.begin());
  if (message.status() != kPmixSuccess) fail(fence, message.status());
  if (is_new && open_.size() > kMaxOpenFences) fail(fence, kPmixOutOfResource);
  if (std::ranges::any_of(fence.nodes, [&](std::uint32_t node) { return lost_[node]; })) {
    fail(fence, kPmixLostConnection);
  }
  // What somebody sent who is no child of ours here has no place in the result.
  const std::vector<std::uint32_t> mine = children(fence);
  std::erase_if(fence.up, [&](const auto& up) {
    if (std::ranges::binary_search(mine, up.first)) return false;
    held_bytes_ -= up.second.size();
    return true;
  });
  hold(fence, fence.own_data, message.data());
  FenceActions actions;
  advance(entry, actions);
  return actions;
}

FenceActions FenceTree::on_peer(std::uint32_t from, const wire::Peer& message) {
  FenceActions actions;
  if (from >= lost_.size() || from == self_) return actions;
  if (message.has_fence_up()) {
    on_up(from, message.fence_up(), actions);
  } else if (message.has_fence_down()) {
    on_down(from, message.fence_down(), actions);
  }
  return actions;
}

FenceTree::Open::iterator FenceTree::find_or_expect(const wire::FenceId& wire_id) {
  if (wire_id.signature().size() > kMaxSignatureBytes) return open_.end();
  const Id id{wire_id.signature(), wire_id.counter()};
  if (const auto found = open_.find(id); found != open_.end()) return found;
  // Ours have been there already: it is over here, and this is late news of it.
  const auto counter = counters_.find(id.signature);
  if (counter != counters_.end() && id.counter < counter->second) return open_.end();
  if (open_.size() >= kMaxOpenFences) return open_.end();
  return open_.try_emplace(id).first;
}

void FenceTree::on_up(std::uint32_t from, const wire::FenceUp& up, FenceActions& actions) {
  const auto entry = find_or_expect(up.id());
  if (entry == open_.end()) return;
  Fence& fence = entry->second;
  if (fence.here && !std::ranges::binary_search(children(fence), from)) return;
  if (up.status() != kPmixSuccess) {
    fail(fence, up.status());
  } else if (!fence.sent_up && !fence.up.contains(from)) {
    hold(fence, fence.up[from], up.data());
  }
  advance(entry, actions);
}

void FenceTree::on_down(std::uint32_t from, const wire::FenceDown& down, FenceActions& actions) {
  const auto entry = find_or_expect(down.id());
  if (entry == open_.end()) return;
  Fence& fence = entry->second;
  if (fence.here && parent(fence) != from) return;
  if (down.status() != kPmixSuccess) {
    fail(fence, down.status());
    advance(entry, actions);
  } else if (fence.here && fence.sent_up) {
    finish(entry, down.data(), actions);
  } else if (!fence.here && fence.up.empty() && fence.status == kPmixSuccess) {
    open_.erase(entry);  // a result without our part cannot be: nothing is expected for it
  }
}

FenceActions FenceTree::on_peer_lost(std::uint32_t node_index) {
  FenceActions actions;
  if (node_index >= lost_.size()) return actions;
  lost_[node_index] = true;
  for (auto entry = open_.begin(); entry != open_.end();) {
    const auto next = std::next(entry);  // advance() closes a failed fence
    if (entry->second.here && std::ranges::binary_search(entry->second.nodes, node_index)) {
      fail(entry->second, kPmixLostConnection);
      advance(entry, actions);
    }
    entry = next;
  }
  return actions;
}

std::vector<std::uint32_t> FenceTree::children(const Fence& fence) const {
  std::vector<std::uint32_t> result;
  const std::size_t first = fence.position * fan_out_ + 1;
  for (std::size_t child = first; child < std::min(first + fan_out_, fence.nodes.size()); ++child) {
    result.push_back(fence.nodes[child]);
  }
  return result;
}

std::optional<std::uint32_t> FenceTree::parent(const Fence& fence) const {
  if (fence.position == 0) return std::nullopt;
  return fence.nodes[(fence.position - 1) / fan_out_];
}

void FenceTree::fail(Fence& fence, std::int32_t status) {
  if (fence.status == kPmixSuccess) fence.status = status;
}

void FenceTree::hold(Fence& fence, std::string& place, const std::string& data) {
  if (held_bytes_ + data.size() > kMaxHeldBytes) return fail(fence, kPmixOutOfResource);
  held_bytes_ += data.size();
  place = data;
}

void FenceTree::let_go(Fence& fence) {
  held_bytes_ -= fence.own_data.size();
  fence.own_data.clear();
  for (auto& [child, data] : fence.up) {
    held_bytes_ -= data.size();
    data.clear();
  }
}

void FenceTree::advance(Open::iterator entry, FenceActions& actions) {
  Fence& fence = entry->second;
  if (!fence.here) return;
  const std::vector<std::uint32_t> mine = children(fence);
  std::string whole;
  if (fence.status == kPmixSuccess) {
    if (fence.sent_up || fence.up.size() < mine.size()) return;
    std::size_t size = fence.own_data.size();
    for (const auto& [child, data] : fence.up) size += data.size();
    if (size > kMaxFenceBytes) {
      fail(fence, kPmixOutOfResource);
    } else {
      whole = std::move(fence.own_data);
      held_bytes_ -= whole.size();
      fence.own_data.clear();
      whole.reserve(size);
      for (const auto& [child, data] : fence.up) whole += data;
      let_go(fence);
    }
  }
  if (const std::optional<std::uint32_t> up = parent(fence); up && !lost_[*up]) {
    actions.emplace_back(up_message(*up, entry->first.signature, entry->first.counter, fence.status,
                                    std::move(whole)));
    fence.sent_up = true;
    if (fence.status == kPmixSuccess) return;  // the whole comes down later
    whole.clear();
  }
  finish(entry, std::move(whole), actions);
}

void FenceTree::finish(Open::iterator entry, std::string data, FenceActions& actions) {
  Fence& fence = entry->second;
  for (const std::uint32_t child : children(fence)) {
    if (lost_[child]) continue;
    actions.emplace_back(
        down_message(child, entry->first.signature, entry->first.counter, fence.status, data));
  }
  actions.emplace_back(FenceComplete{fence.local_id, fence.status, std::move(data)});
  let_go(fence);
  open_.erase(entry);
}

}  // namespace gangway::executor
