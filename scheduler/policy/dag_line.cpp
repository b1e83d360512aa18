#include "scheduler/policy/dag_line.hpp"

#include <iterator>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

std::vector<DagLine::Turn> DagLine::enter(const DagGroup& group,
                                          JobKey job,
                                          std::int64_t path_length,
                                          Time turn) {
  const auto in = groups_.try_emplace(group).first;
  CHECK(standing_.emplace(job, Standing{in, path_length, turn}).second);
  Turns& turns = in->second;
  turns[turn].emplace(-path_length, job);

  std::map<JobKey, Time> moved{{job, turn}};
  // Exchanges the last of an earlier turn and the first of a later one, if they stand wrongly.
  const auto exchange = [&](Turns::iterator earlier, Turns::iterator later) {
    const auto last = std::prev(earlier->second.end());
    const auto first = later->second.begin();
    if (*last < *first) return false;
    moved[first->second] = standing_.at(first->second).turn = earlier->first;
    moved[last->second] = standing_.at(last->second).turn = later->first;
    auto up = later->second.extract(first);
    later->second.insert(earlier->second.extract(last));
    earlier->second.insert(std::move(up));
    return true;
  };
  // Only the new one may stand wrongly, so one walk to each side is enough.
  const auto own = turns.find(turn);
  for (auto at = own; at != turns.begin() && exchange(std::prev(at), at);) --at;
  for (auto at = own; std::next(at) != turns.end() && exchange(at, std::next(at));) ++at;

  std::vector<Turn> out;
  out.reserve(moved.size());
  for (const auto& [key, at] : moved) out.push_back({key, at});
  return out;
}

Time DagLine::leave(JobKey job) {
  const auto found = standing_.find(job);
  CHECK(found != standing_.end());
  const Standing standing = found->second;
  standing_.erase(found);
  Turns& turns = standing.group->second;
  const auto at = turns.find(standing.turn);
  CHECK(at != turns.end() && at->second.erase({-standing.path_length, job}) == 1);
  if (at->second.empty()) turns.erase(at);
  if (turns.empty()) groups_.erase(standing.group);
  return standing.turn;
}

}  // namespace gangway::scheduler
