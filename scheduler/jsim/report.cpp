#include "scheduler/jsim/report.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "scheduler/jsim/workflow_trace.hpp"
#include "scheduler/policy/fair_share.hpp"

namespace gangway::jsim {

namespace {

constexpr std::size_t kLinesNamed = 8;  // of each reason
constexpr std::size_t kUsersNamed = 5;  // that gain, and that lose
// A mean slowdown that changes by less is the same to its user.
constexpr double kSame = 0.01;

std::string pad_left(const std::string& text, std::size_t width) {
  return std::string(text.size() < width ? width - text.size() : 0, ' ') + text;
}
std::string pad_right(const std::string& text, std::size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 0, ' ');
}

// The first column to the left, the others to the right.
std::string render_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    out += pad_right(row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i) out += "  " + pad_left(row[i], widths[i]);
    out += '\n';
  }
  return out;
}

// Whole seconds without a point.
std::string in_seconds(std::int64_t ns) {
  return ns % 1'000'000'000 == 0 ? cat(ns / 1'000'000'000)
                                 : with_decimals(static_cast<double>(ns) / 1e9, 3);
}

// "line 7" without its word, or what the file calls it.
std::string place_of(const Oddity& odd) { return odd.line != 0 ? cat(odd.line) : odd.where; }

std::string in_csv(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

struct Payer {
  std::string account;  // several: that of the first job
  double part = 0;      // of the machine, by shares from the root down; of all the user's accounts
};

std::map<std::int64_t, Payer> payers_of(const Trace& trace, const Shares& shares) {
  const std::vector<scheduler::ShareRow> rows = scheduler::fair_shares(shares.entries);
  // Each row's part of the machine: rows come after what they stand below.
  std::map<AssociationKey, double> parts;
  std::vector<double> above;
  for (const scheduler::ShareRow& row : rows) {
    const auto depth = static_cast<std::size_t>(row.depth);
    above.resize(depth + 1);
    above[depth] = depth == 0 ? 1 : above[depth - 1] * row.norm_shares;
    parts[row.key] = above[depth];
  }
  std::map<std::int64_t, Payer> out;
  std::set<std::pair<std::int64_t, scheduler::UserNumber>> seen;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const scheduler::UserNumber number = shares.payer[i];
    if (!seen.emplace(trace.jobs[i].user, number).second) continue;
    const AssociationKey& key = shares.entries[number].key;
    const auto [payer, is_new] = out.try_emplace(trace.jobs[i].user);
    if (is_new) payer->second.account = key.account.value;
    payer->second.part += parts.at(key);
  }
  return out;
}

}  // namespace

std::string with_decimals(double value, int decimals) {
  char digits[400];
  const auto end =
      std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, decimals);
  CHECK(end.ec == std::errc{});
  return {digits, end.ptr};
}

std::string render_trace(const Trace& trace) {
  std::string out;
  if (trace.workflows.empty()) {
    out = cat(trace.jobs.size(), trace.jobs.size() == 1 ? " job of " : " jobs of ", trace.rows,
              trace.rows == 1 ? " line on " : " lines on ", trace.processors, " processors\n");
  } else {
    out = cat(trace.workflows.size(),
              trace.workflows.size() == 1 ? " workflow of " : " workflows of ", trace.jobs.size(),
              trace.jobs.size() == 1 ? " task on " : " tasks on ", trace.nodes,
              trace.nodes == 1 ? " node with " : " nodes with ", trace.processors / trace.nodes,
              trace.processors == trace.nodes ? " core\n" : " cores\n");
  }
  for (const std::string& note : trace.notes) out += cat("note: ", note, '\n');
  std::map<std::pair<bool, std::string>, std::vector<const Oddity*>> by_reason;
  for (const Oddity& odd : trace.oddities) by_reason[{odd.mended, odd.why}].push_back(&odd);
  for (const auto& [reason, odd] : by_reason) {
    const bool lines = odd.front()->line != 0;
    out += cat(reason.first ? "mended: " : "left out: ", odd.size(), lines ? " line" : " time",
               odd.size() == 1 ? ", " : "s, ", reason.second,
               !lines            ? ": "
               : odd.size() == 1 ? ": line "
                                 : ": lines ");
    for (std::size_t i = 0; i < odd.size() && i < kLinesNamed; ++i) {
      out += cat(i == 0 ? "" : ", ", place_of(*odd[i]));
    }
    out += odd.size() > kLinesNamed ? ", ...\n" : "\n";
  }
  return out;
}

std::string render_oddities(const Trace& trace) {
  std::string out = trace.workflows.empty() ? "line,reason\n" : "where,reason\n";
  for (const Oddity& odd : trace.oddities) {
    out += cat(in_csv(place_of(odd)), ',', in_csv(odd.why), '\n');
  }
  return out;
}

std::string render_workflows(const Trace& trace, const std::vector<PolicyRun>& runs) {
  std::vector<std::vector<std::string>> rows{
      {"workflow", "user", "tasks", "core hours", "critical path, s"}};
  for (const PolicyRun& run : runs) rows[0].push_back("makespan, s, " + run.name);
  const std::vector<std::int64_t> paths_ms = paths_to_end_ms(trace);
  std::size_t first = 0;
  for (const TraceWorkflow& workflow : trace.workflows) {
    double work = 0;
    std::int64_t longest = 0;
    for (std::size_t i = first; i < first + workflow.tasks; ++i) {
      work += to_seconds(trace.jobs[i].run) * trace.jobs[i].processors;
      longest = std::max(longest, paths_ms[i]);
    }
    std::vector<std::string> row{workflow.file, user_name(trace, workflow.user),
                                 cat(workflow.tasks), with_decimals(work / 3600, 2),
                                 with_decimals(static_cast<double>(longest) / 1000, 1)};
    for (const PolicyRun& run : runs) {
      Time end = workflow.submit;
      for (std::size_t i = first; i < first + workflow.tasks; ++i) {
        end = std::max(end, run.schedule.runs[i].end);
      }
      row.push_back(with_decimals(to_seconds(end - workflow.submit), 1));
    }
    rows.push_back(std::move(row));
    first += workflow.tasks;
  }
  return render_table(rows);
}

std::string render_figures(const std::vector<PolicyRun>& runs) {
  std::vector<std::vector<std::string>> rows{{""}};
  for (const PolicyRun& run : runs) rows[0].push_back(run.name);
  const auto add = [&](const char* name, auto value) {
    std::vector<std::string> row{name};
    for (const PolicyRun& run : runs) row.push_back(value(run.figures));
    rows.push_back(std::move(row));
  };
  add("bounded slowdown, mean", [](const Figures& f) { return with_decimals(f.mean_slowdown, 4); });
  add("bounded slowdown, median",
      [](const Figures& f) { return with_decimals(f.median_slowdown, 4); });
  add("wait, mean, s", [](const Figures& f) { return with_decimals(f.mean_wait_s, 2); });
  add("wait, median, s", [](const Figures& f) { return with_decimals(f.median_wait_s, 2); });
  add("wait, longest, s", [](const Figures& f) { return with_decimals(f.longest_wait_s, 0); });
  add("utilisation, %", [](const Figures& f) { return with_decimals(f.utilisation * 100, 2); });
  add("makespan, s", [](const Figures& f) { return with_decimals(f.makespan_s, 0); });
  add("users", [](const Figures& f) { return cat(f.users.size()); });
  add("fairness to users (Jain)", [](const Figures& f) { return with_decimals(f.fairness, 4); });
  return render_table(rows);
}

std::string render_users(const Trace& trace,
                         const std::vector<PolicyRun>& runs,
                         const Shares* shares) {
  CHECK(!runs.empty());
  std::vector<std::vector<std::string>> rows{{"user", "jobs", "processor hours"}};
  if (shares != nullptr) rows[0].insert(rows[0].end(), {"account", "share, %", "used, %"});
  for (const PolicyRun& run : runs) {
    rows[0].push_back("wait, s, " + run.name);
    rows[0].push_back("slowdown, " + run.name);
  }
  const std::map<std::int64_t, Payer> payers =
      shares != nullptr ? payers_of(trace, *shares) : std::map<std::int64_t, Payer>{};
  const std::vector<UserFigures>& users = runs.front().figures.users;
  double all = 0;
  for (const UserFigures& user : users) all += user.processor_seconds;
  for (std::size_t i = 0; i < users.size(); ++i) {
    std::vector<std::string> row{user_name(trace, users[i].user), cat(users[i].jobs),
                                 with_decimals(users[i].processor_seconds / 3600, 1)};
    if (shares != nullptr) {
      const Payer& payer = payers.at(users[i].user);
      row.push_back(payer.account);
      row.push_back(with_decimals(payer.part * 100, 2));
      row.push_back(with_decimals(all > 0 ? users[i].processor_seconds / all * 100 : 0, 2));
    }
    for (const PolicyRun& run : runs) {
      row.push_back(with_decimals(run.figures.users[i].mean_wait_s, 2));
      row.push_back(with_decimals(run.figures.users[i].mean_slowdown, 4));
    }
    rows.push_back(std::move(row));
  }
  return render_table(rows);
}

std::string render_change(const Trace& trace, const PolicyRun& before, const PolicyRun& after) {
  std::size_t earlier = 0;
  std::size_t later = 0;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    earlier += after.schedule.runs[i].start < before.schedule.runs[i].start ? 1U : 0U;
    later += before.schedule.runs[i].start < after.schedule.runs[i].start ? 1U : 0U;
  }
  struct Change {
    const UserFigures* before;
    const UserFigures* after;
    [[nodiscard]] double by() const { return after->mean_slowdown - before->mean_slowdown; }
  };
  std::vector<Change> changes;
  for (std::size_t i = 0; i < before.figures.users.size(); ++i) {
    changes.push_back({&before.figures.users[i], &after.figures.users[i]});
  }
  const auto gain = std::count_if(changes.begin(), changes.end(),
                                  [](const Change& c) { return c.by() < -kSame; });
  const auto lose =
      std::count_if(changes.begin(), changes.end(), [](const Change& c) { return c.by() > kSame; });
  std::stable_sort(changes.begin(), changes.end(),
                   [](const Change& a, const Change& b) { return a.by() < b.by(); });

  std::string out =
      cat(after.name, " instead of ", before.name, ": ", earlier,
          earlier == 1 ? " job starts earlier, " : " jobs start earlier, ", later, " later; ", gain,
          gain == 1 ? " user gains, " : " users gain, ", lose, lose == 1 ? " loses\n" : " lose\n");
  std::vector<std::vector<std::string>> rows{
      {"user", "jobs", "slowdown, " + before.name, "slowdown, " + after.name}};
  const auto add = [&](const Change& change) {
    rows.push_back({user_name(trace, change.before->user), cat(change.before->jobs),
                    with_decimals(change.before->mean_slowdown, 4),
                    with_decimals(change.after->mean_slowdown, 4)});
  };
  for (std::size_t i = 0; i < changes.size() && i < kUsersNamed; ++i) {
    if (changes[i].by() < -kSame) add(changes[i]);
  }
  const std::size_t from = changes.size() > kUsersNamed ? changes.size() - kUsersNamed : 0;
  for (std::size_t i = from; i < changes.size(); ++i) {
    if (changes[i].by() > kSame) add(changes[i]);
  }
  return rows.size() == 1 ? out : out + render_table(rows);
}

std::string render_csv(const Trace& trace, const std::vector<PolicyRun>& runs) {
  const bool tasks = !trace.workflows.empty();
  std::string out = tasks ? "job,workflow,task,user,processors,submit,run,estimate"
                          : "job,user,processors,submit,run,estimate";
  for (const PolicyRun& run : runs) {
    const std::string tail = runs.size() == 1 ? "" : "_" + run.name;
    if (tasks) out += cat(",eligible", tail);
    out += cat(",start", tail, ",wait", tail, ",slowdown", tail);
  }
  out += '\n';
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const TraceJob& job = trace.jobs[i];
    out += cat(job.number, ',');
    if (tasks) {
      const TraceWorkflow& workflow = trace.workflows[static_cast<std::size_t>(job.workflow)];
      out += cat(in_csv(workflow.file), ',', in_csv(job.name), ',',
                 in_csv(user_name(trace, job.user)));
    } else {
      out += cat(job.user);
    }
    out += cat(',', job.processors, ',', in_seconds(job.submit.ns), ',', in_seconds(job.run.ns),
               ',', in_seconds(job.estimate.ns));
    for (const PolicyRun& run : runs) {
      const JobRun& ran = run.schedule.runs[i];
      const Duration wait = ran.start - ran.eligible;
      if (tasks) out += cat(',', in_seconds(ran.eligible.ns));
      out += cat(',', in_seconds(ran.start.ns), ',', in_seconds(wait.ns), ',',
                 with_decimals(bounded_slowdown(wait, job.run), 4));
    }
    out += '\n';
  }
  return out;
}

}  // namespace gangway::jsim
