#include "submit/job_row.hpp"

#include <algorithm>
#include <ctime>

#include "queues/base/text.hpp"
#include "queues/model/array.hpp"
#include "queues/model/idset.hpp"
#include "queues/model/workflow.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::submit {

namespace {

struct StateName {
  std::string_view letters;
  std::string_view name;
};
// In the order of the variant Phase.
constexpr StateName kPhases[] = {{"PD", "PENDING"},  {"CF", "CONFIGURING"}, {"R", "RUNNING"},
                                 {"S", "SUSPENDED"}, {"CG", "COMPLETING"},  {"", "FINISHED"}};
constexpr std::uint32_t kFinished = 5;

constexpr OutcomeKind kOutcomes[] = {
    OutcomeKind::Completed,  OutcomeKind::Failed,    OutcomeKind::Signaled,
    OutcomeKind::Cancelled,  OutcomeKind::TimedOut,  OutcomeKind::OutOfMemory,
    OutcomeKind::NodeFailed, OutcomeKind::Preempted, OutcomeKind::LaunchFailed};

std::optional<Time> time_if(bool present, std::int64_t ns) {
  return present ? std::optional(Time{ns}) : std::nullopt;
}

Duration elapsed_of(const wire::JobState& state, Time now) {
  RunClock clock{.accumulated = {state.clock_accumulated_ns()},
                 .since = time_if(state.has_clock_since_ns(), state.clock_since_ns())};
  const Duration counted = clock.elapsed(now);
  if (counted > Duration{}) return counted;
  // A finished job keeps no clock: its two times are left, and what it stood still between them.
  if (state.has_started_at_ns() && state.has_ended_at_ns()) {
    return Time{state.ended_at_ns()} - Time{state.started_at_ns()} - Duration{state.paused_ns()};
  }
  return {};
}

void write_time(JsonWriter& json, std::string_view name, const std::optional<Time>& time) {
  json.key(name);
  if (time && time->ns > 0) {
    json.value(render_utc(*time));
  } else {
    json.null();
  }
}

void write_component(const Component& c, JsonWriter& json) {
  json.begin_object();
  json.field("nodes", std::int64_t{c.nodes});
  json.field("tasks", std::int64_t{c.tasks});
  json.field("cpus_per_task", std::int64_t{c.cpus_per_task});
  json.field("memory_bytes_per_node", c.memory_per_node.value);
  json.key("named_per_node").begin_object();
  for (const auto& [name, amount] : c.named_per_node.named) json.field(name, amount);
  json.end_object();
  json.field("exclusive", c.exclusive);
  json.field("constraint", c.constraint);
  json.end_object();
}

}  // namespace

JobRow make_row(const wire::JobView& view, Time now) {
  const wire::JobState& state = view.state();
  JobRow row;
  row.key = wire::from_wire(state.key());
  row.name = view.name();
  row.user = state.owner().user();
  row.uid = state.owner().uid();
  row.queue = view.queue();
  row.account = view.account();
  row.comment = view.comment();
  row.command = view.command();
  row.image = view.image();
  row.workdir = view.workdir();
  row.out = view.out();
  row.member = state.membership().member();
  row.workflow = state.membership().workflow();
  row.nodes = view.nodes();
  row.tasks = view.tasks();
  row.cores = view.cores();
  row.priority = view.priority();
  if (view.has_priority_terms()) row.terms = view.priority_terms();
  row.qos = view.qos();
  for (const wire::Component& message : view.components()) {
    if (auto component = wire::from_wire(message)) row.components.push_back(*std::move(component));
  }
  row.attempt = state.attempt();
  if (view.has_time_limit_ns()) row.time_limit = Duration{view.time_limit_ns()};
  row.elapsed = elapsed_of(state, now);
  row.submitted = Time{state.submitted_at_ns()};
  row.started = time_if(state.has_started_at_ns(), state.started_at_ns());
  row.ended = time_if(state.has_ended_at_ns(), state.ended_at_ns());
  row.expected_start = time_if(view.has_expected_start_ns(), view.expected_start_ns());
  row.finished = state.phase() >= kFinished;
  if (view.has_array()) row.array = view.array();
  row.deadline = time_if(view.has_deadline_ns(), view.deadline_ns());
  row.begin = time_if(view.has_begin_ns(), view.begin_ns());
  row.dependency = view.dependency();
  row.nice = view.nice();

  std::vector<NodeName> nodes;
  for (const wire::NodeShare& share : state.allocation().shares()) nodes.emplace_back(share.node());
  if (!nodes.empty()) row.node_list = render_host_list(nodes);
  if (state.has_outcome()) {
    if (Result<Outcome> outcome = wire::from_wire(state.outcome()))
      row.outcome = *std::move(outcome);
  }
  // Beside elements with rows of their own a finished array stands for those that never started.
  if (row.array && row.finished && row.array->dropped_count() > 0 &&
      state.array().has_dropped_as()) {
    if (Result<Outcome> outcome = wire::from_wire(state.array().dropped_as()))
      row.outcome = *std::move(outcome);
  }
  const StateName& phase = kPhases[std::min(state.phase(), kFinished)];
  row.letters = phase.letters;
  row.state = phase.name;
  if (row.finished && row.outcome) {
    row.letters = customary_letters(row.outcome->kind);
    row.state = to_string(row.outcome->kind);
  }
  row.reason = "None";
  if (state.phase() == 0) {
    row.reason = to_string(static_cast<PendingReason>(
        std::min(state.reason(), static_cast<std::uint32_t>(kLastPendingReason))));
  }
  row.usage = wire::from_wire(view.state().usage());
  return row;
}

std::string id_of(const JobRow& row, std::size_t most) {
  if (!row.array) return to_string(row.key);
  std::string list = row.finished ? row.array->dropped() : row.array->waiting();
  if (list.empty()) return to_string(row.key);
  if (list.size() > most) {
    const std::size_t comma = list.rfind(',', most);
    list = cat(list.substr(0, comma == std::string::npos ? most : comma + 1), "...");
  }
  const std::uint32_t limit = row.array->max_running();
  return cat(to_string(row.key), "_[", list, limit > 0 && !row.finished ? cat('%', limit) : "",
             "]");
}

bool is_told_by_elements(const JobRow& row) {
  if (!row.array) return false;
  return row.finished ? row.array->dropped_count() == 0 : row.array->waiting_count() == 0;
}

std::vector<JobRow> expand_array(const JobRow& row, std::size_t most) {
  std::vector<JobRow> rows;
  const auto indexes = parse_index_list(row.finished ? row.array->dropped() : row.array->waiting());
  if (!row.array || !indexes) return {row};
  for (std::uint32_t i = 0; i < indexes->count() && rows.size() < most; ++i) {
    JobRow one = row;
    one.array.reset();
    one.key.index = indexes->index_at(i);
    rows.push_back(std::move(one));
  }
  return rows;
}

Colour colour_of(const JobRow& row) {
  if (row.letters == "R" || row.letters == "CG" || row.letters == "CF") return Colour::Busy;
  if (row.letters == "CD") return Colour::Good;
  if (is_skipped(row)) return Colour::Dim;
  return row.finished ? Colour::Bad : Colour::None;
}

std::string place_or_reason(const JobRow& row) {
  if (row.letters == "PD") return cat("(", row.reason, ")");
  if (row.finished && row.outcome && !row.outcome->is_success()) {
    return cat(row.node_list, row.node_list.empty() ? "" : " ", "(",
               row.outcome->detail.empty() ? how_it_ended(*row.outcome) : row.outcome->detail, ")");
  }
  return row.node_list;
}

std::string exit_pair(const JobRow& row) {
  return row.outcome ? cat(row.outcome->exit_code, ":", row.outcome->signal) : std::string();
}

std::string how_it_ended(const Outcome& outcome) {
  // These details say it all by themselves: "cancelled by ann", "skipped: needs …".
  const bool tells_all =
      outcome.detail.starts_with("cancelled") || outcome.detail.starts_with(kSkippedPrefix);
  if (outcome.kind == OutcomeKind::Cancelled && tells_all) return outcome.detail;
  std::string text;
  switch (outcome.kind) {
    case OutcomeKind::Completed:
      text = "completed";
      break;
    case OutcomeKind::Failed:
      text = cat("failed with exit code ", outcome.exit_code);
      break;
    case OutcomeKind::Signaled:
      text = cat("ended by signal ", outcome.signal);
      break;
    case OutcomeKind::Cancelled:
      text = "cancelled";
      break;
    case OutcomeKind::TimedOut:
      text = "ended at its time limit";
      break;
    case OutcomeKind::OutOfMemory:
      text = "ran out of memory";
      break;
    case OutcomeKind::NodeFailed:
      text = "lost its node";
      break;
    case OutcomeKind::Preempted:
      text = "preempted";
      break;
    case OutcomeKind::LaunchFailed:
      text = "could not be started";
      break;
  }
  return outcome.detail.empty() ? text : cat(text, ": ", outcome.detail);
}

bool is_skipped(const JobRow& row) {
  return row.outcome && row.outcome->kind == OutcomeKind::Cancelled &&
         row.outcome->detail.starts_with(kSkippedPrefix);
}

std::string render_short(Duration d) {
  if (d >= minutes(1)) return render_duration(d);
  const std::int64_t tenths = d.ns / 100'000'000;
  return cat(tenths / 10, ".", tenths % 10, " s");
}

std::string render_utc(Time t) {
  const std::time_t whole = t.ns / 1'000'000'000;
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, length};
}

void write_json(const JobRow& row, JsonWriter& json) {
  json.begin_object();
  json.field("job_id", to_string(row.key));
  if (row.array || row.key.index != JobKey::kNoIndex) {
    json.field("array_job_id", to_string(row.key.job));
    json.key("array_index");
    if (row.array) {
      json.null();
    } else {
      json.value(std::int64_t{row.key.index});
    }
  }
  if (row.array) {
    json.key("array").begin_object();
    json.field("waiting", row.array->waiting());
    json.field("waiting_count", static_cast<std::int64_t>(row.array->waiting_count()));
    json.field("total", static_cast<std::int64_t>(row.array->total()));
    json.field("succeeded", static_cast<std::int64_t>(row.array->succeeded()));
    json.field("unsuccessful", static_cast<std::int64_t>(row.array->unsuccessful()));
    json.field("dropped", row.array->dropped());
    json.field("max_running", std::int64_t{row.array->max_running()});
    json.end_object();
  }
  json.field("name", row.name);
  json.field("user", row.user);
  json.field("uid", std::int64_t{row.uid});
  json.field("account", row.account);
  json.field("qos", row.qos);
  json.field("queue", row.queue);
  json.field("state", row.state);
  json.field("reason", row.reason);
  json.field("nodes", std::int64_t{row.nodes});
  json.field("tasks", std::int64_t{row.tasks});
  json.field("cores", row.cores);
  json.key("components").begin_array();
  for (const Component& c : row.components) write_component(c, json);
  json.end_array();
  json.field("node_list", row.node_list);
  json.field("priority", row.priority);
  json.key("priority_terms");
  if (row.terms) {
    // Whole points, as jqueue --priority shows them.
    const auto points = [](double p) { return static_cast<std::int64_t>(p); };
    json.begin_object();
    json.field("age", points(row.terms->age()));
    json.field("fair_share", points(row.terms->fair_share()));
    json.field("size", points(row.terms->size()));
    json.field("queue", points(row.terms->queue()));
    json.field("qos", points(row.terms->qos()));
    json.field("resources", points(row.terms->resources()));
    json.field("nice", std::int64_t{row.terms->nice()});
    json.end_object();
  } else {
    json.null();
  }
  json.field("attempt", std::int64_t{row.attempt});
  json.key("time_limit_s");
  if (row.time_limit) {
    json.value(row.time_limit->ns / 1'000'000'000);
  } else {
    json.null();
  }
  json.field("elapsed_s", row.elapsed.ns / 1'000'000'000);
  write_time(json, "submitted", row.submitted);
  write_time(json, "expected_start", row.expected_start);
  write_time(json, "started", row.started);
  write_time(json, "ended", row.ended);
  json.key("exit_code");
  if (row.outcome && row.finished) {
    json.value(std::int64_t{row.outcome->exit_code});
    json.field("signal", std::int64_t{row.outcome->signal});
    json.field("detail", row.outcome->detail);
    json.field("ran_without", join(row.outcome->waivers, "; "));
  } else {
    json.null();
  }
  json.field("workdir", row.workdir);
  json.field("output", row.out);
  json.field("command", row.command);
  json.field("dependency", row.dependency);
  json.field("nice", std::int64_t{row.nice});
  write_time(json, "begin", row.begin);
  write_time(json, "deadline", row.deadline);
  json.field("image", row.image);
  json.field("comment", row.comment);
  if (row.workflow != 0) {
    json.field("workflow", to_string(WorkflowId{row.workflow}));
    json.field("member", row.member);
  }
  json.end_object();
}

std::optional<std::string> parse_state(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  for (const StateName& phase : kPhases) {
    if (!phase.letters.empty() && (upper == phase.letters || upper == phase.name)) {
      return std::string(phase.letters);
    }
  }
  for (const OutcomeKind kind : kOutcomes) {
    if (upper == customary_letters(kind) || upper == to_string(kind)) {
      return std::string(customary_letters(kind));
    }
  }
  return std::nullopt;
}

bool is_live_state(std::string_view letters) {
  return std::ranges::any_of(
      kPhases, [&](const StateName& p) { return !p.letters.empty() && p.letters == letters; });
}

std::string detail_with_waivers(const Outcome& outcome) {
  if (outcome.waivers.empty()) return outcome.detail;
  return cat(outcome.detail, outcome.detail.empty() ? "" : "; ", "ran without ",
             join(outcome.waivers, "; "));
}

}  // namespace gangway::submit
