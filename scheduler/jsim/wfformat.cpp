// WfFormat: JSON. The only file here that includes nlohmann.
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "queues/base/text.hpp"
#include "scheduler/jsim/task_graph.hpp"

namespace gangway::jsim {

namespace {

using Json = nlohmann::json;

const Json* find(const Json& in, const char* key) {
  if (!in.is_object()) return nullptr;
  const auto at = in.find(key);
  return at == in.end() ? nullptr : &*at;
}

std::string text_of(const Json& in, const char* key) {
  const Json* const value = find(in, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

// Below 0: there is none, or it is no number.
double number_of(const Json& in, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const Json* const value = find(in, key);
    if (value != nullptr && value->is_number()) return value->get<double>();
  }
  return -1;
}

void read_edges(const Json& task, const std::string& id, TaskGraphBuilder& builder) {
  const auto each = [&](const char* key, auto add) {
    const Json* const others = find(task, key);
    if (others == nullptr) return;
    if (!others->is_array()) return builder.leave_out(cat("task ", id), cat(key, " is no list"));
    for (const Json& other : *others) {
      if (other.is_string()) {
        add(other.get<std::string>());
      } else {
        builder.leave_out(cat("task ", id), cat("something in ", key, " is no name"));
      }
    }
  };
  each("parents", [&](std::string other) { builder.add_edge(std::move(other), id); });
  each("children", [&](std::string other) { builder.add_edge(id, std::move(other)); });
}

Result<TaskGraph> read(const Json& file) {
  TaskGraphBuilder builder;
  builder.set_name(text_of(file, "name"));
  const Json* const workflow = find(file, "workflow");
  if (workflow == nullptr) return Error(ErrorKind::Invalid, "it has no \"workflow\"");
  // 1.5 has the graph under `specification` and what was measured under `execution`; before, a task
  // has both.
  const Json* const specification = find(*workflow, "specification");
  const Json* tasks = find(specification != nullptr ? *specification : *workflow, "tasks");
  if (tasks == nullptr) tasks = find(*workflow, "jobs");  // before 1.3
  if (tasks == nullptr || !tasks->is_array()) {
    return Error(ErrorKind::Invalid, "its workflow has no list of tasks");
  }
  std::unordered_map<std::string, const Json*> measured;
  if (const Json* const execution = find(*workflow, "execution"); execution != nullptr) {
    if (const Json* const list = find(*execution, "tasks"); list != nullptr && list->is_array()) {
      for (const Json& one : *list) measured.emplace(text_of(one, "id"), &one);
    }
  }

  for (std::size_t i = 0; i < tasks->size(); ++i) {
    const Json& task = (*tasks)[i];
    builder.count();
    std::string id = text_of(task, "id");
    if (id.empty()) id = text_of(task, "name");
    if (id.empty()) {
      builder.leave_out(cat("task number ", i + 1), "a task without id and name");
      continue;
    }
    const auto found = measured.find(id);
    const Json& run = found == measured.end() ? task : *found->second;
    read_edges(task, id, builder);
    const Result<void> added =
        builder.add({.id = id,
                     .name = text_of(task, "name"),
                     .run_s = number_of(run, {"runtimeInSeconds", "runtime"}),
                     .cores = number_of(run, {"coreCount", "cores"})});
    if (!added) return added.error();
  }
  return builder.finish();
}

}  // namespace

Result<TaskGraph> parse_wfformat(std::string_view text) {
  try {
    return read(Json::parse(text));
  } catch (const Json::exception& error) {  // the library's, caught where it is called
    return Error(ErrorKind::Invalid, error.what());
  }
}

}  // namespace gangway::jsim
