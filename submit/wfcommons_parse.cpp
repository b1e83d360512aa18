#include "submit/wfcommons_parse.hpp"

#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/dependency_graph.hpp"

namespace gangway::submit {

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

double run_time_of(const Json& task) {
  for (const char* const key : {"runtimeInSeconds", "runtime"}) {
    const Json* const value = find(task, key);
    if (value != nullptr && value->is_number()) return value->get<double>();
  }
  return 0;
}

// Letters that a job's name may have.
std::string job_name(std::string_view id) {
  std::string name;
  for (const char c : id.substr(0, 100)) {
    const bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    name += is_fine ? c : '_';
  }
  if (name.empty() || name.front() == '.' || name.front() == '-') name.insert(0, "t");
  return name;
}

class Reader {
 public:
  Reader(const WorkflowInput& input, double time_scale) : input_(input), scale_(time_scale) {}

  WorkflowFile read() {
    try {
      read_file(Json::parse(input_.text));
    } catch (const Json::exception& error) {  // the library's, caught where it is called
      fail(error.what());
    }
    return std::move(file_);
  }

 private:
  void fail(std::string message) {
    if (file_.errors.size() < 100) file_.errors.push_back({0, std::move(message)});
  }

  void read_file(const Json& json) {
    file_.name = text_of(json, "name");
    if (file_.name.empty()) file_.name = "wfcommons";
    const Json* const workflow = find(json, "workflow");
    if (workflow == nullptr) return fail("it has no \"workflow\"; is it WfFormat?");
    // 1.5 has the graph under `specification` and what was measured under `execution`; before, a
    // task has both.
    const Json* const specification = find(*workflow, "specification");
    const Json* tasks = find(specification != nullptr ? *specification : *workflow, "tasks");
    if (tasks == nullptr) tasks = find(*workflow, "jobs");  // before 1.3
    if (tasks == nullptr || !tasks->is_array() || tasks->empty()) {
      return fail("its workflow has no list of tasks");
    }
    std::map<std::string, double> measured;
    if (const Json* const execution = find(*workflow, "execution"); execution != nullptr) {
      const Json* const list = find(*execution, "tasks");
      if (list != nullptr && list->is_array()) {
        for (const Json& one : *list) measured[text_of(one, "id")] = run_time_of(one);
      }
    }
    for (const Json& task : *tasks) add_task(task, measured);
    put_needs();
  }

  void add_task(const Json& task, const std::map<std::string, double>& measured) {
    std::string id = text_of(task, "id");
    if (id.empty()) id = text_of(task, "name");
    if (id.empty()) return fail(cat("task number ", file_.jobs.size() + 1, " has no id"));
    if (index_.contains(id)) return fail(cat("there are two tasks \"", id, "\""));
    const auto found = measured.find(id);
    const double seconds = (found == measured.end() ? run_time_of(task) : found->second) * scale_;
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3f", seconds < 0 ? 0.0 : seconds);

    WorkflowJob job;
    job.name = job_name(id);
    if (!names_.insert(job.name).second) job.name = cat(job.name.substr(0, 90), '_', names_.size());
    names_.insert(job.name);
    JobDraft draft;
    draft.now = input_.around.now;
    draft.export_list = "NONE";
    draft.output = "/dev/null";
    draft.source = OptionSource::CommandLine;
    if (!apply_options(draft, input_.command_line)) return;
    ProgramText program;
    program.default_name = job.name;
    program.argv = {"/bin/sleep", text.data()};
    Surroundings around = input_.around;
    around.directory = input_.directory;
    Result<JobSpec> spec = make_spec(draft, program, around);
    if (!spec) return fail(cat("task ", id, ": ", spec.error().message()));
    job.spec = *std::move(spec);
    job.spec.name = job.name;
    if (draft.image) job.image = absolute_path(*draft.image, input_.directory);
    index_[id] = file_.jobs.size();
    file_.jobs.push_back(std::move(job));
    const auto each = [&](const char* key, auto add) {
      const Json* const others = find(task, key);
      if (others == nullptr || !others->is_array()) return;
      for (const Json& other : *others) {
        if (other.is_string()) add(other.get<std::string>());
      }
    };
    each("parents", [&](std::string other) { edges_.insert({std::move(other), id}); });
    each("children", [&](std::string other) { edges_.insert({id, std::move(other)}); });
  }

  void put_needs() {
    std::vector<GraphEdge> graph;
    std::vector<std::string> names;
    for (const WorkflowJob& job : file_.jobs) names.push_back(job.name);
    for (const auto& [from, to] : edges_) {
      const auto parent = index_.find(from);
      const auto child = index_.find(to);
      if (parent == index_.end() || child == index_.end()) {
        fail(cat("an edge from \"", from, "\" to \"", to, "\": there is no such task"));
        continue;
      }
      file_.jobs[child->second].needs.push_back(
          {file_.jobs[parent->second].name, NeedOutcome::Success});
      graph.push_back(
          {static_cast<std::uint32_t>(parent->second), static_cast<std::uint32_t>(child->second)});
    }
    const auto order = order_graph(names, std::vector<std::int64_t>(names.size(), 1), graph);
    if (!order) fail(cat("the tasks have a cycle: ", order.error().message()));
  }

  const WorkflowInput& input_;
  double scale_;
  WorkflowFile file_;
  std::map<std::string, std::size_t> index_;
  std::set<std::string> names_;
  std::set<std::pair<std::string, std::string>> edges_;
};

}  // namespace

WorkflowFile parse_wfcommons(const WorkflowInput& input, double time_scale) {
  return Reader(input, time_scale).read();
}

}  // namespace gangway::submit
