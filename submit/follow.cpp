#include "submit/follow.hpp"

#include <optional>

#include "queues/wire/convert.hpp"
#include "submit/submission.hpp"

namespace gangway::submit {

Result<void> follow_events(Client& client,
                           std::string_view program,
                           std::uint64_t from,
                           Duration retry,
                           const Follower& follower) {
  bool goes_on = true;
  std::optional<Error> unreadable;
  const auto on_news = [&](const wire::News& news) {
    for (const wire::Event& one : news.events()) {
      if (!goes_on || unreadable) return;
      const Result<Event> event = wire::from_wire(one);
      if (!event) {
        unreadable = event.error();
        return;
      }
      from = event->seq + 1;
      goes_on = follower.on_event(*event);
    }
    from = news.next_seq();
  };
  // Each stream ends when its credit is used up: then the next begins where it ended.
  while (goes_on) {
    bool began = false;
    const Result<void> done = retry_while_unavailable(program, retry, false, [&]() -> Result<void> {
      wire::Request request;
      request.mutable_follow()->set_from_seq(from);
      return client.exchange({&request, 1}, kNoDeadline, [&](wire::Response&& response) {
        if (!goes_on || unreadable) return;
        if (!began) {
          began = true;
          from = response.news().next_seq();
          goes_on = follower.on_begin(from);
        }
        on_news(response.news());
      });
    });
    if (unreadable) return *unreadable;
    if (done) continue;
    if (!goes_on) return {};
    // A connection that held for a while and then broke begins a new window.
    if (done.error().kind() != ErrorKind::Unavailable || !began || retry == Duration{}) return done;
  }
  return {};
}

}  // namespace gangway::submit
