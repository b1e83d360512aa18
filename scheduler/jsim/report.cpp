#include "scheduler/jsim/report.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <map>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

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

std::string user_name(std::int64_t user) { return user < 0 ? "unknown" : cat(user); }

}  // namespace

std::string with_decimals(double value, int decimals) {
  char digits[400];
  const auto end =
      std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, decimals);
  CHECK(end.ec == std::errc{});
  return {digits, end.ptr};
}

std::string render_trace(const Trace& trace) {
  std::string out =
      cat(trace.jobs.size(), trace.jobs.size() == 1 ? " job of " : " jobs of ", trace.rows,
          trace.rows == 1 ? " line on " : " lines on ", trace.processors, " processors\n");
  for (const std::string& note : trace.notes) out += cat("note: ", note, '\n');
  std::map<std::string, std::vector<std::size_t>> lines;
  for (const LeftOut& left_out : trace.left_out) lines[left_out.why].push_back(left_out.line);
  for (const auto& [why, numbers] : lines) {
    out += cat("left out: ", numbers.size(), numbers.size() == 1 ? " line, " : " lines, ", why,
               numbers.size() == 1 ? ": line " : ": lines ");
    for (std::size_t i = 0; i < numbers.size() && i < kLinesNamed; ++i) {
      out += cat(i == 0 ? "" : ", ", numbers[i]);
    }
    out += numbers.size() > kLinesNamed ? ", ...\n" : "\n";
  }
  return out;
}

std::string render_left_out(const Trace& trace) {
  std::string out = "line,reason\n";
  for (const LeftOut& left_out : trace.left_out) out += cat(left_out.line, ',', left_out.why, '\n');
  return out;
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

std::string render_users(const std::vector<PolicyRun>& runs) {
  CHECK(!runs.empty());
  std::vector<std::vector<std::string>> rows{{"user", "jobs", "processor hours"}};
  for (const PolicyRun& run : runs) {
    rows[0].push_back("wait, s, " + run.name);
    rows[0].push_back("slowdown, " + run.name);
  }
  const std::vector<UserFigures>& users = runs.front().figures.users;
  for (std::size_t i = 0; i < users.size(); ++i) {
    std::vector<std::string> row{user_name(users[i].user), cat(users[i].jobs),
                                 with_decimals(users[i].processor_seconds / 3600, 1)};
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
      cat(after.name, " instead of ", before.name, ": ", earlier, " jobs start earlier, ", later,
          " later; ", gain, " users gain, ", lose, " lose\n");
  std::vector<std::vector<std::string>> rows{
      {"user", "jobs", "slowdown, " + before.name, "slowdown, " + after.name}};
  const auto add = [&](const Change& change) {
    rows.push_back({user_name(change.before->user), cat(change.before->jobs),
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
  std::string out = "job,user,processors,submit,run,estimate";
  for (const PolicyRun& run : runs) {
    const std::string tail = runs.size() == 1 ? "" : "_" + run.name;
    out += cat(",start", tail, ",wait", tail, ",slowdown", tail);
  }
  out += '\n';
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const TraceJob& job = trace.jobs[i];
    out += cat(job.number, ',', job.user, ',', job.processors, ',', in_seconds(job.submit.ns), ',',
               in_seconds(job.run.ns), ',', in_seconds(job.estimate.ns));
    for (const PolicyRun& run : runs) {
      const Time start = run.schedule.runs[i].start;
      const Duration wait = start - job.submit;
      out += cat(',', in_seconds(start.ns), ',', in_seconds(wait.ns), ',',
                 with_decimals(bounded_slowdown(wait, job.run), 4));
    }
    out += '\n';
  }
  return out;
}

}  // namespace gangway::jsim
