// The setters that the tables of job options share, each the meaning of one kind of value. Internal
// to the options_of_*.cpp files, which hold one table each; job_options() is all of them.
//
// Errors name the option as it was spelled, its value and what would be right. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "submit/job_options.hpp"
#include "submit/job_values.hpp"

namespace gangway::submit {

[[nodiscard]] std::span<const JobOption> queueing_options();
[[nodiscard]] std::span<const JobOption> resources_options();
[[nodiscard]] std::span<const JobOption> running_options();
[[nodiscard]] std::span<const JobOption> jsubmit_options();
[[nodiscard]] std::span<const JobOption> known_options();

namespace option_setters {

using Draft = JobDraft;
using Given = GivenOption;
using Applied = Result<void>;

inline constexpr Takes kFlag = Takes::Nothing;
inline constexpr Takes kValue = Takes::Value;
inline constexpr Takes kMaybe = Takes::OptionalValue;

inline Error bad(const Given& given, std::string_view right) {
  return option_error(given, cat("\"", given.text(), "\" is not ", right));
}

template <std::optional<std::string> Draft::*member>
Applied set_text(Draft& draft, const Given& given) {
  draft.*member = std::string(given.text());
  return {};
}

// A value that may not be empty.
template <std::optional<std::string> Draft::*member>
Applied set_word(Draft& draft, const Given& given) {
  if (given.text().empty()) return option_error(given, "its value is empty");
  return set_text<member>(draft, given);
}

template <std::optional<std::int32_t> Draft::*member, std::int32_t high>
Applied set_count(Draft& draft, const Given& given) {
  const auto count = parse_count(given.text(), 1, high);
  if (!count) {
    return bad(given, cat("a whole number from 1 to ", high, "; for example ", given.spelled,
                          given.spelled.size() == 2 ? " 4" : "=4"));
  }
  draft.*member = static_cast<std::int32_t>(*count);
  return {};
}

template <std::optional<NamedAmounts> Draft::*member>
Applied set_gpus(Draft& draft, const Given& given) {
  draft.*member = parse_gpu_counts(given.text());
  if (!(draft.*member)) return bad(given, "a number of GPUs; for example 2 or a100:2");
  return {};
}

// One of the words of an enumeration, in the order of its values.
template <typename Enum, Enum Draft::*member, std::size_t count>
Applied set_choice(Draft& draft, const Given& given, const std::string_view (&words)[count]) {
  for (std::size_t i = 0; i < count; ++i) {
    if (given.text() != words[i]) continue;
    draft.*member = static_cast<Enum>(i);
    return {};
  }
  return bad(given, join(std::vector<std::string>(words, words + count), " or "));
}

template <bool Draft::*member, bool value = true>
Applied set_flag(Draft& draft, const Given&) {
  draft.*member = value;
  return {};
}

template <bool SubmitChoices::*member>
Applied choose(Draft& draft, const Given&) {
  draft.choices.*member = true;
  return {};
}

template <std::string SubmitChoices::*member>
Applied choose_text(Draft& draft, const Given& given) {
  // Each submission has its own: in a script or a profile it would be the same for all.
  if (draft.source != OptionSource::CommandLine) {
    return option_error(given, "belongs on the command line only");
  }
  draft.choices.*member = std::string(given.text());
  return {};
}

template <MemoryPer per>
Applied set_memory(Draft& draft, const Given& given) {
  const std::optional<Bytes> amount = parse_bytes(given.text(), mebibytes(1));
  if (!amount) {
    return bad(given, "an amount of memory; it is written 4000 (MiB), 512M, 4G or 1.5T");
  }
  const std::string spelled = cat(prefix_of(given.place), given.spelled);
  if (draft.memory && draft.memory->source == draft.source && draft.memory->per != per) {
    return option_error(given, cat("excludes ", draft.memory->spelled, "; give one of them"));
  }
  draft.memory = MemoryRequest{*amount, per, draft.source, spelled};
  return {};
}

template <std::vector<NodeName> Draft::*member>
Applied set_hosts(Draft& draft, const Given& given) {
  if (given.text().find('/') != std::string_view::npos) {
    return option_error(given, "a file of node names is not supported; write them as n[01-04]");
  }
  Result<std::vector<NodeName>> names = parse_host_list(given.text());
  if (!names) return option_error(given, names.error().message());
  draft.*member = *std::move(names);
  return {};
}

// Known to sbatch, without effect here: named in one warning.
inline Applied ignore(Draft& draft, const Given& given) {
  draft.ignored.push_back(given.spelled);
  return {};
}

// Known to sbatch; ignoring it would run something else than what was asked for.
inline Applied refuse(Draft&, const Given& given) {
  return Error(ErrorKind::Unsupported,
               cat(prefix_of(given.place), "option ", given.spelled,
                   ": not supported, and without it the job would do something else"));
}

inline Applied nothing(Draft&, const Given&) { return {}; }

// One of these words, else an error that lists them, or names the one that is meant.
[[nodiscard]] inline Applied check_word(const Given& given, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word == given.text()) return {};
  }
  const std::string near = nearest(given.text(), words);
  return bad(given, near.empty() ? cat("one of ", join(words, ", "))
                                 : cat("known; did you mean ", near, "?"));
}

// A count that this cluster fulfils whatever it is.
template <std::int64_t low>
Applied check_any_count(Draft&, const Given& given) {
  if (!parse_count(given.text(), low, 1'000'000)) {
    return bad(given, cat("a whole number from ", low, " on"));
  }
  return {};
}

// A count of which only `fulfilled` is what every job has here.
template <std::int64_t low, std::int64_t fulfilled>
Applied check_count_of(Draft& draft, const Given& given) {
  const auto count = parse_count(given.text(), low, 1'000'000);
  if (!count) return bad(given, cat("a whole number from ", low, " on"));
  return *count == fulfilled ? Applied{} : ignore(draft, given);
}

}  // namespace option_setters
}  // namespace gangway::submit
