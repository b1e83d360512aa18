// TaskGraph: one workflow as files of others describe it, to be run again: tasks with run times and
// cores, and which waits for which.
//
// Two formats: WfFormat of WfCommons (JSON; versions 1.3 to 1.5 differ in where they put what), and
// the older DAX of Pegasus (XML). Sources: T. Coleman et al., "WfCommons: A Framework for Enabling
// Scientific Workflow Research and Development", FGCS 128, 2022; the DAX schema, version 2.1.
//
// Oddities do not make a file useless, but none is passed over in silence: each is told with the
// task that has it. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/model/dependency_graph.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

inline constexpr std::size_t kMostTasks = 1'000'000;  // in a file

struct Task {
  std::string name;
  Duration run;
  std::int32_t cores = 1;
  friend bool operator==(const Task&, const Task&) = default;
};

struct TaskGraph {
  std::string name;
  std::vector<Task> tasks;       // in the order of the file
  std::vector<GraphEdge> edges;  // each once, sorted
  std::vector<Oddity> oddities;
  std::size_t read = 0;  // entries that should be tasks
};

// By its first character: '<' is XML. Errors: Invalid, if it is neither, has no tasks, or some of
// them wait for each other.
[[nodiscard]] Result<TaskGraph> parse_workflow(std::string_view text);

// What a format's reader finds, before it is a graph. References are names or ids of tasks.
class TaskGraphBuilder {
 public:
  // Where a run time or a number of cores is not known, something else is taken, and told.
  struct Found {
    std::string id;
    std::string name;   // empty: the id
    double run_s = -1;  // below 0: not known
    double cores = -1;
  };
  // Errors: Exhausted, beyond kMostTasks.
  [[nodiscard]] Result<void> add(Found task);
  void add_edge(std::string from, std::string to) {
    edges_.emplace_back(std::move(from), std::move(to));
  }
  void leave_out(std::string where, std::string why) {
    graph_.oddities.push_back({0, std::move(where), std::move(why)});
  }
  void count() { ++graph_.read; }
  void set_name(std::string name) { graph_.name = std::move(name); }

  [[nodiscard]] Result<TaskGraph> finish();

 private:
  TaskGraph graph_;
  std::vector<std::pair<std::string, std::string>> edges_;  // by id or name
  std::vector<std::string> ids_;
};

// The readers, by format; parse_workflow() calls them.
[[nodiscard]] Result<TaskGraph> read_wfformat(std::string_view text);
[[nodiscard]] Result<TaskGraph> parse_dax(std::string_view text);

}  // namespace gangway::jsim
