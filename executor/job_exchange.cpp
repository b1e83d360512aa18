#include "executor/job_exchange.hpp"

#include <algorithm>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

using exchange_action::SignalRanks;
using exchange_action::StartRanks;
using exchange_action::TellPeer;
using exchange_action::TellPmix;

namespace {
constexpr std::uint32_t kFirstNode = 0;
constexpr std::uint32_t kEventFanOut = 8;
}  // namespace

std::string world_suffix(std::uint32_t first, std::uint32_t count) {
  return cat('+', first, '+', count);
}

JobExchange::JobExchange(std::uint32_t self, std::vector<ExchangeNode> nodes, FenceTree& fences)
    : self_(self), nodes_(std::move(nodes)), fences_(fences), lost_(nodes_.size(), false) {
  CHECK(self_ < nodes_.size());
  for (const ExchangeNode& node : nodes_) {
    running_.push_back(node.ranks.count);
    next_rank_ = std::max(next_rank_, node.ranks.first + node.ranks.count);
  }
}

bool JobExchange::on_pmix(const wire::FromPmix& message, ExchangeActions& actions) {
  wire::Peer to_first;
  switch (message.what_case()) {
    case wire::FromPmix::kNames:
      *to_first.mutable_names() = message.names();
      to_first.mutable_names()->set_asker(self_);
      tell(kFirstNode, std::move(to_first), actions);
      return true;
    case wire::FromPmix::kSpawn:
      *to_first.mutable_spawn() = message.spawn();
      to_first.mutable_spawn()->set_asker(self_);
      tell(kFirstNode, std::move(to_first), actions);
      return true;
    case wire::FromPmix::kWorldReady:
      ready_here(message.world_ready(), actions);
      return true;
    case wire::FromPmix::kEvent: {
      wire::PmixEvent event = message.event();
      event.set_origin(self_);
      hand_on(event, actions);
      return true;
    }
    case wire::FromPmix::kControl:
      control(message.control(), actions);
      return true;
    default:
      return false;
  }
}

bool JobExchange::on_peer(std::uint32_t from, const wire::Peer& message, ExchangeActions& actions) {
  const bool at_first = self_ == kFirstNode;
  switch (message.what_case()) {
    case wire::Peer::kNames:
      if (at_first && message.names().asker() == from) names(message.names(), actions);
      return true;
    case wire::Peer::kSpawn:
      if (at_first && message.spawn().asker() == from) spawn(message.spawn(), actions);
      return true;
    case wire::Peer::kWorldReady:
      if (at_first) known(from, message.world_ready(), actions);
      return true;
    case wire::Peer::kNamesDone: {
      TellPmix answer;
      *answer.message.mutable_names_done() = message.names_done();
      if (from == kFirstNode) actions.emplace_back(std::move(answer));
      return true;
    }
    case wire::Peer::kSpawnDone: {
      TellPmix answer;
      *answer.message.mutable_spawn_done() = message.spawn_done();
      if (from == kFirstNode) actions.emplace_back(std::move(answer));
      return true;
    }
    case wire::Peer::kWorld:
      if (from == kFirstNode) know(message.world(), actions);
      return true;
    case wire::Peer::kWorldGo:
      if (from == kFirstNode) go(message.world_go().first(), actions);
      return true;
    case wire::Peer::kEvent: {
      if (message.event().origin() >= nodes_.size()) return true;
      TellPmix told;
      *told.message.mutable_event() = message.event();
      actions.emplace_back(std::move(told));
      hand_on(message.event(), actions);
      return true;
    }
    case wire::Peer::kControl:
      actions.emplace_back(
          SignalRanks{message.control().all(),
                      {message.control().ranks().begin(), message.control().ranks().end()},
                      message.control().signal()});
      return true;
    default:
      return false;
  }
}

void JobExchange::on_peer_lost(std::uint32_t node, ExchangeActions& actions) {
  if (node >= nodes_.size()) return;
  lost_[node] = true;
  std::erase_if(lookups_, [&](const wire::PmixNames& names) {
    if (names.asker() != node) return false;
    lookup_bytes_ -= names.ByteSizeLong();
    return true;
  });
  std::vector<std::uint32_t> failed;
  for (const auto& [first, world] : worlds_) {
    if (world.waiting_for.contains(node)) failed.push_back(first);
  }
  for (const std::uint32_t first : failed) {
    wire::PmixWorldReady ready;
    ready.set_first(first);
    ready.set_status(kPmixLostConnection);
    known(node, ready, actions);
  }
}

// To another node, or to ourselves at once.
void JobExchange::tell(std::uint32_t node, wire::Peer message, ExchangeActions& actions) {
  if (node == self_) {
    on_peer(self_, message, actions);
  } else if (!lost_[node]) {
    actions.emplace_back(TellPeer{node, std::move(message)});
  }
}

void JobExchange::tell_all(const wire::Peer& message, ExchangeActions& actions) {
  for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
    if (node != self_) tell(node, message, actions);
  }
  tell(self_, message, actions);
}

// ---- names -------------------------------------------------------------------------------------

void JobExchange::names(const wire::PmixNames& asked, ExchangeActions& actions) {
  wire::PmixNamesDone done;
  switch (asked.operation()) {
    case wire::PmixNames::PUBLISH: {
      done.set_status(publish(asked));
      answer_names(asked, std::move(done), actions);
      std::deque<wire::PmixNames> waiting = std::exchange(lookups_, {});
      for (wire::PmixNames& lookup : waiting) {
        if (look_up(lookup, actions)) {
          lookup_bytes_ -= lookup.ByteSizeLong();
        } else {
          lookups_.push_back(std::move(lookup));
        }
      }
      return;
    }
    case wire::PmixNames::UNPUBLISH:
      for (const wire::PmiPut& entry : asked.entries()) {
        const auto name = names_.find(entry.key());
        if (name == names_.end()) continue;
        name_bytes_ -= entry.key().size() + name->second.value.size();
        names_.erase(name);
      }
      return answer_names(asked, std::move(done), actions);
    default:
      if (look_up(asked, actions)) return;
      if (lookups_.size() < kMaxWaitingLookups &&
          lookup_bytes_ + asked.ByteSizeLong() <= kMaxWaitingBytes) {
        lookup_bytes_ += asked.ByteSizeLong();
        lookups_.push_back(asked);
        return;
      }
      done.set_status(kPmixOutOfResource);
      answer_names(asked, std::move(done), actions);
  }
}

std::int32_t JobExchange::publish(const wire::PmixNames& asked) {
  for (const wire::PmiPut& entry : asked.entries()) {
    if (names_.contains(entry.key())) return kPmixDuplicateKey;
  }
  for (const wire::PmiPut& entry : asked.entries()) {
    const std::size_t bytes = entry.key().size() + entry.value().size();
    if (names_.size() >= kMaxNames || name_bytes_ + bytes > kMaxNameBytes) {
      return kPmixOutOfResource;
    }
    name_bytes_ += bytes;
    names_[entry.key()] = {entry.value(), asked.rank(), asked.once()};
  }
  return kPmixSuccess;
}

bool JobExchange::look_up(const wire::PmixNames& asked, ExchangeActions& actions) {
  wire::PmixNamesDone done;
  for (const wire::PmiPut& entry : asked.entries()) {
    const auto name = names_.find(entry.key());
    if (name == names_.end()) continue;
    wire::PmixName& found = *done.add_found();
    found.set_key(entry.key());
    found.set_value(name->second.value);
    found.set_rank(name->second.rank);
  }
  if (asked.wait() && done.found_size() < asked.entries_size()) return false;
  for (const wire::PmixName& found : done.found()) {
    const auto name = names_.find(found.key());
    if (name == names_.end() || !name->second.once) continue;
    name_bytes_ -= found.key().size() + found.value().size();
    names_.erase(name);
  }
  done.set_status(done.found_size() > 0 ? kPmixSuccess : kPmixNotFound);
  answer_names(asked, std::move(done), actions);
  return true;
}

void JobExchange::answer_names(const wire::PmixNames& asked,
                               wire::PmixNamesDone done,
                               ExchangeActions& actions) {
  wire::Peer message;
  done.set_id(asked.id());
  *message.mutable_names_done() = std::move(done);
  tell(asked.asker(), std::move(message), actions);
}

// ---- events and signals ------------------------------------------------------------------------

void JobExchange::hand_on(const wire::PmixEvent& event, ExchangeActions& actions) {
  // Positions are counted from the origin.
  const std::size_t count = nodes_.size();
  const std::size_t position = (self_ + count - event.origin()) % count;
  const std::size_t first = position * kEventFanOut + 1;
  for (std::size_t child = first; child < std::min(first + kEventFanOut, count); ++child) {
    wire::Peer message;
    *message.mutable_event() = event;
    const auto node = static_cast<std::uint32_t>((event.origin() + child) % count);
    if (!lost_[node]) actions.emplace_back(TellPeer{node, std::move(message)});
  }
}

void JobExchange::control(const wire::PmixControl& asked, ExchangeActions& actions) {
  wire::Peer message;
  if (asked.all()) {
    *message.mutable_control() = asked;
    return tell_all(message, actions);
  }
  std::map<std::uint32_t, wire::PmixControl> by_node;
  for (const std::uint32_t rank : asked.ranks()) {
    if (const auto node = fences_.node_of(rank)) by_node[*node].add_ranks(rank);
  }
  for (auto& [node, part] : by_node) {
    part.set_signal(asked.signal());
    *message.mutable_control() = std::move(part);
    tell(node, message, actions);
  }
}

// ---- spawning ----------------------------------------------------------------------------------

void JobExchange::spawn(const wire::PmixSpawn& asked, ExchangeActions& actions) {
  World made;
  made.asker = asked.asker();
  made.asker_id = asked.id();
  if (const std::int32_t status = place(asked, made.world); status != kPmixSuccess) {
    return answer_spawn(made.asker, made.asker_id, status, 0, 0, actions);
  }
  for (std::uint32_t node = 0; node < nodes_.size(); ++node) made.waiting_for.insert(node);
  wire::Peer message;
  *message.mutable_world() = made.world;
  worlds_.emplace(made.world.first(), std::move(made));
  tell_all(message, actions);
}

std::int32_t JobExchange::place(const wire::PmixSpawn& asked, wire::PmixWorld& world) {
  std::uint64_t count = 0;
  std::vector<bool> usable(nodes_.size(), true);
  for (const wire::PmixApp& app : asked.apps()) {
    count += app.count();
    if (app.hosts().empty()) continue;
    std::vector<bool> named(nodes_.size(), false);
    for (const std::string& host : app.hosts()) {
      const auto node = std::ranges::find(nodes_, host, &ExchangeNode::name);
      if (node == nodes_.end()) return kPmixNotFound;  // not a node of this job
      named[static_cast<std::size_t>(node - nodes_.begin())] = true;
    }
    usable = std::move(named);
  }
  if (count == 0 || asked.apps().empty()) return kPmixBadParameter;
  if (count > kMaxRanksOfWorld || worlds_.size() >= kMaxWorlds ||
      world_bytes_ + asked.ByteSizeLong() > kMaxWorldBytes) {
    return kPmixOutOfResource;
  }
  std::vector<std::uint32_t> here(nodes_.size(), 0);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::size_t best = nodes_.size();
    std::int64_t most = 0;
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      if (!usable[node] || lost_[node]) continue;
      const std::int64_t free = std::int64_t{nodes_[node].cores} - running_[node];
      if (best < nodes_.size() && free <= most) continue;
      best = node;
      most = free;
    }
    if (best == nodes_.size()) return kPmixUnreachable;
    ++here[best];
    ++running_[best];
  }
  world.set_first(next_rank_);
  world.set_count(static_cast<std::uint32_t>(count));
  world.set_parent(asked.rank());
  *world.mutable_apps() = asked.apps();
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (here[node] == 0) continue;
    wire::PmixBlock& block = *world.add_blocks();
    block.set_node_index(static_cast<std::uint32_t>(node));
    block.set_first(next_rank_);
    block.set_count(here[node]);
    next_rank_ += here[node];
  }
  return kPmixSuccess;
}

void JobExchange::know(const wire::PmixWorld& world, ExchangeActions& actions) {
  for (const wire::PmixBlock& block : world.blocks()) {
    if (block.node_index() >= nodes_.size()) return;
    fences_.add_ranks(block.node_index(), {block.first(), block.count()});
  }
  if (world_bytes_ + world.ByteSizeLong() > kMaxWorldBytes) {
    return say_ready(world.first(), kPmixOutOfResource, actions);
  }
  World& kept = worlds_[world.first()];
  forget(kept);
  kept.world = world;
  kept.bytes = world.ByteSizeLong();
  world_bytes_ += kept.bytes;
  TellPmix tell;
  *tell.message.mutable_add_world() = world;
  actions.emplace_back(std::move(tell));
}

// Our server is the user's process: what it prepares must be ranks of this node, each once.
bool JobExchange::are_of_this_node(const wire::PmixWorldReady& ready, const World& world) const {
  const auto& blocks = world.world.blocks();
  const auto block = std::find_if(blocks.begin(), blocks.end(), [&](const wire::PmixBlock& one) {
    return one.node_index() == self_;
  });
  std::set<std::uint32_t> seen;
  return std::all_of(ready.ranks().begin(), ready.ranks().end(), [&](const wire::RankEnv& rank) {
    return block != blocks.end() && rank.rank() >= block->first() &&
           rank.rank() - block->first() < block->count() && seen.insert(rank.rank()).second;
  });
}

void JobExchange::ready_here(const wire::PmixWorldReady& ready, ExchangeActions& actions) {
  const auto entry = worlds_.find(ready.first());
  if (entry == worlds_.end() || entry->second.started) return;
  World& world = entry->second;
  std::int32_t status = ready.status();
  if (!are_of_this_node(ready, world)) {
    status = kPmixBadParameter;
  } else if (world_bytes_ + ready.ByteSizeLong() > kMaxWorldBytes) {
    status = kPmixOutOfResource;
  } else if (status == kPmixSuccess && world.environments.empty()) {
    world.environments.assign(ready.ranks().begin(), ready.ranks().end());
    world.bytes += ready.ByteSizeLong();
    world_bytes_ += ready.ByteSizeLong();
  }
  say_ready(ready.first(), status, actions);
}

void JobExchange::say_ready(std::uint32_t first, std::int32_t status, ExchangeActions& actions) {
  wire::Peer to_first;
  to_first.mutable_world_ready()->set_first(first);
  to_first.mutable_world_ready()->set_status(status);
  tell(kFirstNode, std::move(to_first), actions);
}

// What it needs only until it is started.
void JobExchange::forget(World& world) {
  world_bytes_ -= std::exchange(world.bytes, 0);
  world.environments.clear();
  world.world.clear_apps();
}

void JobExchange::known(std::uint32_t from,
                        const wire::PmixWorldReady& ready,
                        ExchangeActions& actions) {
  const auto entry = worlds_.find(ready.first());
  if (entry == worlds_.end() || entry->second.waiting_for.erase(from) == 0) return;
  World& world = entry->second;
  if (ready.status() != kPmixSuccess) {
    world.waiting_for.clear();  // it is never started
    forget(world);
    return answer_spawn(world.asker, world.asker_id, ready.status(), 0, 0, actions);
  }
  if (!world.waiting_for.empty()) return;
  wire::Peer message;
  message.mutable_world_go()->set_first(ready.first());
  const std::uint32_t asker = world.asker;
  const std::uint64_t id = world.asker_id;
  const std::uint32_t count = world.world.count();
  tell_all(message, actions);
  answer_spawn(asker, id, kPmixSuccess, ready.first(), count, actions);
}

void JobExchange::go(std::uint32_t first, ExchangeActions& actions) {
  const auto entry = worlds_.find(first);
  if (entry == worlds_.end() || std::exchange(entry->second.started, true)) return;
  World& world = entry->second;
  // Of no ranks if none is here.
  if (!world.environments.empty()) {
    actions.emplace_back(StartRanks{world.world, std::exchange(world.environments, {})});
  }
  forget(world);
}

void JobExchange::answer_spawn(std::uint32_t asker,
                               std::uint64_t id,
                               std::int32_t status,
                               std::uint32_t first,
                               std::uint32_t count,
                               ExchangeActions& actions) {
  wire::Peer message;
  wire::PmixSpawnDone& done = *message.mutable_spawn_done();
  done.set_id(id);
  done.set_status(status);
  if (status == kPmixSuccess) done.set_name_space(world_suffix(first, count));
  tell(asker, std::move(message), actions);
}

}  // namespace gangway::executor
