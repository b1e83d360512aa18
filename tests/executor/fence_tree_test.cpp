#include "executor/fence_tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

std::vector<RankRange> block_ranks(std::uint32_t nodes, std::uint32_t ranks_per_node) {
  std::vector<RankRange> result;
  for (std::uint32_t i = 0; i < nodes; ++i) result.push_back({i * ranks_per_node, ranks_per_node});
  return result;
}

wire::PmixFence whole_fence(std::uint64_t id, std::string data) {
  wire::PmixFence fence;
  fence.set_id(id);
  fence.set_whole(true);
  fence.set_data(std::move(data));
  return fence;
}

wire::PmixFence fence_of(std::uint64_t id,
                         const std::vector<std::uint32_t>& ranks,
                         std::string data) {
  wire::PmixFence fence;
  fence.set_id(id);
  fence.mutable_ranks()->Assign(ranks.begin(), ranks.end());
  fence.set_data(std::move(data));
  return fence;
}

// A gang of trees joined by FIFO links that deliver when told to.
class Gang {
 public:
  Gang(std::vector<RankRange> nodes, std::uint32_t fan_out) : done_(nodes.size()) {
    const auto count = static_cast<std::uint32_t>(nodes.size());
    for (std::uint32_t i = 0; i < count; ++i) trees_.emplace_back(i, nodes, fan_out);
    lost_.assign(count, false);
  }

  void arrive(std::uint32_t node, const wire::PmixFence& fence) {
    if (!lost_[node]) take(node, trees_[node].on_local(fence), 0);
  }

  // Delivers the oldest message of a link chosen by `rng`; false if none is under way.
  bool deliver(Rng& rng) {
    if (links_.empty()) return false;
    auto link =
        std::next(links_.begin(), rng.between(0, static_cast<std::int64_t>(links_.size()) - 1));
    const auto [from, to] = link->first;
    const Message message = std::move(link->second.front());
    link->second.pop_front();
    if (link->second.empty()) links_.erase(link);
    if (!lost_[to]) take(to, trees_[to].on_peer(from, message.peer), message.depth);
    return true;
  }
  void deliver_all(Rng& rng) {
    while (deliver(rng)) {
    }
  }

  // The node is gone with what it has sent and not delivered; `noticing` are told.
  void lose(std::uint32_t node, const std::set<std::uint32_t>& noticing) {
    lost_[node] = true;
    std::erase_if(links_, [&](const auto& link) {
      return link.first.first == node || link.first.second == node;
    });
    for (const std::uint32_t other : noticing) {
      if (!lost_[other]) take(other, trees_[other].on_peer_lost(node), 0);
    }
  }

  const std::vector<FenceComplete>& done(std::uint32_t node) const { return done_[node]; }
  const FenceTree& tree(std::uint32_t node) const { return trees_[node]; }
  int depth_max() const { return depth_max_; }
  int sent() const { return sent_; }
  int sent_max() const { return sent_max_; }  // by one node

 private:
  struct Message {
    wire::Peer peer;
    int depth = 0;
  };

  void take(std::uint32_t node, FenceActions actions, int depth) {
    for (FenceAction& action : actions) {
      if (FenceComplete* complete = std::get_if<FenceComplete>(&action)) {
        done_[node].push_back(std::move(*complete));
        continue;
      }
      FenceSend& send = std::get<FenceSend>(action);
      ++sent_;
      sent_max_ = std::max(sent_max_, ++sent_by_[node]);
      depth_max_ = std::max(depth_max_, depth + 1);
      if (!lost_[send.node_index]) {
        links_[{node, send.node_index}].push_back({std::move(send.message), depth + 1});
      }
    }
  }

  int sent_max_ = 0;
  std::map<std::uint32_t, int> sent_by_;
  std::vector<FenceTree> trees_;
  std::vector<bool> lost_;
  std::vector<std::vector<FenceComplete>> done_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::deque<Message>> links_;
  int depth_max_ = 0;
  int sent_ = 0;
};

std::vector<std::string> sorted_pieces(const std::string& data) {
  std::vector<std::string> pieces;
  for (const std::string_view piece : split(data, ';')) {
    if (!piece.empty()) pieces.emplace_back(piece);
  }
  std::ranges::sort(pieces);
  return pieces;
}

TEST(FenceTree, EveryNodeGetsTheBytesOfAllNodes) {
  Gang gang(block_ranks(4, 2), 8);
  Rng rng(1);
  for (std::uint32_t node = 0; node < 4; ++node) {
    gang.arrive(node, whole_fence(100 + node, cat(node, ";")));
  }
  gang.deliver_all(rng);
  for (std::uint32_t node = 0; node < 4; ++node) {
    ASSERT_EQ(gang.done(node).size(), 1u);
    EXPECT_EQ(gang.done(node)[0].local_id, 100 + node);
    EXPECT_EQ(gang.done(node)[0].status, kPmixSuccess);
    EXPECT_EQ(gang.done(node)[0].data, "0;1;2;3;");
  }
}

TEST(FenceTree, AFenceOfOneNodeIsDoneAtOnce) {
  FenceTree tree(1, block_ranks(3, 2));
  const FenceActions actions = tree.on_local(fence_of(7, {2, 3}, "x"));
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(std::get<FenceComplete>(actions[0]).data, "x");
}

TEST(FenceTree, NobodyIsDoneBeforeTheLastHasArrived) {
  Gang gang(block_ranks(20, 1), 3);
  Rng rng(2);
  for (std::uint32_t node = 0; node < 20; ++node) {
    for (std::uint32_t other = 0; other < 20; ++other) EXPECT_TRUE(gang.done(other).empty());
    gang.arrive(node, whole_fence(1, ""));
    if (node < 19) gang.deliver_all(rng);
  }
  gang.deliver_all(rng);
  for (std::uint32_t node = 0; node < 20; ++node) EXPECT_EQ(gang.done(node).size(), 1u);
}

TEST(FenceTree, NoNodeSaysMoreThanAFewTimesHoweverManyThereAre) {
  Rng rng(3);
  for (const std::uint32_t nodes : {2u, 8u, 64u, 500u, 1000u}) {
    Gang gang(block_ranks(nodes, 1), 8);
    for (std::uint32_t node = 0; node < nodes; ++node) gang.arrive(node, whole_fence(1, "x"));
    gang.deliver_all(rng);
    EXPECT_EQ(gang.done(nodes - 1)[0].status, kPmixSuccess);
    EXPECT_LE(gang.sent_max(), 1 + 8) << nodes;  // up to the parent, down to the children
    int levels = 1;
    for (std::uint64_t reach = 1, width = 1; reach < nodes; reach += width) width *= 8, ++levels;
    EXPECT_LE(gang.depth_max(), 2 * (levels - 1)) << nodes;
  }
}

TEST(FenceTree, DepthIsLogarithmicAndMessagesAreLinear) {
  Gang gang(block_ranks(1000, 1), 8);
  Rng rng(3);
  for (std::uint32_t node = 0; node < 1000; ++node) gang.arrive(node, whole_fence(1, "x"));
  gang.deliver_all(rng);
  EXPECT_EQ(gang.done(999)[0].data.size(), 1000u);
  EXPECT_EQ(gang.sent(), 2 * 999);
  // Levels of 1, 8, 64, 512 and the rest: 4 steps up and 4 down.
  EXPECT_LE(gang.depth_max(), 8);
}

TEST(FenceTree, NodesWithoutRanksTakeNoPart) {
  Gang gang({{0, 2}, {2, 0}, {2, 2}}, 8);
  Rng rng(4);
  gang.arrive(0, whole_fence(1, "a"));
  gang.arrive(2, whole_fence(1, "b"));
  gang.deliver_all(rng);
  EXPECT_EQ(gang.done(0)[0].data, "ab");
  EXPECT_EQ(gang.done(2)[0].data, "ab");
  EXPECT_TRUE(gang.done(1).empty());
}

TEST(FenceTree, AllRanksByNumberAreTheWhole) {
  Gang gang(block_ranks(2, 2), 8);
  Rng rng(5);
  gang.arrive(0, whole_fence(1, "a"));
  gang.arrive(1, fence_of(1, {3, 1, 0, 2, 2}, "b"));
  gang.deliver_all(rng);
  EXPECT_EQ(gang.done(0).size(), 1u);
  EXPECT_EQ(gang.done(1).size(), 1u);
}

TEST(FenceTree, RanksThatDoNotExistOrAreNotOursAreRefused) {
  FenceTree tree(0, block_ranks(2, 2));
  for (const std::vector<std::uint32_t>& ranks :
       {std::vector<std::uint32_t>{0, 4}, {2, 3}, {}, {0xffffffff}}) {
    const FenceActions actions = tree.on_local(fence_of(9, ranks, ""));
    ASSERT_EQ(actions.size(), 1u);
    EXPECT_EQ(std::get<FenceComplete>(actions[0]).status, kPmixBadParameter);
  }
  EXPECT_EQ(tree.open_fences(), 0u);
}

TEST(FenceTree, LateAndStrayMessagesChangeNothing) {
  Gang gang(block_ranks(2, 1), 8);
  Rng rng(6);
  gang.arrive(0, whole_fence(1, "a"));
  gang.arrive(1, whole_fence(1, "b"));
  gang.deliver_all(rng);
  FenceTree root = gang.tree(0);
  wire::Peer late;
  late.mutable_fence_up()->mutable_id()->set_signature("*");
  late.mutable_fence_up()->set_data("again");
  EXPECT_TRUE(root.on_peer(1, late).empty());
  wire::Peer stray;
  stray.mutable_fence_down()->mutable_id()->set_signature("*");
  stray.mutable_fence_down()->mutable_id()->set_counter(1);
  stray.mutable_fence_down()->set_data("forged");
  EXPECT_TRUE(root.on_peer(1, stray).empty());
  EXPECT_TRUE(root.on_peer(77, stray).empty());
  EXPECT_TRUE(root.on_peer(1, wire::Peer()).empty());
  EXPECT_EQ(root.open_fences(), 0u);
  EXPECT_TRUE(root.on_local(whole_fence(2, "a")).empty());  // waits for node 1, as it should
}

TEST(FenceTree, TooManyBytesFailTheFenceEverywhere) {
  Gang gang(block_ranks(3, 1), 1);  // a chain: the middle one notices
  Rng rng(7);
  gang.arrive(0, whole_fence(1, "small"));
  gang.arrive(1, whole_fence(1, std::string(kMaxFenceBytes / 2 + 1, 'x')));
  gang.arrive(2, whole_fence(1, std::string(kMaxFenceBytes / 2 + 1, 'y')));
  gang.deliver_all(rng);
  for (std::uint32_t node = 0; node < 3; ++node) {
    ASSERT_EQ(gang.done(node).size(), 1u);
    EXPECT_EQ(gang.done(node)[0].status, kPmixOutOfResource);
    EXPECT_TRUE(gang.done(node)[0].data.empty());
    EXPECT_EQ(gang.tree(node).open_fences(), 0u);
  }
  // The bytes are given back: the next fence has the whole room again.
  for (std::uint32_t node = 0; node < 3; ++node) {
    gang.arrive(node, whole_fence(2, std::string(kMaxFenceBytes / 3, 'z')));
  }
  gang.deliver_all(rng);
  EXPECT_EQ(gang.done(0)[1].status, kPmixSuccess);
}

TEST(FenceTree, MessagesFitIntoAFrame) {
  FenceTree leaf(1, block_ranks(2, 1));
  const FenceActions actions = leaf.on_local(fence_of(1, {0, 1}, std::string(kMaxFenceBytes, 'x')));
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_LE(std::get<FenceSend>(actions[0]).message.ByteSizeLong(), wire::kMaxPayloadBytes);
}

TEST(FenceTree, OpenFencesAreBounded) {
  FenceTree leaf(1, {{0, 64}, {64, 64}});
  std::size_t refused = 0;
  for (std::uint32_t i = 0; i < 2 * kMaxOpenFences; ++i) {
    const FenceActions actions = leaf.on_local(fence_of(i, {i % 64, 64 + i / 64}, "x"));
    for (const FenceAction& action : actions) {
      if (const auto* complete = std::get_if<FenceComplete>(&action)) {
        EXPECT_EQ(complete->status, kPmixOutOfResource);
        ++refused;
      }
    }
  }
  EXPECT_EQ(leaf.open_fences(), kMaxOpenFences);
  EXPECT_EQ(refused, kMaxOpenFences);
}

TEST(FenceTree, ALostPeerFailsItsFencesAndNoOthers) {
  Gang gang(block_ranks(4, 1), 8);
  Rng rng(8);
  gang.arrive(0, whole_fence(1, "a"));
  gang.arrive(0, fence_of(2, {0, 1}, "b"));
  gang.arrive(1, whole_fence(1, "a"));
  gang.deliver_all(rng);
  gang.lose(3, {0, 1, 2});
  gang.deliver_all(rng);
  ASSERT_EQ(gang.done(0).size(), 1u);
  EXPECT_EQ(gang.done(0)[0].local_id, 1u);
  EXPECT_EQ(gang.done(0)[0].status, kPmixLostConnection);
  gang.arrive(1, fence_of(2, {0, 1}, "c"));
  gang.arrive(2, whole_fence(1, "late"));
  gang.deliver_all(rng);
  EXPECT_EQ(gang.done(0)[1].status, kPmixSuccess);
  EXPECT_EQ(gang.done(0)[1].data, "bc");
  EXPECT_EQ(gang.done(1)[0].status, kPmixLostConnection);
  EXPECT_EQ(gang.done(2)[0].status, kPmixLostConnection);
  gang.arrive(2, whole_fence(2, "later"));
  EXPECT_EQ(gang.done(2)[1].status, kPmixLostConnection);
}

// ---- properties, over seeds --------------------------------------------------------------------

struct Planned {  // one collective: the same list of sets is met by each node in its own order
  std::vector<std::uint32_t> ranks;  // empty: whole
  std::vector<std::uint32_t> nodes;
};

std::vector<RankRange> random_ranks(Rng& rng, std::uint32_t nodes) {
  std::vector<RankRange> result;
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; i < nodes; ++i) {
    const auto count = static_cast<std::uint32_t>(rng.between(1, 3));
    result.push_back({next, count});
    next += count;
  }
  return result;
}

Planned random_set(Rng& rng, const std::vector<RankRange>& ranges) {
  Planned plan;
  if (rng.chance(300)) {
    for (std::uint32_t node = 0; node < ranges.size(); ++node) plan.nodes.push_back(node);
    return plan;
  }
  while (plan.nodes.empty()) {
    for (std::uint32_t node = 0; node < ranges.size(); ++node) {
      std::vector<std::uint32_t> here;
      for (std::uint32_t i = 0; i < ranges[node].count; ++i) {
        if (rng.chance(500)) here.push_back(ranges[node].first + i);
      }
      if (here.empty()) continue;
      plan.nodes.push_back(node);
      plan.ranks.insert(plan.ranks.end(), here.begin(), here.end());
    }
  }
  // In any order: the set counts.
  for (std::size_t i = plan.ranks.size(); i > 1; --i) {
    std::swap(plan.ranks[i - 1],
              plan.ranks[static_cast<std::size_t>(rng.between(0, static_cast<int>(i) - 1))]);
  }
  return plan;
}

std::string piece(std::size_t collective, std::uint32_t round, std::uint32_t node) {
  return cat('c', collective, 'r', round, 'n', node, ';');
}

class FenceTreeProperty : public testing::TestWithParam<int> {};

TEST_P(FenceTreeProperty, EachParticipantGetsEverybodysDataExactlyOnce) {
  for (int seed = GetParam() * 50; seed < GetParam() * 50 + 50; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    Rng rng(static_cast<std::uint64_t>(seed));
    const auto count = static_cast<std::uint32_t>(rng.between(1, 64));
    const std::vector<RankRange> ranges = random_ranks(rng, count);
    Gang gang(ranges, static_cast<std::uint32_t>(rng.between(1, 8)));

    std::vector<Planned> plans;
    std::set<std::vector<std::uint32_t>> known;
    for (std::int64_t i = rng.between(1, 5); i > 0; --i) {
      Planned plan = random_set(rng, ranges);
      std::vector<std::uint32_t> key = plan.ranks;
      std::ranges::sort(key);
      if (key.size() == ranges.back().first + ranges.back().count) key.clear();  // the whole
      if (known.insert(key).second) plans.push_back(std::move(plan));
    }
    const auto rounds = static_cast<std::uint32_t>(rng.between(1, 3));
    // Node -> the collectives it has to arrive at, each `rounds` times.
    std::vector<std::vector<std::size_t>> to_do(count);
    for (std::size_t c = 0; c < plans.size(); ++c) {
      for (const std::uint32_t node : plans[c].nodes) {
        to_do[node].insert(to_do[node].end(), rounds, c);
      }
    }
    std::vector<std::map<std::size_t, std::uint32_t>> round_of(count);
    std::size_t left = 0;
    for (auto& list : to_do) left += list.size();
    const std::size_t total = left;

    while (left > 0 || gang.deliver(rng)) {
      if (left == 0 || rng.chance(600)) {
        gang.deliver(rng);
        continue;
      }
      const auto node = static_cast<std::uint32_t>(rng.between(0, count - 1));
      if (to_do[node].empty()) continue;
      const auto pick = static_cast<std::size_t>(
          rng.between(0, static_cast<std::int64_t>(to_do[node].size()) - 1));
      const std::size_t c = to_do[node][pick];
      const std::uint32_t round = round_of[node][c];
      // As PMIx does: a set's next fence begins when its last one is over here.
      const std::uint64_t id = c * 100 + round;
      if (round > 0 && std::ranges::none_of(gang.done(node), [&](const FenceComplete& done) {
            return done.local_id == id - 1;
          })) {
        gang.deliver(rng);
        continue;
      }
      to_do[node].erase(to_do[node].begin() + static_cast<std::ptrdiff_t>(pick));
      ++round_of[node][c];
      --left;
      wire::PmixFence fence = plans[c].ranks.empty()
                                  ? whole_fence(id, piece(c, round, node))
                                  : fence_of(id, plans[c].ranks, piece(c, round, node));
      gang.arrive(node, fence);
    }

    std::size_t seen = 0;
    for (std::uint32_t node = 0; node < count; ++node) {
      EXPECT_EQ(gang.tree(node).open_fences(), 0u);
      for (const FenceComplete& done : gang.done(node)) {
        ++seen;
        const std::size_t c = done.local_id / 100;
        const auto round = static_cast<std::uint32_t>(done.local_id % 100);
        std::string expected;
        for (const std::uint32_t other : plans[c].nodes) expected += piece(c, round, other);
        EXPECT_EQ(done.status, kPmixSuccess);
        EXPECT_EQ(sorted_pieces(done.data), sorted_pieces(expected));
      }
    }
    EXPECT_EQ(seen, total);
  }
}

TEST_P(FenceTreeProperty, AfterALossEveryParticipantEndsWithSuccessOrFailure) {
  for (int seed = GetParam() * 50; seed < GetParam() * 50 + 50; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    Rng rng(static_cast<std::uint64_t>(seed) + 1'000'000);
    const auto count = static_cast<std::uint32_t>(rng.between(2, 64));
    const std::vector<RankRange> ranges = random_ranks(rng, count);
    const auto fan_out = static_cast<std::uint32_t>(rng.between(1, 8));
    Gang gang(ranges, fan_out);
    const auto victim = static_cast<std::uint32_t>(rng.between(0, count - 1));
    // Only the tree's neighbours notice.
    std::set<std::uint32_t> neighbours;
    if (victim > 0) neighbours.insert((victim - 1) / fan_out);
    for (std::uint32_t i = 1; i <= fan_out; ++i) {
      if (victim * fan_out + i < count) neighbours.insert(victim * fan_out + i);
    }
    std::vector<std::uint32_t> order;
    for (std::uint32_t node = 0; node < count; ++node) order.push_back(node);
    for (std::size_t i = count; i > 1; --i) {
      std::swap(order[i - 1],
                order[static_cast<std::size_t>(rng.between(0, static_cast<int>(i) - 1))]);
    }
    const std::int64_t lost_after = rng.between(0, count - 1);
    for (std::int64_t i = 0; i < count; ++i) {
      if (i == lost_after) gang.lose(victim, neighbours);
      gang.arrive(order[static_cast<std::size_t>(i)], whole_fence(1, "x"));
      for (std::int64_t k = rng.between(0, 4); k > 0; --k) gang.deliver(rng);
    }
    gang.deliver_all(rng);
    for (std::uint32_t node = 0; node < count; ++node) {
      if (node == victim) continue;
      ASSERT_EQ(gang.done(node).size(), 1u) << "node " << node << " victim " << victim;
      const FenceComplete& done = gang.done(node)[0];
      if (done.status == kPmixSuccess) {
        EXPECT_EQ(done.data.size(), count);
      }
      EXPECT_EQ(gang.tree(node).open_fences(), 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FenceTreeProperty, testing::Range(0, 4));

}  // namespace
}  // namespace gangway::executor
