// Following the scheduler's events: pushed, not asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job_event.hpp"
#include "submit/client.hpp"

namespace gangway::submit {

// What follow_events() tells, in their order. False ends it.
struct Follower {
  // The stream stands, again after a lost connection; `next` is the number of the next event.
  std::function<bool(std::uint64_t next)> on_begin;
  std::function<bool(const Event& event)> on_event;
};

// From the event `from` on, 0: from now on. A scheduler that is away is waited for, up to `retry`
// each time, and then followed from where it was; no event is told twice. Errors: those of the
// client.
[[nodiscard]] Result<void> follow_events(Client& client,
                                         std::string_view program,
                                         std::uint64_t from,
                                         Duration retry,
                                         const Follower& follower);

}  // namespace gangway::submit
