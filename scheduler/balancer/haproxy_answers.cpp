#include "scheduler/balancer/haproxy_answers.hpp"

#include <algorithm>

#include "queues/base/text.hpp"
#include "scheduler/balancer/routes.hpp"

namespace gangway::balancer {

std::optional<Processes> parse_processes(std::string_view answer) {
  Processes found;
  bool old = false;
  for (const std::string_view line : split(answer, '\n')) {
    if (line.starts_with("# old workers")) old = true;
    if (line.starts_with("# programs")) break;
    const std::size_t blank = line.find_first_of(" \t");
    const auto pid = parse_integer<std::int32_t>(line.substr(0, blank));
    if (!pid) continue;
    const std::string_view rest =
        blank == std::string_view::npos ? std::string_view() : trim(line.substr(blank));
    if (rest.starts_with("master")) {
      found.master = *pid;
    } else if (rest.starts_with("worker")) {
      if (old) {
        found.old_workers.push_back(*pid);
      } else {
        found.worker = *pid;
      }
    }
  }
  return found.master == 0 ? std::nullopt : std::optional(found);
}

std::map<std::uint64_t, std::int64_t> parse_in_flight(std::string_view answer) {
  std::map<std::uint64_t, std::int64_t> counts;
  std::optional<std::size_t> queued;
  std::optional<std::size_t> current;
  for (std::string_view line : split(answer, '\n')) {
    const bool is_heading = line.starts_with("# ");
    if (is_heading) line.remove_prefix(2);
    const std::vector<std::string_view> fields = split(line, ',');
    if (is_heading) {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (fields[i] == "qcur") queued = i;
        if (fields[i] == "scur") current = i;
      }
      continue;
    }
    if (!queued || !current || fields.size() <= std::max(*queued, *current)) continue;
    const std::uint64_t replica = replica_of(fields[1]);
    if (replica == 0) continue;
    counts[replica] += parse_integer<std::int64_t>(fields[*queued]).value_or(0) +
                       parse_integer<std::int64_t>(fields[*current]).value_or(0);
  }
  return counts;
}

}  // namespace gangway::balancer
