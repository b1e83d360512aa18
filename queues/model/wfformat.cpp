#include "queues/model/wfformat.hpp"

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "queues/base/text.hpp"

namespace gangway {

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

std::vector<std::string> names_of(const Json& task,
                                  const char* key,
                                  const std::string& id,
                                  WfFile& file) {
  std::vector<std::string> names;
  const Json* const others = find(task, key);
  if (others == nullptr) return names;
  if (!others->is_array()) {
    file.oddities.push_back({cat("task ", id), cat(key, " is no list")});
    return names;
  }
  for (const Json& other : *others) {
    if (other.is_string()) {
      names.push_back(other.get<std::string>());
    } else {
      file.oddities.push_back({cat("task ", id), cat("something in ", key, " is no name")});
    }
  }
  return names;
}

Result<WfFile> read(const Json& json) {
  WfFile file;
  file.name = text_of(json, "name");
  const Json* const workflow = find(json, "workflow");
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
  for (const Json& task : *tasks) {
    ++file.read;
    WfTask found;
    found.name = text_of(task, "name");
    found.id = text_of(task, "id");
    if (found.id.empty()) found.id = found.name;
    if (found.id.empty()) {
      file.oddities.push_back({cat("task number ", file.read), "a task without id and name"});
      continue;
    }
    const auto in_execution = measured.find(found.id);
    const Json& run = in_execution == measured.end() ? task : *in_execution->second;
    found.run_s = number_of(run, {"runtimeInSeconds", "runtime"});
    for (const char* const key : {"runtimeInSeconds", "runtime"}) {
      const Json* const value = find(run, key);
      if (value == nullptr || value->is_null()) continue;
      if (value->is_number() && value->get<double>() >= 0) continue;
      found.run_is_wrong = true;
    }
    found.cores = number_of(run, {"coreCount", "cores"});
    found.parents = names_of(task, "parents", found.id, file);
    found.children = names_of(task, "children", found.id, file);
    file.tasks.push_back(std::move(found));
  }
  return file;
}

}  // namespace

Result<WfFile> parse_wfformat(std::string_view text) {
  try {
    return read(Json::parse(text));
  } catch (const Json::exception& error) {  // the library's, caught where it is called
    return Error(ErrorKind::Invalid, error.what());
  }
}

}  // namespace gangway
