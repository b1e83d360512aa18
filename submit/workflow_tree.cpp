#include "submit/workflow_tree.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/job_row.hpp"

namespace gangway::submit {

namespace {

struct Member {
  std::string name;
  std::string needs;  // for people
  std::vector<std::size_t> parents;
  std::vector<std::size_t> children;  // in the tree
  std::optional<JobRow> row;
  std::size_t level = 0;  // longest way from a root
};

std::vector<Member> make_members(const wire::WorkflowView& view, Time now) {
  std::map<std::uint64_t, const wire::JobView*> jobs;
  for (const wire::JobView& job : view.jobs()) {
    if (wire::from_wire(job.state().key()).index == JobKey::kNoIndex) {
      jobs[job.state().key().job()] = &job;
    }
  }
  std::map<std::string, std::size_t, std::less<>> index;
  std::vector<Member> members;
  for (const wire::WorkflowMember& m : view.state().members()) {
    index[m.name()] = members.size();
    Member member;
    member.name = m.name();
    if (const auto job = jobs.find(m.job()); job != jobs.end()) {
      member.row = make_row(*job->second, now);
    }
    members.push_back(std::move(member));
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    for (const wire::Need& need : view.state().members(static_cast<int>(i)).needs()) {
      const auto found = index.find(need.member());
      if (found == index.end()) continue;
      members[i].parents.push_back(found->second);
      const auto outcome = static_cast<NeedOutcome>(need.outcome());
      if (!members[i].needs.empty()) members[i].needs += ", ";
      members[i].needs += need.member();
      if (outcome == NeedOutcome::Failure) members[i].needs += " (failed)";
      if (outcome == NeedOutcome::Any) members[i].needs += " (ended)";
      if (outcome == NeedOutcome::Each) members[i].needs += " (each)";
    }
  }
  return members;
}

// Levels by Kahn's way; members of a cycle (there are none in what the scheduler accepts) stay at
// 0.
void set_levels(std::vector<Member>& members) {
  std::vector<std::vector<std::size_t>> followers(members.size());
  std::vector<std::size_t> missing(members.size());
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < members.size(); ++i) {
    missing[i] = members[i].parents.size();
    for (const std::size_t parent : members[i].parents) followers[parent].push_back(i);
    if (missing[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    const std::size_t i = ready.back();
    ready.pop_back();
    for (const std::size_t next : followers[i]) {
      members[next].level = std::max(members[next].level, members[i].level + 1);
      if (--missing[next] == 0) ready.push_back(next);
    }
  }
}

std::uint64_t running_of(const wire::ArrayView& array) {
  const std::uint64_t others =
      array.waiting_count() + array.succeeded() + array.unsuccessful() + array.dropped_count();
  return array.total() > others ? array.total() - others : 0;
}

// An array waits by its record as long as it has not ended.
std::string letters_of(const JobRow& row) {
  return row.array && !row.finished && running_of(*row.array) > 0 ? "R" : row.letters;
}

std::string describe_array(const JobRow& row) {
  const wire::ArrayView& array = *row.array;
  std::string text = cat(array.succeeded(), " of ", array.total(), " completed");
  if (const std::uint64_t running = running_of(array); running > 0) {
    text += cat(", ", running, " running");
  }
  if (const std::uint64_t failed = array.unsuccessful() + array.dropped_count(); failed > 0) {
    text += cat(", ", failed, " failed");
  }
  if (array.waiting_count() > 0 && running_of(array) == 0) text += cat(" (", row.reason, ")");
  return text;
}

struct Line {
  std::size_t member = 0;
  std::size_t depth = 0;
};

// Depth first, with a stack of its own: a chain may be long.
std::vector<Line> order(std::vector<Member>& members) {
  set_levels(members);
  std::vector<std::size_t> roots;
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::optional<std::size_t> below;
    for (const std::size_t parent : members[i].parents) {
      if (parent != i && (!below || members[parent].level > members[*below].level)) below = parent;
    }
    if (below && members[*below].level < members[i].level) {
      members[*below].children.push_back(i);
    } else {
      roots.push_back(i);
    }
  }
  std::vector<Line> stack;
  for (auto root = roots.rbegin(); root != roots.rend(); ++root) stack.push_back({*root, 0});
  std::vector<Line> lines;
  while (!stack.empty()) {
    const Line line = stack.back();
    stack.pop_back();
    lines.push_back(line);
    const std::vector<std::size_t>& children = members[line.member].children;
    const std::size_t depth = line.depth + (children.size() > 1 ? 1 : 0);
    for (auto child = children.rbegin(); child != children.rend(); ++child) {
      stack.push_back({*child, std::min<std::size_t>(depth, 20)});
    }
  }
  return lines;
}

// What a job takes: its limit, and what it has taken once it has ended.
std::int64_t length_of(const Member& member) {
  constexpr Duration kWithoutLimit = hours(8760);
  if (!member.row || is_skipped(*member.row)) return 0;
  if (member.row->finished) return member.row->elapsed.ns;
  return member.row->time_limit.value_or(kWithoutLimit).ns;
}

// The longest chain of jobs from one that needs none to one that none needs. Needs of a failure are
// not on the way of a workflow that goes well.
std::vector<bool> critical_path(std::vector<Member>& members) {
  set_levels(members);
  std::vector<std::size_t> by_level(members.size());
  for (std::size_t i = 0; i < members.size(); ++i) by_level[i] = i;
  std::ranges::sort(by_level, [&](std::size_t a, std::size_t b) {
    return std::pair(members[a].level, a) < std::pair(members[b].level, b);
  });
  std::vector<std::int64_t> to_here(members.size());
  std::vector<std::optional<std::size_t>> before(members.size());
  std::size_t last = 0;
  for (const std::size_t i : by_level) {
    for (const std::size_t parent : members[i].parents) {
      if (!before[i] || to_here[parent] > to_here[*before[i]]) before[i] = parent;
    }
    to_here[i] = length_of(members[i]) + (before[i] ? to_here[*before[i]] : 0);
    if (to_here[i] > to_here[last]) last = i;
  }
  std::vector<bool> on_path(members.size());
  for (std::optional<std::size_t> at = members.empty() ? std::nullopt : std::optional(last); at;
       at = before[*at]) {
    if (on_path[*at]) break;
    on_path[*at] = true;
  }
  return on_path;
}

std::string summary(const wire::WorkflowState& state, const std::vector<Member>& members) {
  std::size_t completed = 0;
  std::size_t running = 0;
  std::size_t failed = 0;
  std::size_t cancelled = 0;
  std::size_t skipped = 0;
  for (const Member& member : members) {
    if (!member.row) continue;
    const JobRow& row = *member.row;
    if (!row.finished) {
      running += letters_of(row) == "PD" ? 0 : 1;
    } else if (is_skipped(row)) {
      ++skipped;
    } else {
      ++(row.letters == "CD" ? completed : row.letters == "CA" ? cancelled : failed);
    }
  }
  std::string text =
      cat(to_string(WorkflowId{state.id()}), " ", state.name(), " (", state.owner().user(),
          "): ", completed, " of ", members.size(), " completed");
  const auto add = [&](std::size_t count, std::string_view what) {
    if (count > 0) text += cat(", ", count, " ", what);
  };
  add(running, "running");
  add(failed, "failed");
  add(cancelled, "cancelled");
  add(skipped, "skipped");
  if (state.has_ended_at_ns()) {
    text += cat(", ended after ",
                render_short(Time{state.ended_at_ns()} - Time{state.submitted_at_ns()}));
  }
  return text;
}

}  // namespace

std::string render_dot(const wire::WorkflowView& view, Time now) {
  std::vector<Member> members = make_members(view, now);
  const std::vector<bool> on_path = critical_path(members);
  const auto quoted = [](std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + "\"";
  };
  std::string text = cat(
      "digraph ", quoted(cat(to_string(WorkflowId{view.state().id()}), " ", view.state().name())),
      " {\n  node [shape=box];\n");
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    std::string_view colour = "white";
    std::string state;
    if (member.row) {
      state = letters_of(*member.row);
      const Colour meaning = colour_of(*member.row);
      if (meaning == Colour::Good) colour = "palegreen";
      if (meaning == Colour::Bad) colour = "salmon";
      if (meaning == Colour::Dim) colour = "lightgrey";
      if (meaning == Colour::Busy || state == "R") colour = "lightskyblue";
    }
    text +=
        cat("  ", quoted(member.name), " [label=", quoted(cat(member.name, "\\n", state)),
            ", style=", on_path[i] ? "\"filled,bold\"" : "filled", ", fillcolor=", colour, "];\n");
  }
  for (const wire::WorkflowMember& member : view.state().members()) {
    for (const wire::Need& need : member.needs()) {
      const auto outcome = static_cast<NeedOutcome>(std::min(need.outcome(), 3U));
      text += cat("  ", quoted(need.member()), " -> ", quoted(member.name()));
      if (outcome != NeedOutcome::Success) {
        text += cat(" [style=dashed, label=", quoted(to_string(outcome)), "]");
      }
      text += ";\n";
    }
  }
  return text + "}\n";
}

std::string render_workflow(const wire::WorkflowView& view,
                            Time now,
                            const TableStyle& style,
                            bool with_critical_path) {
  std::vector<Member> members = make_members(view, now);
  const std::vector<Line> lines = order(members);
  const std::vector<bool> on_path =
      with_critical_path ? critical_path(members) : std::vector<bool>(members.size());
  Table table({{"JOB", Align::Left, true},
               {"JOBID", Align::Right},
               {"ST"},
               {"TIME", Align::Right},
               {"NODES", Align::Right},
               {"NEEDS", Align::Left, true},
               {"NODELIST(REASON)", Align::Left, true}});
  for (const Line& line : lines) {
    const Member& member = members[line.member];
    const std::string name =
        cat(std::string(line.depth * 2, ' '), member.name, on_path[line.member] ? " *" : "");
    if (!member.row) {
      table.add({{name}, {"-"}, {"-"}, {"-"}, {"-"}, {member.needs}, {""}});
      continue;
    }
    const JobRow& row = *member.row;
    table.add({{name},
               {to_string(row.key)},
               {letters_of(row), colour_of(row)},
               {render_duration(row.elapsed)},
               {cat(row.nodes)},
               {member.needs},
               {row.array && !row.finished ? describe_array(row) : place_or_reason(row)}});
  }
  const bool explains = with_critical_path && style.header;
  return cat(style.header ? cat(summary(view.state(), members), "\n") : std::string(),
             table.render(style), explains ? "* on the critical path\n" : "");
}

void write_workflow_json(const wire::WorkflowView& view, Time now, JsonWriter& json) {
  const wire::WorkflowState& state = view.state();
  json.begin_object();
  json.field("workflow", to_string(WorkflowId{state.id()}));
  json.field("name", state.name());
  json.field("generation", std::int64_t{state.generation()});
  json.field("user", state.owner().user());
  json.field("submitted", render_utc(Time{state.submitted_at_ns()}));
  json.key("ended");
  if (state.has_ended_at_ns()) {
    json.value(render_utc(Time{state.ended_at_ns()}));
  } else {
    json.null();
  }
  json.key("needs").begin_object();
  for (const wire::WorkflowMember& member : state.members()) {
    json.key(member.name()).begin_array();
    for (const wire::Need& need : member.needs()) {
      json.begin_object().field("job", need.member());
      json.field("on", to_string(static_cast<NeedOutcome>(std::min(need.outcome(), 3U))));
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  json.key("jobs").begin_array();
  for (const wire::JobView& job : view.jobs()) write_json(make_row(job, now), json);
  json.end_array().end_object();
}

}  // namespace gangway::submit
