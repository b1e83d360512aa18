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
  for (const wire::JobView& job : view.jobs()) jobs[job.state().key().job()] = &job;
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
      running += row.letters == "PD" ? 0 : 1;
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

std::string render_workflow(const wire::WorkflowView& view, Time now, const TableStyle& style) {
  std::vector<Member> members = make_members(view, now);
  const std::vector<Line> lines = order(members);
  Table table({{"JOB", Align::Left, true},
               {"JOBID", Align::Right},
               {"ST"},
               {"TIME", Align::Right},
               {"NODES", Align::Right},
               {"NEEDS", Align::Left, true},
               {"NODELIST(REASON)", Align::Left, true}});
  for (const Line& line : lines) {
    const Member& member = members[line.member];
    const std::string name = cat(std::string(line.depth * 2, ' '), member.name);
    if (!member.row) {
      table.add({{name}, {"-"}, {"-"}, {"-"}, {"-"}, {member.needs}, {""}});
      continue;
    }
    const JobRow& row = *member.row;
    table.add({{name},
               {to_string(row.key)},
               {row.letters, colour_of(row)},
               {render_duration(row.elapsed)},
               {cat(row.nodes)},
               {member.needs},
               {place_or_reason(row)}});
  }
  return cat(style.header ? cat(summary(view.state(), members), "\n") : std::string(),
             table.render(style));
}

void write_workflow_json(const wire::WorkflowView& view, Time now, JsonWriter& json) {
  const wire::WorkflowState& state = view.state();
  json.begin_object();
  json.field("workflow", to_string(WorkflowId{state.id()}));
  json.field("name", state.name());
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
      json.field("on", to_string(static_cast<NeedOutcome>(std::min(need.outcome(), 2U))));
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
