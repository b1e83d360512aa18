#include "executor/waiting_runs.hpp"

#include <utility>

#include "queues/base/check.hpp"

namespace gangway::executor {

bool WaitingRuns::try_add(std::uint64_t client, wire::StepRun run) {
  const std::size_t bytes = run.ByteSizeLong();
  if (bytes_ + bytes > max_bytes_) return false;
  bytes_ += bytes;
  waiting_.push_back({client, std::move(run), bytes});
  return true;
}

WaitingRun WaitingRuns::take_first() {
  CHECK(!waiting_.empty());
  WaitingRun first = std::move(waiting_.front());
  waiting_.pop_front();
  bytes_ -= first.bytes;
  return first;
}

void WaitingRuns::put_back(WaitingRun first) {
  bytes_ += first.bytes;
  waiting_.push_front(std::move(first));
}

void WaitingRuns::remove_of(std::uint64_t client) {
  std::erase_if(waiting_, [&](const WaitingRun& waiting) {
    if (waiting.client != client) return false;
    bytes_ -= waiting.bytes;
    return true;
  });
}

void WaitingRuns::clear() {
  waiting_.clear();
  bytes_ = 0;
}

}  // namespace gangway::executor
