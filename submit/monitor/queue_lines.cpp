#include "submit/monitor/queue_lines.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"

namespace gangway::monitor {

namespace {

using submit::JobRow;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Running ones first, then what waits, then what has ended.
int group_of(const JobRow& row) { return row.finished ? 2 : row.letters == "PD" ? 1 : 0; }

// Less than 0: `a` stands before `b`.
int compare(const WatchedJob& a, const WatchedJob& b, SortBy by, Time now) {
  const auto ordered = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  const JobRow& x = a.row;
  const JobRow& y = b.row;
  switch (by) {
    case SortBy::State: {
      if (const int c = ordered(group_of(x), group_of(y)); c != 0) return c;
      if (x.finished) return ordered(y.ended.value_or(Time{}), x.ended.value_or(Time{}));
      return x.letters == "PD" ? ordered(y.priority, x.priority) : 0;
    }
    case SortBy::Id:
      return 0;
    case SortBy::Priority:
      return ordered(y.priority, x.priority);
    case SortBy::Time:
      return ordered(b.elapsed(now), a.elapsed(now));
    case SortBy::User:
      return ordered(x.user, y.user);
    case SortBy::Name:
      return ordered(x.name, y.name);
    case SortBy::Queue:
      return ordered(x.queue, y.queue);
    case SortBy::Nodes:
      return ordered(y.nodes, x.nodes);
    case SortBy::Cores:
      return ordered(y.cores, x.cores);
  }
  return 0;
}

// The jobs of one workflow, each below the one on the deepest level of those it needs (of several
// the first in the file); an only follower stays at its depth. With a stack of its own: a chain may
// be long.
void add_tree(const WatchedWorkflow& workflow,
              const std::map<std::uint64_t, std::vector<const WatchedJob*>>& jobs,
              std::vector<QueueLine>& lines) {
  const std::size_t count = workflow.members.size();
  std::map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < count; ++i) index[workflow.members[i].name] = i;
  std::vector<std::vector<std::size_t>> needs(count);
  std::vector<std::vector<std::size_t>> followers(count);
  std::vector<std::size_t> missing(count);
  std::vector<std::size_t> level(count);
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::string& need : workflow.members[i].needs) {
      const auto found = index.find(need);
      if (found == index.end()) continue;
      needs[i].push_back(found->second);
      followers[found->second].push_back(i);
    }
    missing[i] = needs[i].size();
  }
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < count; ++i) {
    if (missing[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    const std::size_t i = ready.back();
    ready.pop_back();
    for (const std::size_t next : followers[i]) {
      level[next] = std::max(level[next], level[i] + 1);
      if (--missing[next] == 0) ready.push_back(next);
    }
  }
  std::vector<std::vector<std::size_t>> children(count);
  std::vector<std::size_t> roots;
  for (std::size_t i = 0; i < count; ++i) {
    const auto deepest =
        std::max_element(needs[i].begin(), needs[i].end(),
                         [&](std::size_t a, std::size_t b) { return level[a] < level[b]; });
    if (deepest != needs[i].end() && level[*deepest] < level[i]) {
      children[*deepest].push_back(i);
    } else {
      roots.push_back(i);
    }
  }
  struct Step {
    std::size_t member;
    std::size_t depth;
  };
  std::vector<Step> stack;
  for (auto root = roots.rbegin(); root != roots.rend(); ++root) stack.push_back({*root, 1});
  while (!stack.empty()) {
    const Step step = stack.back();
    stack.pop_back();
    if (const auto found = jobs.find(workflow.members[step.member].job); found != jobs.end()) {
      for (const WatchedJob* const job : found->second) lines.push_back({job, 0, step.depth});
    }
    const std::vector<std::size_t>& below = children[step.member];
    const std::size_t depth = std::min<std::size_t>(step.depth + (below.size() > 1 ? 1 : 0), 12);
    for (auto child = below.rbegin(); child != below.rend(); ++child)
      stack.push_back({*child, depth});
  }
}

}  // namespace

std::string_view name_of(SortBy by) {
  switch (by) {
    case SortBy::State:
      return "STATE";
    case SortBy::Id:
      return "JOBID";
    case SortBy::Priority:
      return "PRIORITY";
    case SortBy::Time:
      return "TIME";
    case SortBy::User:
      return "USER";
    case SortBy::Name:
      return "NAME";
    case SortBy::Queue:
      return "QUEUE";
    case SortBy::Nodes:
      return "NODES";
    case SortBy::Cores:
      return "CORES";
  }
  return "";
}

bool contains(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end() ||
         part.empty();
}

// A node may be inside of a range: "n[01-04]".
static bool runs_on(const JobRow& row, std::string_view part) {
  if (row.node_list.find('[') == std::string::npos) return false;
  const Result<std::vector<NodeName>> nodes = parse_host_list(row.node_list);
  return nodes && std::any_of(nodes->begin(), nodes->end(),
                              [&](const NodeName& node) { return contains(node.value, part); });
}

bool matches(const JobRow& row, std::string_view part) {
  return contains(submit::id_of(row, 40), part) || contains(row.name, part) ||
         contains(row.user, part) || contains(row.queue, part) || contains(row.state, part) ||
         contains(submit::place_or_reason(row), part) || runs_on(row, part) ||
         (row.workflow != 0 && contains(to_string(WorkflowId{row.workflow}), part));
}

std::vector<QueueLine> lines_of(const Picture& picture, const QueueChoices& choices, Time now) {
  std::vector<const WatchedJob*> shown;
  for (const auto& [key, job] : picture.jobs()) {
    if (!choices.user.empty() && job.row.user != choices.user) continue;
    if (!choices.filter.empty() && !matches(job.row, choices.filter)) continue;
    // In a tree the ended ones show how far it has come, as long as the workflow goes on.
    bool of_open_workflow = false;
    if (choices.tree && job.row.workflow != 0) {
      const auto workflow = picture.workflows().find(job.row.workflow);
      of_open_workflow = workflow != picture.workflows().end() && !workflow->second.ended;
    }
    const bool long_ended =
        job.row.finished && !of_open_workflow && now - job.row.ended.value_or(Time{}) > kEndedShown;
    if (long_ended && !choices.ended) continue;
    shown.push_back(&job);
  }
  std::stable_sort(shown.begin(), shown.end(), [&](const WatchedJob* a, const WatchedJob* b) {
    const int order = compare(*a, *b, choices.by, now);
    if (order != 0) return choices.reversed ? order > 0 : order < 0;
    const bool before = a->row.key < b->row.key;
    return choices.reversed && choices.by == SortBy::Id ? b->row.key < a->row.key : before;
  });
  std::vector<QueueLine> lines;
  if (!choices.tree) {
    for (const WatchedJob* const job : shown) lines.push_back({job, 0, 0});
    return lines;
  }
  // A workflow stands where its first job would.
  std::map<std::uint64_t, std::map<std::uint64_t, std::vector<const WatchedJob*>>> of_workflow;
  for (const WatchedJob* const job : shown) {
    if (job->row.workflow != 0)
      of_workflow[job->row.workflow][job->row.key.job.value].push_back(job);
  }
  std::set<std::uint64_t> done;
  for (const WatchedJob* const job : shown) {
    const std::uint64_t id = job->row.workflow;
    if (id == 0) {
      lines.push_back({job, 0, 0});
      continue;
    }
    if (!done.insert(id).second) continue;
    lines.push_back({nullptr, id, 0});
    const auto known = picture.workflows().find(id);
    if (known != picture.workflows().end()) {
      add_tree(known->second, of_workflow[id], lines);
    } else {
      for (const auto& [number, jobs] : of_workflow[id]) {
        for (const WatchedJob* const one : jobs) lines.push_back({one, 0, 1});
      }
    }
  }
  return lines;
}

}  // namespace gangway::monitor
