#include "executor/gang_exchange.hpp"

#include <string>

#include "queues/base/check.hpp"

namespace gangway::executor {

using exchange_action::TellPeer;
using exchange_action::TellPmix;

namespace {

TellPmix answer_to_pmix(std::uint64_t id, std::int32_t status, std::string data = {}) {
  TellPmix tell;
  wire::PmixModexAnswer& answer = *tell.message.mutable_modex_answer();
  answer.set_id(id);
  answer.set_status(status);
  answer.set_data(std::move(data));
  return tell;
}

TellPeer answer_to_peer(std::uint32_t node,
                        std::uint64_t id,
                        std::int32_t status,
                        std::string data = {}) {
  TellPeer tell{.node_index = node, .message = {}};
  wire::ModexAnswer& answer = *tell.message.mutable_modex_answer();
  answer.set_id(id);
  answer.set_asker(node);
  answer.set_status(status);
  answer.set_data(std::move(data));
  return tell;
}

std::vector<RankRange> ranks_of(const std::vector<ExchangeNode>& nodes) {
  std::vector<RankRange> ranges;
  ranges.reserve(nodes.size());
  for (const ExchangeNode& node : nodes) ranges.push_back(node.ranks);
  return ranges;
}

}  // namespace

GangExchange::GangExchange(std::uint32_t self, std::vector<ExchangeNode> nodes)
    : self_(self),
      lost_(nodes.size(), false),
      fences_(self, ranks_of(nodes)),
      job_(self, std::move(nodes), fences_) {}

ExchangeActions GangExchange::on_pmix(const wire::FromPmix& message) {
  ExchangeActions actions;
  if (message.has_fence()) {
    tell(fences_.on_local(message.fence()), actions);
  } else if (message.has_modex_ask()) {
    ask(message.modex_ask(), actions);
  } else if (message.has_modex_answer()) {
    const wire::PmixModexAnswer& answer = message.modex_answer();
    const auto question = served_.find(answer.id());
    if (question == served_.end()) return actions;  // its asker is lost, or it was never asked
    const bool fits = answer.data().size() <= kMaxFenceBytes;
    actions.emplace_back(answer_to_peer(question->second.node, question->second.id,
                                        fits ? answer.status() : kPmixOutOfResource,
                                        fits ? answer.data() : std::string()));
    served_.erase(question);
  } else {
    job_.on_pmix(message, actions);
  }
  return actions;
}

ExchangeActions GangExchange::on_peer(std::uint32_t from, const wire::Peer& message) {
  ExchangeActions actions;
  if (from >= lost_.size() || from == self_) return actions;
  if (message.has_modex_ask()) {
    serve(from, message.modex_ask(), actions);
  } else if (message.has_modex_answer()) {
    const wire::ModexAnswer& answer = message.modex_answer();
    const auto question = asked_.find(answer.id());
    if (question == asked_.end() || question->second.node != from) return actions;
    actions.emplace_back(answer_to_pmix(answer.id(), answer.status(), answer.data()));
    asked_.erase(question);
  } else if (!job_.on_peer(from, message, actions)) {
    tell(fences_.on_peer(from, message), actions);
  }
  return actions;
}

ExchangeActions GangExchange::on_peer_lost(std::uint32_t node_index) {
  ExchangeActions actions;
  if (node_index >= lost_.size()) return actions;
  lost_[node_index] = true;
  tell(fences_.on_peer_lost(node_index), actions);
  job_.on_peer_lost(node_index, actions);
  std::erase_if(served_, [&](const auto& entry) { return entry.second.node == node_index; });
  std::erase_if(asked_, [&](const auto& entry) {
    if (entry.second.node != node_index) return false;
    actions.emplace_back(answer_to_pmix(entry.first, kPmixLostConnection));
    return true;
  });
  return actions;
}

void GangExchange::tell(FenceActions from, ExchangeActions& actions) {
  for (FenceAction& action : from) {
    if (FenceSend* send = std::get_if<FenceSend>(&action)) {
      actions.emplace_back(TellPeer{send->node_index, std::move(send->message)});
      continue;
    }
    FenceComplete& complete = std::get<FenceComplete>(action);
    TellPmix done;
    done.message.mutable_fence_done()->set_id(complete.local_id);
    done.message.mutable_fence_done()->set_status(complete.status);
    done.message.mutable_fence_done()->set_data(std::move(complete.data));
    actions.emplace_back(std::move(done));
  }
}

void GangExchange::ask(const wire::PmixModexAsk& question, ExchangeActions& actions) {
  if (asked_.contains(question.id())) return;  // numbers are used once
  const std::optional<std::uint32_t> node = fences_.node_of(question.rank());
  std::int32_t refusal = kPmixSuccess;
  if (!node || *node == self_) {
    refusal = kPmixNotFound;  // our own ranks' data is with our server already
  } else if (lost_[*node]) {
    refusal = kPmixLostConnection;
  } else if (asked_.size() >= kMaxOpenModex) {
    refusal = kPmixOutOfResource;
  }
  if (refusal != kPmixSuccess) {
    actions.emplace_back(answer_to_pmix(question.id(), refusal));
    return;
  }
  asked_.emplace(question.id(), Question{*node, question.id()});
  TellPeer tell{.node_index = *node, .message = {}};
  tell.message.mutable_modex_ask()->set_id(question.id());
  tell.message.mutable_modex_ask()->set_asker(self_);
  tell.message.mutable_modex_ask()->set_rank(question.rank());
  actions.emplace_back(std::move(tell));
}

void GangExchange::serve(std::uint32_t from,
                         const wire::ModexAsk& question,
                         ExchangeActions& actions) {
  if (fences_.node_of(question.rank()) != self_) {
    actions.emplace_back(answer_to_peer(from, question.id(), kPmixNotFound));
    return;
  }
  if (served_.size() >= kMaxOpenModex) {
    actions.emplace_back(answer_to_peer(from, question.id(), kPmixOutOfResource));
    return;
  }
  const std::uint64_t id = next_served_++;
  served_.emplace(id, Question{from, question.id()});
  TellPmix tell;
  tell.message.mutable_modex_ask()->set_id(id);
  tell.message.mutable_modex_ask()->set_rank(question.rank());
  actions.emplace_back(std::move(tell));
}

}  // namespace gangway::executor
