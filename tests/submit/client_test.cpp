#include "submit/client.hpp"

#include <gtest/gtest.h>

#include "tests/submit/fake_scheduler.hpp"

namespace gangway::submit {
namespace {

FakeAnswer pong() {
  FakeAnswer answer;
  answer.responses.emplace_back().mutable_pong()->set_nodes(4);
  return answer;
}

wire::Request ping() {
  wire::Request request;
  request.mutable_ping();
  return request;
}

TEST(Client, GetsAReply) {
  const FakeScheduler scheduler([](const wire::Request&) { return pong(); });
  Client client("test", scheduler.socket());
  const auto response = client.call(ping());
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->pong().nodes(), 4U);
}

TEST(Client, KeepsItsConnectionForTheNextCall) {
  const FakeScheduler scheduler([](const wire::Request&) { return pong(); });
  Client client("test", scheduler.socket());
  ASSERT_TRUE(client.call(ping()));
  ASSERT_TRUE(client.call(ping()));
}

TEST(Client, NobodyListeningIsUnavailableAndNamesTheSocket) {
  Client client("test", "/nonexistent/socket");
  const auto response = client.call(ping());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind(), ErrorKind::Unavailable);
  EXPECT_NE(response.error().message().find("/nonexistent/socket"), std::string::npos);
}

TEST(Client, ErrorOfTheSchedulerIsReturnedAsItIs) {
  const FakeScheduler scheduler([](const wire::Request&) {
    FakeAnswer answer;
    wire::Error& error = *answer.responses.emplace_back().mutable_error();
    error.set_kind(static_cast<std::uint32_t>(ErrorKind::Invalid));
    error.set_message("--nodes=9: there are 4 nodes");
    return answer;
  });
  Client client("test", scheduler.socket());
  const auto response = client.call(ping());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error(), Error(ErrorKind::Invalid, "--nodes=9: there are 4 nodes"));
}

TEST(Client, RefusalInTheGreetingIsTheError) {
  FakeScheduler scheduler([](const wire::Request&) { return pong(); });
  scheduler.refuse("protocol 1 is not spoken here");
  Client client("test", scheduler.socket());
  const auto response = client.call(ping());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error(), Error(ErrorKind::Denied, "protocol 1 is not spoken here"));
}

TEST(Client, ClosedConnectionIsUnavailableAndTheNextCallOpensANewOne) {
  int calls = 0;
  const FakeScheduler scheduler([&calls](const wire::Request&) {
    return ++calls == 1 ? FakeAnswer{.responses = {}, .close_instead = true} : pong();
  });
  Client client("test", scheduler.socket());
  const auto first = client.call(ping());
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().kind(), ErrorKind::Unavailable);
  EXPECT_TRUE(client.call(ping()));
}

TEST(Client, SilenceEndsAtTheDeadline) {
  const FakeScheduler scheduler([](const wire::Request&) { return FakeAnswer{}; });
  Client client("test", scheduler.socket());
  const auto response = client.call(ping(), milliseconds(20));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind(), ErrorKind::Unavailable);
}

TEST(Client, StreamGoesOnWhileThereIsMore) {
  const FakeScheduler scheduler([](const wire::Request&) {
    FakeAnswer answer;
    for (std::uint32_t i = 1; i <= 3; ++i) {
      wire::Response& response = answer.responses.emplace_back();
      response.mutable_pong()->set_nodes(i);
      response.set_more(i < 3);
    }
    return answer;
  });
  Client client("test", scheduler.socket());
  std::vector<std::uint32_t> seen;
  const wire::Request request = ping();
  ASSERT_TRUE(client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
    seen.push_back(response.pong().nodes());
  }));
  EXPECT_EQ(seen, (std::vector<std::uint32_t>{1, 2, 3}));
}

TEST(Client, RefusalOfAPartIsReadThoughMoreWasToBeSent) {
  // The scheduler says no to the first part and closes while the client still writes.
  const FakeScheduler scheduler([](const wire::Request& request) {
    FakeAnswer answer;
    if (request.submit().jobs_size() > 0) {
      answer.responses.emplace_back().mutable_error()->set_message("too large");
    }
    return answer;
  });
  std::vector<wire::Request> parts(6);
  for (wire::Request& part : parts) {
    part.mutable_submit()->add_jobs()->mutable_spec()->set_script(std::string(600'000, 'x'));
    part.mutable_submit()->set_more(true);
  }
  Client client("test", scheduler.socket());
  const auto done = client.exchange(parts, kReplyDeadline, [](wire::Response&&) {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message(), "too large");
}

}  // namespace
}  // namespace gangway::submit
