// When and for whom a job runs: names, accounts, queues, dependencies, times, holds.
#include <algorithm>
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

// The first counts; the others are where it goes if that one refuses it.
Applied set_queue(Draft& draft, const Given& given) {
  const std::vector<std::string_view> names = split(given.text(), ',');
  if (names.empty() || std::ranges::find(names, "") != names.end()) {
    return bad(given, "a queue, or a list of them parted by commas");
  }
  draft.queue = std::string(names.front());
  draft.choices.other_queues.assign(names.begin() + 1, names.end());
  return {};
}

Applied set_dependency(Draft& draft, const Given& given) {
  Result<DependencyList> found = parse_dependencies(given.text());
  if (!found) {
    return Error(found.error().kind(), option_error(given, found.error().message()).message());
  }
  draft.dependencies = std::move(found->all);
  draft.any_dependency = found->any;
  return {};
}

Applied set_array(Draft& draft, const Given& given) {
  Result<ArraySpec> array = parse_array(given.text());
  if (!array) return option_error(given, array.error().message());
  draft.array = *std::move(array);
  return {};
}

Applied set_deadline(Draft& draft, const Given& given) {
  draft.deadline = parse_begin(given.text(), draft.now.wall);
  if (draft.deadline) return {};
  return bad(given, "a time; it is written 16:30, now+2hours or 2026-11-24T16:30:00");
}

Applied set_mail_type(Draft& draft, const Given& given) {
  std::vector<std::string> ignored;
  Result<MailSpec> mail = parse_mail_types(given.text(), ignored);
  if (!mail) return option_error(given, mail.error().message());
  mail->user = draft.mail.user;
  draft.mail = *std::move(mail);
  for (const std::string& word : ignored) {
    draft.warnings.push_back(
        cat(prefix_of(given.place), "option ", given.spelled, ": of ", word, " no mail is sent"));
  }
  return {};
}

Applied set_mail_user(Draft& draft, const Given& given) {
  draft.mail.user = std::string(given.text());
  return {};
}

// "3", "3:30s": so often, and the pause before the first, which is doubled each time.
Applied set_retries(Draft& draft, const Given& given) {
  const std::string_view text = given.text();
  const std::size_t colon = text.find(':');
  const auto count = parse_count(text.substr(0, colon), 0, kMaxRetries);
  const auto pause =
      colon == text.npos ? std::optional(Duration{}) : parse_window(text.substr(colon + 1));
  if (!count || !pause) {
    return bad(given,
               "a number of retries; for example 3, or 3:30s to pause 30 s before the first");
  }
  draft.retries = static_cast<std::int32_t>(*count);
  draft.retry_backoff = *pause;
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
    {{"partition", 'p', kValue, "QUEUE", "queue to wait in; of several the first that takes it"},
     set_queue},
    {{"queue", 0, kValue, "QUEUE", "", "partition"}, set_queue},
    {{"account", 'A', kValue, "NAME", "account that pays"}, set_word<&Draft::account>},
    {{"qos", 'q', kValue, "NAME", "quality of service"}, set_word<&Draft::qos>},
    {{"comment", 0, kValue, "TEXT", "kept with the job, as it is"}, set_text<&Draft::comment>},
    {{"dependency", 'd', kValue, "KIND:ID", "after other jobs, as afterok:42"}, set_dependency},
    {{"kill-on-invalid-dep", 0, kValue, "yes|no", "cancel it if its dependency cannot come true"},
     set_kill_on_invalid},
    {{"begin", 'b', kValue, "TIME", "not before this time"}, set_begin},
    {{"deadline", 0, kValue, "TIME", "ended at this time at the latest"}, set_deadline},
    {{"hold", 'H', kFlag, "", "held until jrelease"}, set_flag<&Draft::hold>},
    {{"nice", 0, kMaybe, "N", "higher is later"}, set_nice},
    {{"priority", 0, kValue, "N"}, ignore},
    {{"requeue", 0, kFlag, "", "run again after a lost node (the default)"},
     set_flag<&Draft::requeue>},
    {{"no-requeue", 0, kFlag, "", "never run twice"}, set_flag<&Draft::requeue, false>},
    {{"reservation", 0, kValue, "NAMES"}, ignore},
    {{"retries", 0, kValue, "N[:PAUSE]", "run it again if it fails"}, set_retries},
    {{"array", 'a', kValue, "0-9:2%4", "many jobs that differ in an index"}, set_array},
    {{"mail-type", 0, kValue, "TYPES", "mail at BEGIN, END, FAIL, ..."}, set_mail_type},
    {{"mail-user", 0, kValue, "ADDRESS", "whom; default: yourself"}, set_mail_user},
});

}  // namespace

std::span<const JobOption> queueing_options() { return kOptions; }

}  // namespace gangway::submit
