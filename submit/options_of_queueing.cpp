// When and for whom a job runs: names, accounts, queues, dependencies, times, holds.
#include <array>

#include "queues/base/text.hpp"
#include "submit/job_values.hpp"
#include "submit/option_setters.hpp"

namespace gangway::submit {

namespace {

using namespace option_setters;

Applied set_nice(Draft& draft, const Given& given) {
  if (!given.value) {
    draft.nice = 100;
    return {};
  }
  const auto value = parse_integer<std::int32_t>(given.text());
  if (!value || *value < -1'000'000 || *value > 1'000'000) {
    return bad(given, "a whole number; higher is later, for example --nice=100");
  }
  draft.nice = *value;
  return {};
}

Applied set_dependency(Draft& draft, const Given& given) {
  Result<std::vector<Dependency>> found = parse_dependencies(given.text());
  if (!found) {
    return Error(found.error().kind(), option_error(given, found.error().message()).message());
  }
  draft.dependencies = *std::move(found);
  return {};
}

Applied set_begin(Draft& draft, const Given& given) {
  const std::optional<Time> begin = parse_begin(given.text(), draft.now.wall);
  if (!begin) {
    return bad(given, "a time; it is written 16:30, now+2hours, tomorrow or 2026-11-24T16:30:00");
  }
  draft.begin = begin;
  return {};
}

Applied set_kill_on_invalid(Draft& draft, const Given& given) {
  const std::optional<bool> yes = parse_yes_no(given.text());
  if (!yes) return bad(given, "yes or no");
  draft.kill_on_invalid_dependency = *yes;
  return {};
}

constexpr auto kOptions = std::to_array<JobOption>({
    {{"job-name", 'J', kValue, "NAME", "name of the job"}, set_word<&Draft::name>},
    {{"partition", 'p', kValue, "QUEUE", "queue to wait in"}, set_word<&Draft::queue>},
    {{"queue", 0, kValue, "QUEUE", "", "partition"}, set_word<&Draft::queue>},
    {{"account", 'A', kValue, "NAME", "account that pays"}, set_word<&Draft::account>},
    {{"qos", 'q', kValue, "NAME", "quality of service"}, set_word<&Draft::qos>},
    {{"comment", 0, kValue, "TEXT", "kept with the job, as it is"}, set_text<&Draft::comment>},
    {{"dependency", 'd', kValue, "KIND:ID", "after other jobs, as afterok:42"}, set_dependency},
    {{"kill-on-invalid-dep", 0, kValue, "yes|no", "cancel it if its dependency cannot come true"},
     set_kill_on_invalid},
    {{"begin", 'b', kValue, "TIME", "not before this time"}, set_begin},
    {{"deadline", 0, kValue, "TIME"}, ignore},
    {{"hold", 'H', kFlag, "", "held until jrelease"}, set_flag<&Draft::hold>},
    {{"nice", 0, kMaybe, "N", "higher is later"}, set_nice},
    {{"priority", 0, kValue, "N"}, ignore},
    {{"requeue", 0, kFlag, "", "run again after a lost node (the default)"},
     set_flag<&Draft::requeue>},
    {{"no-requeue", 0, kFlag, "", "never run twice"}, set_flag<&Draft::requeue, false>},
    {{"reservation", 0, kValue, "NAMES"}, ignore},
    {{"array", 'a', kValue, "INDEXES"}, refuse},
    {{"mail-type", 0, kValue, "TYPES"}, ignore},
    {{"mail-user", 0, kValue, "ADDRESS"}, ignore},
});

}  // namespace

std::span<const JobOption> queueing_options() { return kOptions; }

}  // namespace gangway::submit
