// The two views that are texts: a job's details, and the help. Pure, but for the time zone.
#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/base/units.hpp"
#include "submit/monitor/draw.hpp"

namespace gangway::monitor {

namespace {

void add(std::vector<std::string>& lines, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  constexpr std::size_t kWidth = 13;
  std::string line(name);
  line.append(kWidth > name.size() ? kWidth - name.size() : 1, ' ');
  lines.push_back(cat(line, value));
}

void add_time(std::vector<std::string>& lines,
              std::string_view name,
              const std::optional<Time>& time) {
  if (time && time->ns > 0) add(lines, name, render_local_time(*time));
}

}  // namespace

std::vector<std::string> details_of(const Screen& screen) {
  std::vector<std::string> lines;
  const WatchedJob* const job =
      screen.shown_job() ? screen.picture().find(*screen.shown_job()) : nullptr;
  if (job == nullptr) return {"this job is not shown any more; jhist has what is kept of it"};
  const submit::JobRow& row = job->row;
  add(lines, "Name", row.name);
  add(lines, "User",
      cat(row.user, row.account.empty() ? "" : cat(", account ", row.account),
          row.qos.empty() ? "" : cat(", QOS ", row.qos)));
  std::string state = row.state;
  if (row.letters == "PD") state += cat(" (", row.reason, ")");
  if (row.finished && row.outcome) state = submit::how_it_ended(*row.outcome);
  if (row.attempt > 1) state += cat(", attempt ", row.attempt);
  add(lines, "State", state);
  add(lines, "Queue",
      cat(row.queue, ", priority ", row.priority,
          row.nice != 0 ? cat(", nice ", row.nice) : std::string()));
  if (row.workflow != 0) {
    add(lines, "Workflow", cat(to_string(WorkflowId{row.workflow}), ", member ", row.member));
  }
  if (row.array) {
    add(lines, "Array",
        cat(row.array->total(), " elements, ", row.array->waiting_count(), " waiting, ",
            row.array->succeeded(), " succeeded, ", row.array->unsuccessful(), " failed"));
  }
  add(lines, "Dependency", row.dependency);
  add(lines, "Resources", cat(row.nodes, " nodes, ", row.tasks, " tasks, ", row.cores, " cores"));
  for (const Component& c : row.components) {
    std::string text = cat(c.nodes, " nodes with ", c.tasks, " tasks of ", c.cpus_per_task,
                           " cores, ", render_bytes(c.memory_per_node), " each");
    for (const auto& [name, amount] : c.named_per_node.named) text += cat(", ", name, ":", amount);
    if (!c.constraint.empty()) text += cat(", constraint ", c.constraint);
    if (c.exclusive) text += ", exclusive";
    add(lines, "  asked for", text);
  }
  add(lines, "Nodes", row.node_list);
  add(lines, "Time",
      cat(render_duration(job->elapsed(screen.now())), " of ",
          row.time_limit ? render_duration(*row.time_limit) : std::string("no limit")));
  add_time(lines, "Submitted", row.submitted);
  add_time(lines, "Not before", row.begin);
  add_time(lines, "Expected", row.started ? std::nullopt : row.expected_start);
  add_time(lines, "Started", row.started);
  add_time(lines, "Ended", row.ended);
  add_time(lines, "Deadline", row.deadline);
  if (row.finished) add(lines, "Exit code", submit::exit_pair(row));
  add(lines, "Command", row.command);
  add(lines, "Directory", row.workdir);
  add(lines, "Output", row.out);
  add(lines, "Image", row.image);
  add(lines, "Comment", row.comment);
  for (const NodeUsage& used : row.usage.nodes) {
    add(lines, cat("Used on ", used.node.value),
        cat(" processor ", submit::render_short(used.used.cpu), ", memory at most ",
            render_bytes(used.used.peak_memory)));
  }
  if (!screen.explained().empty()) {
    lines.emplace_back();
    lines.insert(lines.end(), screen.explained().begin(), screen.explained().end());
  }
  return lines;
}

std::vector<std::string> help_lines() {
  return {
      "The scheduler pushes what happens; nothing is asked for again and again.",
      "",
      "Up Down PgUp PgDn Home End  move",
      "F10 q      quit; from other views q goes back       F1 ? h   this help",
      "F2 n Tab   nodes, and back                          F5 t     workflows as trees",
      "Enter w i  details of the job, and why it waits",
      "o l        live output of the job; in it and in the details e: its errors",
      "F3 /       search; F3 again: the next               F4 \\ f   only what matches",
      "u          one user's jobs                          Esc      all again",
      "e          ended jobs too, not of the last minute alone",
      "F6 > .     sort by ...                              I        the other way round",
      "S P T N    sort by state, priority, time, job id",
      "Space      tag a job                                U        untag all",
      "F7 H       hold                                     F8 R     release",
      "F9 k       cancel the tagged jobs, the selected one or the workflow; asks first",
      "r          ask for everything once more             Ctrl-L   draw anew",
      "",
      "Nodes      a line each, or (m) a grid of cells: how full cores and memory are in",
      "           tenths, . empty, # full, -- takes no new jobs, xx lost",
      "Output     Up stops following, End goes on",
  };
}

}  // namespace gangway::monitor
