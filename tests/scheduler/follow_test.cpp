#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

World one_node() {
  World world;
  world.start().node("n1", 1);
  return world;
}

wire::Request follow(std::uint64_t from, std::uint32_t max = 0) {
  wire::Request request;
  request.mutable_follow()->set_from_seq(from);
  request.mutable_follow()->set_max_events(max);
  return request;
}

// The numbers of the events that a stream was told.
std::vector<std::uint64_t> told(World& world, std::uint32_t stream) {
  std::vector<std::uint64_t> seqs;
  for (const wire::Response& response : world.answers(stream)) {
    for (const wire::Event& event : response.news().events()) seqs.push_back(event.seq());
  }
  return seqs;
}

std::vector<std::uint64_t> range(std::uint64_t first, std::uint64_t end) {
  std::vector<std::uint64_t> seqs;
  for (; first < end; ++first) seqs.push_back(first);
  return seqs;
}

TEST(Follow, BeginsWithTheCursorAndTellsWhatHappensThen) {
  World world = one_node();
  world.submit(job());
  const std::uint64_t next = world.next_seq;
  const std::uint32_t stream = world.ask_later(kAlice, follow(0));
  ASSERT_EQ(world.answers(stream).size(), 1U);
  EXPECT_EQ(world.answers(stream)[0].news().next_seq(), next);
  EXPECT_TRUE(world.answers(stream)[0].more());
  world.run_to_end(1);
  EXPECT_EQ(told(world, stream), range(next, world.next_seq));
}

TEST(Follow, TellsOldEventsFromTheStoreFirstWithoutAGap) {
  World world = one_node();
  for (int i = 0; i < 600; ++i) world.submit(job().held());
  const std::uint32_t stream = world.ask_later(kAlice, follow(1));
  world.submit(job());
  EXPECT_GT(world.next_seq, 600U);
  EXPECT_EQ(told(world, stream), range(1, world.next_seq));
}

TEST(Follow, EndsWithACursorWhenItsCreditIsUsedUp) {
  World world = one_node();
  for (int i = 0; i < 20; ++i) world.submit(job().held());
  const std::uint32_t stream = world.ask_later(kAlice, follow(1, 15));
  EXPECT_EQ(told(world, stream), range(1, 16));
  const wire::Response last = world.answers(stream).back();
  EXPECT_FALSE(last.more());
  EXPECT_EQ(last.news().next_seq(), 16U);
  const std::uint32_t rest = world.ask_later(kAlice, follow(16));
  EXPECT_EQ(told(world, rest), range(16, world.next_seq));
  world.submit(job());
  EXPECT_EQ(told(world, stream).size(), 15U);
}

TEST(Follow, GoesOnAfterARestartWhereItWas) {
  World world = one_node();
  world.submit(job());
  const std::uint32_t first = world.ask_later(kAlice, follow(1));
  const std::uint64_t next = told(world, first).back() + 1;
  world.restart();
  const std::uint32_t second = world.ask_later(kAlice, follow(next));
  world.submit(job());
  EXPECT_EQ(told(world, second), range(next, world.next_seq));
}

TEST(Follow, OfANumberThatWasNotGivenIsRefused) {
  World world = one_node();
  EXPECT_EQ(world.ask(kAlice, follow(1000)).error().kind(),
            static_cast<std::uint32_t>(ErrorKind::NotFound));
}

TEST(Follow, EndsWithItsConnectionAndIsCounted) {
  World world = one_node();
  const auto following = [&] {
    wire::Request ping;
    ping.mutable_ping();
    return world.ask(kAlice, ping).pong().followers();
  };
  static_cast<void>(world.ask_later(kAlice, follow(0)));
  EXPECT_EQ(following(), 1U);
  world.perform(world.controller->on_client_closed(world.client, world.now));
  EXPECT_EQ(following(), 0U);
}

// How the last view of this job that the stream was sent puts it; nullptr if there was none.
const wire::JobView* last_view(const std::vector<wire::Response>& answers, std::uint64_t id) {
  const wire::JobView* last = nullptr;
  for (const wire::Response& response : answers) {
    for (const wire::JobView& view : response.news().jobs()) {
      if (view.state().key().job() == id) last = &view;
    }
  }
  return last;
}

TEST(Follow, WithViewsTellsHowJobsAndNodesAreSoThatNobodyNeedAsk) {
  World world = one_node();
  wire::Request request = follow(0);
  request.mutable_follow()->set_with_views(true);
  const std::uint32_t stream = world.ask_later(kAlice, request);
  const std::uint64_t id = world.submit(job());
  const auto core_is_used = [&] {
    std::optional<std::int64_t> cores;
    for (const wire::Response& response : world.answers(stream)) {
      for (const wire::NodeView& node : response.news().nodes()) cores = node.used().cores();
    }
    return cores;
  };
  EXPECT_EQ(core_is_used(), 1);
  world.run_to_end(id);
  const std::vector<wire::Response> answers = world.answers(stream);
  const wire::JobView* const view = last_view(answers, id);
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(view->state().owner().user(), "alice");
  EXPECT_TRUE(view->state().has_outcome());
  EXPECT_EQ(core_is_used(), 0);
}

TEST(Follow, WithoutViewsTellsEventsAlone) {
  World world = one_node();
  const std::uint32_t stream = world.ask_later(kAlice, follow(0));
  world.run_to_end(world.submit(job()));
  EXPECT_EQ(last_view(world.answers(stream), 1), nullptr);
  for (const wire::Response& response : world.answers(stream)) {
    EXPECT_EQ(response.news().nodes_size(), 0);
  }
}

}  // namespace
}  // namespace gangway::scheduler
