#include "scheduler/jsim/task_graph.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "queues/base/text.hpp"

namespace gangway::jsim {

namespace {

constexpr double kMostSeconds = 5e9;  // some 150 years
constexpr double kMostCores = 1e6;

}  // namespace

Result<void> TaskGraphBuilder::add(Found task) {
  if (graph_.tasks.size() == kMostTasks) {
    return Error(ErrorKind::Exhausted, cat("more than ", kMostTasks, " tasks"));
  }
  Task out{.name = task.name.empty() ? task.id : std::move(task.name), .run = {}, .cores = 1};
  if (std::isfinite(task.run_s) && task.run_s >= 0 && task.run_s <= kMostSeconds) {
    out.run = Duration{static_cast<std::int64_t>(std::llround(task.run_s * 1e9))};
  } else {
    graph_.oddities.push_back(
        {0, cat("task ", task.id), "no run time; it is taken to end at once", true});
  }
  if (task.cores >= 0) {
    if (task.cores > 0 && task.cores <= kMostCores) {
      out.cores = static_cast<std::int32_t>(std::ceil(task.cores));
    } else {
      graph_.oddities.push_back(
          {0, cat("task ", task.id), "no number of cores; one is taken", true});
    }
  }
  graph_.tasks.push_back(std::move(out));
  ids_.push_back(std::move(task.id));
  return {};
}

Result<TaskGraph> TaskGraphBuilder::finish() {
  // Older files name tasks where newer ones give ids.
  std::unordered_map<std::string, std::uint32_t> by_id;
  std::unordered_map<std::string, std::optional<std::uint32_t>> by_name;
  for (std::uint32_t i = 0; i < ids_.size(); ++i) {
    if (!by_id.emplace(ids_[i], i).second) {
      return Error(ErrorKind::Invalid, cat("two tasks are ", ids_[i]));
    }
    const auto [known, is_new] = by_name.emplace(graph_.tasks[i].name, i);
    if (!is_new) known->second.reset();
  }
  const auto find = [&](const std::string& what) -> std::optional<std::uint32_t> {
    if (const auto id = by_id.find(what); id != by_id.end()) return id->second;
    if (const auto name = by_name.find(what); name != by_name.end()) return name->second;
    return std::nullopt;
  };
  for (const auto& [from, to] : edges_) {
    const auto first = find(from);
    const auto second = find(to);
    if (first && second) {
      graph_.edges.push_back({*first, *second});
    } else {
      leave_out(cat("edge ", from, " -> ", to), "an edge of a task that is not there");
    }
  }
  // Most files say each edge twice, with the parent and with the child.
  const auto ends = [](const GraphEdge& e) { return std::pair(e.from, e.to); };
  std::ranges::sort(graph_.edges, {}, ends);
  const auto twice = std::ranges::unique(graph_.edges, {}, ends);
  graph_.edges.erase(twice.begin(), twice.end());
  std::ranges::sort(graph_.oddities, {}, [](const Oddity& o) { return std::tie(o.why, o.where); });
  const auto again = std::ranges::unique(graph_.oddities);
  graph_.oddities.erase(again.begin(), again.end());

  if (graph_.tasks.empty()) return Error(ErrorKind::Invalid, "there are no tasks");
  const std::vector<std::int64_t> weights(ids_.size(), 1);
  if (auto order = order_graph(ids_, weights, graph_.edges); !order) return order.error();
  return std::move(graph_);
}

Result<TaskGraph> parse_workflow(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return Error(ErrorKind::Invalid, "the file is empty");
  if (text[first] == '<') return parse_dax(text);
  if (text[first] == '{') return read_wfformat(text);
  return Error(ErrorKind::Invalid, "neither JSON (WfFormat) nor XML (DAX)");
}

}  // namespace gangway::jsim
