#include "submit/wfcommons_parse.hpp"

#include <array>
#include <cstdio>
#include <map>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/dependency_graph.hpp"
#include "queues/model/wfformat.hpp"

namespace gangway::submit {

namespace {

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
    const Result<WfFile> found = parse_wfformat(input_.text);
    if (!found) {
      fail(found.error().message());
    } else {
      read_file(*found);
    }
    return std::move(file_);
  }

 private:
  void fail(std::string message) {
    if (file_.errors.size() < 100) file_.errors.push_back({0, std::move(message)});
  }

  void read_file(const WfFile& found) {
    file_.name = found.name.empty() ? "wfcommons" : found.name;
    if (found.read == 0) return fail("its workflow has no list of tasks");
    for (const WfOddity& oddity : found.oddities) fail(cat(oddity.where, ": ", oddity.why));
    for (const WfTask& task : found.tasks) add_task(task);
    put_needs();
  }

  void add_task(const WfTask& task) {
    const std::string& id = task.id;
    const bool is_new = known_.insert(id).second;
    if (!is_new) return fail(cat("there are two tasks \"", id, "\""));
    if (task.run_is_wrong) return fail(cat("task ", id, ": its run time is no number of seconds"));
    const double seconds = task.run_s * scale_;
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
    for (const std::string& parent : task.parents) edges_.insert({parent, id});
    for (const std::string& child : task.children) edges_.insert({id, child});
  }

  void put_needs() {
    std::vector<GraphEdge> graph;
    std::vector<std::string> names;
    for (const WorkflowJob& job : file_.jobs) names.push_back(job.name);
    for (const auto& [from, to] : edges_) {
      const auto parent = index_.find(from);
      const auto child = index_.find(to);
      if (parent == index_.end() || child == index_.end()) {
        if (known_.contains(from) && known_.contains(to)) continue;  // said already
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
  std::set<std::string> known_;  // ids, also of tasks that are wrong
  std::set<std::string> names_;
  std::set<std::pair<std::string, std::string>> edges_;
};

}  // namespace

WorkflowFile parse_wfcommons(const WorkflowInput& input, double time_scale) {
  return Reader(input, time_scale).read();
}

}  // namespace gangway::submit
