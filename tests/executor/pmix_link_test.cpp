#include "executor/pmix_link.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>

#include "queues/base/text.hpp"
#include "queues/io/asio_loop.hpp"

namespace gangway::executor {
namespace {

// Notes what it hears; `after_each` may act or stop the loop.
struct Listener final : PmixHandler {
  std::vector<std::string> heard;
  std::function<void()> after_each = [] {};

  void on_pmix_ready(wire::PmixReady ready) override { note(cat("ready ", ready.ranks_size())); }
  void on_pmix_exchange(wire::FromPmix message) override {
    note(cat("exchange ", static_cast<int>(message.what_case())));
  }
  void on_pmix_abort(wire::PmixAbort abort) override {
    note(cat("abort ", abort.rank(), ' ', abort.status()));
  }
  void on_pmix_rank_state(wire::PmixRankState state) override {
    note(cat("rank ", state.rank(), state.finalized() ? " finalized" : " connected"));
  }
  void on_pmix_closed(const Error& why) override { note(cat("closed: ", why.message())); }
  void note(std::string text) {
    heard.push_back(std::move(text));
    after_each();
  }
};

struct PmixLinkTest : testing::Test {
  io::AsioLoop loop;
  Listener listener;
  std::unique_ptr<PmixLink> link = make_pmix_link(loop, listener);
  Fd server;

  void SetUp() override {
    Result<Fd> opened = link->open();
    ASSERT_TRUE(opened.has_value());
    server = std::move(opened.value());
  }
  void say_bytes(const std::string& bytes) {
    ASSERT_EQ(::send(server.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void say(const wire::FromPmix& message) {
    say_bytes(wire::encode(
        {.type = wire::FrameType::FromPmix, .stream = 0, .payload = message.SerializeAsString()}));
  }
  // Runs the loop until `count` things have been heard.
  void hear(std::size_t count) {
    listener.after_each = [this, count] {
      if (listener.heard.size() >= count) loop.stop();
    };
    if (listener.heard.size() < count) loop.run();
  }
};

TEST_F(PmixLinkTest, HandsOnWhatTheServerSays) {
  wire::FromPmix message;
  message.mutable_ready()->add_ranks();
  say(message);
  message.mutable_fence()->set_whole(true);
  say(message);
  message.mutable_rank_state()->set_rank(1);
  say(message);
  message.mutable_abort()->set_status(42);
  say(message);
  hear(4);
  EXPECT_EQ(listener.heard,
            (std::vector<std::string>{"ready 1", "exchange 2", "rank 1 connected", "abort 0 42"}));
}

TEST_F(PmixLinkTest, WhatIsSaidBeforeTheServerRunsWaitsForIt) {
  wire::PmixSetup setup;
  setup.set_name_space("gangway.42.1");
  link->setup(setup);
  loop.post([this] { loop.post([this] { loop.stop(); }); });
  loop.run();
  char bytes[256];
  ssize_t got = 0;
  while (got <= 0) {  // the loop writes when the kernel says so
    got = ::recv(server.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0) {
      loop.post([this] { loop.stop(); });
      loop.run();
    }
  }
  wire::FrameReader reader;
  reader.feed({bytes, static_cast<std::size_t>(got)});
  const auto frame = reader.next();
  ASSERT_TRUE(frame.has_value() && frame->has_value());
  wire::ToPmix message;
  ASSERT_TRUE(message.ParseFromString((*frame)->payload));
  EXPECT_EQ(message.setup().name_space(), "gangway.42.1");
}

TEST_F(PmixLinkTest, TheEndOfTheServerIsToldWithItsLastWords) {
  wire::FromPmix message;
  message.mutable_failed()->set_message("no room in /tmp");
  say(message);
  server.reset();
  hear(1);
  EXPECT_EQ(listener.heard, (std::vector<std::string>{"closed: PMIx server: no room in /tmp"}));
}

TEST_F(PmixLinkTest, AServerThatMakesNoSenseIsCutOff) {
  say_bytes("GET / HTTP/1.1\r\n\r\n");
  hear(1);
  EXPECT_EQ(listener.heard.size(), 1u);
  EXPECT_TRUE(listener.heard[0].starts_with("closed: PMIx server: frame of"));
  EXPECT_EQ(::send(server.get(), "x", 1, MSG_NOSIGNAL), -1);
}

TEST_F(PmixLinkTest, AMessageOfAnotherKindIsNotTaken) {
  say_bytes(wire::encode({.type = wire::FrameType::ToNode, .stream = 0, .payload = {}}));
  hear(1);
  EXPECT_EQ(listener.heard[0], "closed: PMIx server: unexpected message");
}

TEST_F(PmixLinkTest, AServerThatDoesNotReadIsCutOff) {
  wire::ToPmix message;
  message.mutable_fence_done()->set_data(std::string(15 << 20, 'x'));
  for (int i = 0; i < 6; ++i) link->send(message);
  EXPECT_TRUE(listener.heard.empty());  // never from inside of a call
  hear(1);
  EXPECT_EQ(listener.heard[0], "closed: PMIx server: it does not read");
}

TEST_F(PmixLinkTest, NothingIsHeardAfterClose) {
  wire::FromPmix message;
  message.mutable_abort()->set_status(1);
  say(message);
  say(message);
  listener.after_each = [this] {
    link->close();
    loop.stop();
  };
  loop.run();
  EXPECT_EQ(listener.heard.size(), 1u);
}

TEST_F(PmixLinkTest, TheHandlerMayDestroyTheLink) {
  say_bytes("nonsense, and a lot of it");
  listener.after_each = [this] {
    link.reset();
    loop.stop();
  };
  loop.run();
  EXPECT_EQ(listener.heard.size(), 1u);
}

}  // namespace
}  // namespace gangway::executor
