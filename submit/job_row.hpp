// What the scheduler says about a job, in the words that people are shown: one place for jqueue,
// jhist, jwait and their JSON.
//
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/render.hpp"

namespace gangway::submit {

struct JobRow {
  JobKey key;
  std::string name, user, queue, account, comment, command, image, qos, workdir, out;
  std::uint32_t uid = 0;
  std::string letters;    // "PD", "R", "CD"
  std::string state;      // "PENDING", "RUNNING", "COMPLETED"
  std::string reason;     // why it waits; "None" otherwise
  std::string node_list;  // "n[01-04]", of an ended job where it ran; empty if it has none
  std::string member;     // its name in a workflow
  std::uint64_t workflow = 0;
  std::int32_t nodes = 0;
  std::int32_t tasks = 0;
  std::int64_t cores = 0;
  std::int64_t priority = 0;
  std::optional<wire::PriorityTerms> terms;  // of the priority
  std::vector<Component> components;         // as asked for
  std::uint32_t attempt = 0;
  std::optional<Duration> time_limit;
  Duration elapsed;  // run time so far, or in all
  Time submitted;
  std::optional<Time> started, ended, expected_start;
  std::optional<Outcome> outcome;
  JobUsage usage;  // of the newest attempt that has ended
  bool finished = false;
  std::optional<wire::ArrayView> array;  // of an array as a whole
  std::optional<Time> deadline, begin;
  std::string dependency;
  std::int32_t nice = 0;
};

// "42", "42_7"; of an array with those of its elements that have no row: "42_[3-9%4]". A list
// longer than `most` is cut.
[[nodiscard]] std::string id_of(const JobRow& row, std::size_t most = std::string::npos);
// Of an array nothing is left that has no row of its own.
[[nodiscard]] bool is_told_by_elements(const JobRow& row);
// The rows of the elements that such a row stands for, at most `most`.
[[nodiscard]] std::vector<JobRow> expand_array(const JobRow& row, std::size_t most);

[[nodiscard]] JobRow make_row(const wire::JobView& view, Time now);
[[nodiscard]] Colour colour_of(const JobRow& row);
// "n[01-04]", "(Resources)", "n02 (failed with exit code 3)": squeue's last column.
[[nodiscard]] std::string place_or_reason(const JobRow& row);
// "3:2": exit code and signal, as sacct shows them; "" without an outcome.
[[nodiscard]] std::string exit_pair(const JobRow& row);
// "completed", "failed with exit code 3", "cancelled: by alice".
[[nodiscard]] std::string how_it_ended(const Outcome& outcome);
// A job of a workflow that could never run.
[[nodiscard]] bool is_skipped(const JobRow& row);
// "0.4 s", from a minute on "1:23".
[[nodiscard]] std::string render_short(Duration d);
// UTC, "2026-11-23T20:41:07Z": for programs.
[[nodiscard]] std::string render_utc(Time t);
void write_json(const JobRow& row, JsonWriter& json);

// A state as people name it ("PD", "pending", "completed"): its letters; nullopt if there is none.
[[nodiscard]] std::optional<std::string> parse_state(std::string_view text);
// Whether jobs in the state of these letters are still in the queue.
[[nodiscard]] bool is_live_state(std::string_view letters);

// The detail of an end, with what the job ran without because its node could not enforce it.
[[nodiscard]] std::string detail_with_waivers(const Outcome& outcome);

}  // namespace gangway::submit
