// The rule by which jobs pass the one reserved job, held against two others: on equal nodes the
// published one, which counts; on unequal ones the search for all its nodes anew.
#include "scheduler/policy/shadow.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway::scheduler {
namespace {

using Ids = std::vector<std::uint64_t>;

struct Counted {
  std::uint64_t id = 0;
  int nodes = 0;
  std::int64_t until = 0;  // its end if it starts at 0, or runs since
};

// EASY backfilling as in A. Mu'alem, D. Feitelson 2001, at time 0.
Ids starts_by_counting(int free, std::vector<Counted> running, const std::vector<Counted>& line) {
  Ids out;
  auto job = line.begin();
  for (; job != line.end() && job->nodes <= free; ++job) {
    free -= job->nodes;
    running.push_back(*job);
    out.push_back(job->id);
  }
  if (job == line.end()) return out;
  std::ranges::sort(running, {}, &Counted::until);
  int available = free;
  std::int64_t shadow = 0;
  for (const Counted& one : running) {
    if (available >= job->nodes && one.until > shadow) break;
    available += one.nodes;
    shadow = one.until;
  }
  int extra = available - job->nodes;
  for (++job; job != line.end(); ++job) {
    if (job->nodes > free) continue;
    if (job->until > shadow) {
      if (job->nodes > extra) continue;
      extra -= job->nodes;
    }
    free -= job->nodes;
    out.push_back(job->id);
  }
  return out;
}

TEST(Shadow, OnEqualNodesItIsTheRuleOfExtraNodes) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    Rng rng(seed);
    const auto all = static_cast<int>(rng.between(2, 40));
    LittleCluster cluster;
    cluster.nodes(all, 1);
    int free = all;
    std::vector<Counted> running;
    std::uint64_t id = 0;
    while (rng.chance(900)) {
      const Counted one{++id, static_cast<int>(rng.between(1, 6)), rng.between(1, 50)};
      if (one.nodes > free) break;
      free -= one.nodes;
      running.push_back(one);
      cluster.waits(job(id).nodes(one.nodes).limit(seconds(one.until)));
    }
    (void)cluster.pass(at_s(0));
    std::vector<Counted> line;
    for (int i = 0; i < 40; ++i) {
      line.push_back(
          {++id, static_cast<int>(rng.between(1, std::min(all, 12))), rng.between(1, 100)});
      // No two are of one kind, so each is tried.
      cluster.waits(job(id)
                        .nodes(line.back().nodes)
                        .limit(seconds(line.back().until))
                        .memory(mebibytes(static_cast<std::int64_t>(id))));
    }
    EXPECT_EQ(started(cluster.pass(at_s(0))), starts_by_counting(free, running, line));
  }
}

// Random single-component requests on random nodes, some of them busy.
struct Scene {
  Profile profile;
  std::vector<Request> requests;  // the first is the reserved one
};

Scene make_scene(Rng& rng) {
  Scene scene;
  scene.profile.set_queues({batch_queue()});
  const auto nodes = static_cast<int>(rng.between(3, 12));
  for (int i = 1; i <= nodes; ++i) {
    scene.profile.set_node(
        node_name(i), capacity(static_cast<int>(rng.between(1, 8)), gibibytes(rng.between(1, 8))),
        true);
  }
  for (int i = 0; i < 40; ++i) {
    CandidateBuilder b = job(static_cast<std::uint64_t>(i) + 1);
    b.nodes(static_cast<int>(rng.between(1, i == 0 ? nodes : 4)))
        .cores(static_cast<int>(rng.between(1, 4)))
        .memory(gibibytes(rng.between(0, 3)));
    if (rng.chance(150)) b.exclusive();
    if (rng.chance(900)) b.limit(seconds(rng.between(1, 100)));
    const Candidate candidate = b;
    scene.requests.push_back(make_request(candidate.queue, candidate.limit, candidate.components,
                                          scene.profile.kinds()));
  }
  scene.profile.settle();
  return scene;
}

TEST(Shadow, AJobIsInTheWayIfTheReservedOneFindsNoNodesAnyMore) {
  int in_the_way = 0;
  int lets_pass = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    Rng rng(seed);
    Scene scene = make_scene(rng);
    Profile& profile = scene.profile;
    const Time now = at_s(0);
    profile.advance(now);
    std::size_t next = 1;
    for (; next < 10; ++next) {
      const auto placed = place_now(profile, scene.requests[next], now).placement;
      if (!placed) continue;
      profile.start(key(next + 1), planned_end(end_of(now, scene.requests[next].limit)),
                    claims_of(profile, scene.requests[next], *placed, true));
    }
    const Request& first = scene.requests[0];
    auto earliest = place_earliest(profile, first, now);
    if (!earliest || earliest->at == now) continue;
    const Reserved reserved{key(1), &first, earliest->at, std::move(earliest->placement)};
    const auto hold = [&](const Reserved& what) {
      profile.reserve(what.key, what.start, end_of(what.start, first.limit),
                      claims_of(profile, first, what.placement, false));
    };
    hold(reserved);
    Shadow shadow(profile, reserved);
    for (; next < scene.requests.size(); ++next) {
      const Request& request = scene.requests[next];
      const auto placement = place_now_in_the_way(profile, request, shadow.nodes());
      if (!placement) continue;
      const auto claims = claims_of(profile, request, *placement, true);
      const Time end = end_of(now, request.limit);
      const auto lost = shadow.lost_to(claims, end);
      // As if nothing had been reserved yet.
      profile.end(reserved.key);
      profile.start(key(next + 1), end, claims);
      const bool finds_all = place_at(profile, first, reserved.start).has_value();
      profile.end(key(next + 1));
      hold({reserved.key, &first, reserved.start, shadow.placement()});
      ASSERT_EQ(shadow.can_lose(lost), finds_all);
      if (!finds_all) {
        ++in_the_way;
        continue;
      }
      ++lets_pass;
      profile.start(key(next + 1), planned_end(end), claims);
      shadow.on_started(claims);
      const Placement more{shadow.on_lost(lost)};
      profile.move_reservation(reserved.key, lost, claims_of(profile, first, more, false));
      const Placement moved = shadow.placement();
      for (const NodeIndex node : moved.front()) {
        const Amounts free = profile.timeline_of(node).at(reserved.start);
        EXPECT_GE(*std::ranges::min_element(free.of), 0) << "given twice";
      }
      EXPECT_EQ(moved.front().size(), reserved.placement.front().size());
    }
  }
  EXPECT_GT(in_the_way, 100);
  EXPECT_GT(lets_pass, 100);
}

}  // namespace
}  // namespace gangway::scheduler
