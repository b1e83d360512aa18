#include "queues/model/wfformat.hpp"

#include "scheduler/jsim/task_graph.hpp"

namespace gangway::jsim {

Result<TaskGraph> read_wfformat(std::string_view text) {
  GANGWAY_ASSIGN(WfFile file, parse_wfformat(text));
  TaskGraphBuilder builder;
  builder.set_name(file.name);
  for (std::size_t i = 0; i < file.read; ++i) builder.count();
  for (WfOddity& oddity : file.oddities) {
    builder.leave_out(std::move(oddity.where), std::move(oddity.why));
  }
  for (WfTask& task : file.tasks) {
    for (std::string& parent : task.parents) builder.add_edge(std::move(parent), task.id);
    for (std::string& child : task.children) builder.add_edge(task.id, std::move(child));
    GANGWAY_TRY(builder.add({.id = std::move(task.id),
                             .name = std::move(task.name),
                             .run_s = task.run_s,
                             .cores = task.cores}));
  }
  return builder.finish();
}

}  // namespace gangway::jsim
