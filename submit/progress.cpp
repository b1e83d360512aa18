#include "submit/progress.hpp"

#include <algorithm>
#include <ctime>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/submission.hpp"

namespace gangway::submit {

namespace {

std::string describe(const JobRow& row) {
  if (row.finished && row.outcome) return cat(how_it_ended(*row.outcome));
  if (row.letters == "PD") {
    // That a job waits for its turn or for other jobs is no news.
    const bool is_plain = row.reason == "None" || row.reason == "Priority" ||
                          row.reason == "Dependency" || row.reason == "Resources";
    return is_plain ? std::string() : cat("waiting (", row.reason, ")");
  }
  const std::string nodes = row.node_list.empty() ? std::string() : cat(" on ", row.node_list);
  if (row.letters == "CF") return cat("starting", nodes);
  if (row.letters == "R") return cat("running", nodes);
  if (row.letters == "S") return cat("suspended", nodes);
  return cat("completing", nodes);
}

// What the scheduler says of the targets now.
Result<std::vector<JobRow>> look(Client& client, const Targets& targets) {
  std::vector<JobRow> rows;
  if (!targets.workflows.empty()) {
    wire::Request request;
    wire::ListWorkflows& list = *request.mutable_list_workflows();
    for (const WorkflowId id : targets.workflows) list.add_ids(id.value);
    list.set_finished_too(true);
    GANGWAY_TRY(client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
      const Time now{response.workflows().now_ns()};
      for (const wire::WorkflowView& view : response.workflows().workflows()) {
        for (const wire::JobView& job : view.jobs()) rows.push_back(make_row(job, now));
      }
    }));
  }
  if (!targets.jobs.empty()) {
    wire::Request request;
    wire::ListJobs& list = *request.mutable_list_jobs();
    for (const JobKey key : targets.jobs) wire::to_wire(key, list.add_keys());
    list.set_finished_too(true);
    GANGWAY_TRY(client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
      const Time now{response.jobs().now_ns()};
      for (const wire::JobView& job : response.jobs().jobs()) rows.push_back(make_row(job, now));
    }));
  }
  return rows;
}

}  // namespace

std::vector<std::string> ProgressLines::update(const std::vector<JobRow>& rows) {
  std::vector<std::string> lines;
  for (const JobRow& row : rows) {
    std::string now = describe(row);
    std::string& before = said_[row.key];
    // "completing" lasts milliseconds and says nothing that its end does not.
    if (now == before || now.empty() || row.letters == "CG") continue;
    const std::string name = row.member.empty() ? cat("job ", to_string(row.key))
                                                : cat(row.member, " (", to_string(row.key), ")");
    const std::string took =
        row.finished && row.elapsed > Duration{} ? cat(", ", render_short(row.elapsed)) : "";
    lines.push_back(cat(name, ": ", now, took));
    before = std::move(now);
  }
  return lines;
}

Result<void> show_progress(
    Client& client, std::string_view program, const Targets& targets, Duration retry, bool quiet) {
  const BootTime began = SystemClock().now().boot;
  ProgressLines progress;
  for (;;) {
    std::vector<JobRow> rows;
    GANGWAY_TRY(retry_while_unavailable(program, retry, quiet, [&]() -> Result<void> {
      Result<std::vector<JobRow>> seen = look(client, targets);
      if (!seen) return seen.error();
      rows = *std::move(seen);
      return {};
    }));
    const std::string stamp = render_duration(SystemClock().now().boot - began);
    std::string text;
    for (const std::string& line : progress.update(rows)) text += cat(stamp, "  ", line, "\n");
    if (!text.empty() && !print(text)) return {};
    if (std::ranges::all_of(rows, &JobRow::finished)) return {};
    const timespec pause{.tv_sec = 0, .tv_nsec = 200'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace gangway::submit
