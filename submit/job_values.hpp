// The values of job options: counts, lists, dependencies, starting times. Each says what is wrong
// in one clause, without the option's name, which the caller adds.
//
// Pure; parse_begin() reads the time zone as localtime(3) does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway::submit {

// A whole number from `low` up to `high`; "k", "m", "g", "t" and "p" multiply by powers of 1024.
[[nodiscard]] std::optional<std::int64_t> parse_count(std::string_view text,
                                                      std::int64_t low,
                                                      std::int64_t high);

// Amounts by name; those of a type ("gpu:a100") are not in that of their kind ("gpu").
using NamedAmounts = std::vector<std::pair<std::string, std::int64_t>>;
// "gpu", "gpu:2", "gpu:a100:2", "gpu:2,nic:1", "none". Amounts of 0 are left out.
[[nodiscard]] Result<NamedAmounts> parse_named(std::string_view text);

// "2", "a100:2", "a100:2,v100:1" as --gpus and its kin take it.
[[nodiscard]] std::optional<NamedAmounts> parse_gpu_counts(std::string_view text);

// "afterok:12:13,afterany:14", "after:12+5", "afterok:12_7", "singleton"; with "?" instead of ","
// one of them is enough.
struct DependencyList {
  std::vector<Dependency> all;
  bool any = false;
};
[[nodiscard]] Result<DependencyList> parse_dependencies(std::string_view text);

// "END,FAIL", "ALL", "NONE". Errors: Invalid, naming the word. Known words of which nothing comes
// here are put into `ignored`.
[[nodiscard]] Result<MailSpec> parse_mail_types(std::string_view text,
                                                std::vector<std::string>& ignored);

// "now", "now+90", "now+2hours", "today", "tomorrow", "midnight", "noon", "16:30", "2026-11-24",
// "2026-11-24T16:30:00", in local time. A time of day without a date is its next occurrence.
[[nodiscard]] std::optional<Time> parse_begin(std::string_view text, Time now);
// The same of what has been: "now-2hours", "yesterday"; "today" is its first moment, and a time of
// day without a date its last occurrence.
[[nodiscard]] std::optional<Time> parse_past(std::string_view text, Time now);

// "SRC", "SRC:DST", "SRC:DST:ro", several with commas. A relative source stays relative here.
[[nodiscard]] Result<std::vector<BindSpec>> parse_binds(std::string_view text);

// "USR1", "SIGUSR1", "10" -> the number; nullopt if there is none of that name.
[[nodiscard]] std::optional<int> parse_signal(std::string_view text);

// "[R|B:]SIGNAL[@SECONDS]" as --signal takes it.
[[nodiscard]] bool is_signal_request(std::string_view text);

// A stretch of time: seconds if there is no unit (minutes, as in --time, would surprise).
[[nodiscard]] std::optional<Duration> parse_window(std::string_view text);

// A job's limit of the run time: as parse_time_limit(), and "UNLIMITED" and its kin, which are 0 as
// "0" is: what the queue gives.
[[nodiscard]] std::optional<Duration> parse_job_limit(std::string_view text);

// PBS' "[[[[CC]YY]MM]DD]hhmm[.SS]" in local time. What is left out is chosen so that it is the
// next.
[[nodiscard]] std::optional<Time> parse_pbs_date(std::string_view text, Time now);

// "yes", "no" and their kin.
[[nodiscard]] std::optional<bool> parse_yes_no(std::string_view text);

}  // namespace gangway::submit
