// After a restart: what keeps each job that waits is looked at again, some jobs in each turn, so
// that people are answered before a million have been looked at. Nothing is planned before all
// have, and a job that somebody acts on or asks about meanwhile comes at once.
#include <algorithm>

#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

void Controller::Impl::begin_later(std::vector<JobKey> keys, OldJobs old) {
  for (const JobKey key : keys) {
    waiting.try_emplace(waiting.end(), key)->second.begins_later = true;
  }
  beginning = {.keys = std::move(keys), .next = 0, .old = std::move(old)};
  turn.effects.emplace_back(effect::ArmTimer{kSliceToken, now.boot});
}

void Controller::Impl::on_slice() {
  const std::size_t end = std::min(beginning.next + config.jobs_of_slice, beginning.keys.size());
  while (beginning.next < end) {
    const JobKey key = beginning.keys[beginning.next++];
    const auto entry = waiting.find(key);
    if (entry == waiting.end() || !entry->second.begins_later) continue;
    begin_waiting(key, beginning.old);
  }
  if (beginning.next < beginning.keys.size()) {
    turn.effects.emplace_back(effect::ArmTimer{kSliceToken, now.boot});
    return;
  }
  beginning = {};
  want_pass();
}

void Controller::Impl::begin_now(JobKey key) {
  if (beginning.keys.empty()) return;
  for (const JobKey one : {JobKey{key.job}, key}) {
    const auto entry = waiting.find(one);
    if (entry != waiting.end() && entry->second.begins_later) begin_waiting(one, beginning.old);
  }
}

}  // namespace gangway::scheduler
