#include "submit/queue_format.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "queues/base/text.hpp"
#include "queues/base/units.hpp"

namespace gangway::submit {

namespace {

std::string time_text(const std::optional<Time>& time) {
  return time && time->ns > 0 ? render_local_time(*time) : std::string("N/A");
}

// As squeue prints it: a part of the highest priority there can be.
std::string part_of_highest(std::int64_t priority) {
  std::array<char, 32> text{};
  const int length = std::snprintf(text.data(), text.size(), "%.14f",
                                   static_cast<double>(priority) / 4294967295.0);
  return {text.data(), static_cast<std::size_t>(length)};
}

// Of components with different wishes each has its own.
std::string features_of(const JobRow& row) {
  std::vector<std::string> parts;
  for (const Component& c : row.components) {
    parts.push_back(c.constraint.empty() ? "(null)" : c.constraint);
  }
  const bool all_alike =
      std::ranges::all_of(parts, [&](const std::string& part) { return part == parts.front(); });
  return parts.empty() || all_alike ? (parts.empty() ? "(null)" : parts.front())
                                    : join(parts, " : ");
}

std::string text_of(const std::optional<Duration>& d) {
  return d ? render_duration(*d) : std::string("UNLIMITED");
}
std::int64_t ns_of(const std::optional<Time>& time) { return time ? time->ns : 0; }

Bytes peak_of(const JobRow& r) {
  Bytes most;
  for (const NodeUsage& node : r.usage.nodes) most = std::max(most, node.used.peak_memory);
  return most;
}

constexpr JobColumn kColumns[] = {
    {'i', "jobid id", "JOBID", [](const JobRow& r) { return id_of(r); },
     [](const JobRow& r) { return static_cast<std::int64_t>(r.key.job.value); }},
    {'A', "jobidraw", "JOBID", [](const JobRow& r) { return to_string(r.key.job); },
     [](const JobRow& r) { return static_cast<std::int64_t>(r.key.job.value); }},
    {'F', "arrayjobid", "ARRAY_JOB_ID", [](const JobRow& r) { return to_string(r.key.job); },
     [](const JobRow& r) { return static_cast<std::int64_t>(r.key.job.value); }},
    {'K', "arraytaskid", "ARRAY_TASK_ID",
     [](const JobRow& r) {
       if (r.array && !is_told_by_elements(r)) {
         return r.finished ? r.array->dropped() : r.array->waiting();
       }
       return r.key.index == JobKey::kNoIndex ? std::string("N/A") : cat(r.key.index);
     },
     [](const JobRow& r) { return std::int64_t{r.key.index}; }},
    {'j', "name jobname", "NAME", [](const JobRow& r) { return r.name; }},
    {'u', "username user", "USER", [](const JobRow& r) { return r.user; }},
    {'U', "userid uid", "UID", [](const JobRow& r) { return cat(r.uid); },
     [](const JobRow& r) { return std::int64_t{r.uid}; }},
    {'a', "account", "ACCOUNT", [](const JobRow& r) { return r.account; }},
    {'P', "partition queue", "PARTITION", [](const JobRow& r) { return r.queue; }},
    {'t', "statecompact", "ST", [](const JobRow& r) { return r.letters; }},
    {'T', "state", "STATE", [](const JobRow& r) { return r.state; }},
    {'M', "timeused elapsed time", "TIME",
     [](const JobRow& r) { return render_duration(r.elapsed); },
     [](const JobRow& r) { return r.elapsed.ns; }},
    {'l', "timelimit", "TIME_LIMIT", [](const JobRow& r) { return text_of(r.time_limit); },
     [](const JobRow& r) { return r.time_limit.value_or(hours(1'000'000)).ns; }},
    {'D', "numnodes nnodes nodes", "NODES", [](const JobRow& r) { return cat(r.nodes); },
     [](const JobRow& r) { return std::int64_t{r.nodes}; }},
    {'C', "numcpus ncpus alloccpus reqcpus cores", "CPUS",
     [](const JobRow& r) { return cat(r.cores); }, [](const JobRow& r) { return r.cores; }},
    {'N', "nodelist", "NODELIST", [](const JobRow& r) { return r.node_list; }},
    {'R', "reasonlist", "NODELIST(REASON)", place_or_reason},
    {'r', "reason", "REASON", [](const JobRow& r) { return r.reason; }},
    {'S', "starttime start", "START_TIME",
     [](const JobRow& r) { return time_text(r.started ? r.started : r.expected_start); },
     [](const JobRow& r) { return ns_of(r.started ? r.started : r.expected_start); }},
    {'e', "endtime end", "END_TIME", [](const JobRow& r) { return time_text(r.ended); },
     [](const JobRow& r) { return ns_of(r.ended); }},
    {'V', "submittime submit", "SUBMIT_TIME",
     [](const JobRow& r) { return time_text(r.submitted); },
     [](const JobRow& r) { return r.submitted.ns; }},
    {'Q', "prioritylong priority", "PRIORITY", [](const JobRow& r) { return cat(r.priority); },
     [](const JobRow& r) { return r.priority; }},
    {'p', "", "PRIORITY", [](const JobRow& r) { return part_of_highest(r.priority); },
     [](const JobRow& r) { return r.priority; }},
    {'q', "qos", "QOS", [](const JobRow& r) { return r.qos.empty() ? std::string("N/A") : r.qos; }},
    {'f', "feature features", "FEATURES", features_of},
    {'E', "dependency", "DEPENDENCY",
     [](const JobRow& r) { return r.dependency.empty() ? std::string("(null)") : r.dependency; }},
    {'y', "nice", "NICE", [](const JobRow& r) { return cat(r.nice); },
     [](const JobRow& r) { return std::int64_t{r.nice}; }},
    {'k', "comment", "COMMENT", [](const JobRow& r) { return r.comment; }},
    {'Z', "workdir", "WORK_DIR", [](const JobRow& r) { return r.workdir; }},
    {'o', "command", "COMMAND", [](const JobRow& r) { return r.command; }},
    {0, "tasks ntasks numtasks", "TASKS", [](const JobRow& r) { return cat(r.tasks); },
     [](const JobRow& r) { return std::int64_t{r.tasks}; }},
    {0, "exitcode exit_code", "EXIT_CODE", exit_pair},
    {0, "stdout output", "STDOUT", [](const JobRow& r) { return r.out; }},
    {0, "workflow", "WORKFLOW",
     [](const JobRow& r) {
       return r.workflow == 0 ? std::string("N/A") : to_string(WorkflowId{r.workflow});
     },
     [](const JobRow& r) { return static_cast<std::int64_t>(r.workflow); }},
    {0, "member", "MEMBER", [](const JobRow& r) { return r.member; }},
    {0, "image", "IMAGE", [](const JobRow& r) { return r.image; }},
    {0, "maxrss peakmemory", "PEAK_MEMORY",
     [](const JobRow& r) { return render_bytes(peak_of(r)); },
     [](const JobRow& r) { return peak_of(r).value; }},
};

}  // namespace

RowColumns<JobRow> job_columns() { return kColumns; }

Result<QueueFormat> parse_queue_format(std::string_view text) {
  return parse_format(job_columns(), text);
}

std::string render_rows(const QueueFormat& format, const std::vector<JobRow>& rows, bool header) {
  return render_formatted(format, rows, header);
}

}  // namespace gangway::submit
