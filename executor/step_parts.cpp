#include "executor/step_parts.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

namespace gangway::executor {

StepParts::StepParts(StepPartWorld world, Say say, TellPeer tell_peer)
    : world_(std::move(world)), say_(std::move(say)), tell_peer_(std::move(tell_peer)) {}

void StepParts::order(std::uint32_t step,
                      const wire::ToPart& message,
                      StepDescriptors descriptors) {
  const auto found = parts_.find(step);
  if (message.has_start()) {
    if (found == parts_.end()) start(step, message.start(), std::move(descriptors));
  } else if (found != parts_.end()) {
    found->second.part->on(message);
  }
}

void StepParts::start(std::uint32_t step,
                      const wire::PartStart& start,
                      StepDescriptors descriptors) {
  const auto say = [this, step, place = start.place()](wire::FromPart said) {
    const bool ended = said.has_ended();
    say_(step, place, std::move(said));
    if (ended) drop(step);
  };
  const std::vector<std::uint32_t> nodes(start.node_indices().begin(), start.node_indices().end());
  const auto tell = [this, step, nodes](std::uint32_t to, const wire::Peer& said) {
    if (to >= nodes.size()) return;
    wire::Peer peer;
    peer.mutable_step()->set_step(step);
    peer.mutable_step()->set_exchange(said.SerializeAsString());
    tell_peer_(nodes[to], peer);
  };
  StepPartWorld world = world_;
  // Who reads for others is no part of the job, which does not wait for it.
  if (start.run().host_files()) world.count_programs = [](int) {};
  auto part = std::make_unique<StepPart>(std::move(world), step, say, tell);
  StepPart& started = *part;
  parts_[step] = {std::move(part), nodes};
  started.start(start, std::move(descriptors));
  std::vector<Early> early;
  std::erase_if(early_, [&](Early& message) {
    if (message.step != step) return false;
    early.push_back(std::move(message));
    return true;
  });
  for (const Early& message : early) on_exchange(message.from, step, message.bytes);
}

void StepParts::drop(std::uint32_t step) {
  auto part = parts_.extract(step);
  if (part.empty()) return;
  auto kept = std::make_shared<std::unique_ptr<StepPart>>(std::move(part.mapped().part));
  world_.loop.post([kept] { kept->reset(); });  // we are inside one of its calls
}

void StepParts::on_exchange(std::uint32_t from, std::uint32_t step, const std::string& bytes) {
  const auto found = parts_.find(step);
  if (found == parts_.end()) {
    // Its servers may be quicker than the order to start ours.
    if (early_.size() < kMaxEarlyExchanges) early_.push_back({step, from, bytes});
    return;
  }
  wire::Peer said;
  if (!said.ParseFromString(bytes)) return;
  const std::vector<std::uint32_t>& nodes = found->second.nodes;
  const auto place = std::ranges::find(nodes, from);
  if (place == nodes.end()) return;
  found->second.part->on_exchange(static_cast<std::uint32_t>(place - nodes.begin()), said);
}

void StepParts::on_node_lost(std::uint32_t node_index) {
  for (const std::uint32_t number : numbers()) {
    const auto found = parts_.find(number);
    if (found == parts_.end()) continue;
    if (node_index == 0) {
      found->second.part->signal(SIGKILL);  // nobody is left to say how it ends
      continue;
    }
    const std::vector<std::uint32_t>& nodes = found->second.nodes;
    const auto place = std::ranges::find(nodes, node_index);
    if (place == nodes.end()) continue;
    found->second.part->on_place_lost(static_cast<std::uint32_t>(place - nodes.begin()));
  }
}

bool StepParts::signal(int number) {
  bool any = false;
  for (const std::uint32_t step : numbers()) {
    const auto found = parts_.find(step);
    if (found == parts_.end() || step >= kFirstInternalStep) continue;
    found->second.part->signal(number);
    any = true;
  }
  return any;
}

// A copy: parts end by what is said to them.
std::vector<std::uint32_t> StepParts::numbers() const {
  std::vector<std::uint32_t> all;
  for (const auto& [number, part] : parts_) all.push_back(number);
  return all;
}

}  // namespace gangway::executor
