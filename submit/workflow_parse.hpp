// A workflow file: YAML with jobs, what each needs, and defaults (docs/workflow.md is for people,
// docs/workflow.schema.json for editors). The only file beside queues/config that knows YAML.
//
// The file is read whole and all its errors are reported, each with its line: an unknown key with
// the key that was probably meant, a value that cannot be, a `needs:` that names no job, jobs that
// wait for each other, in their order. A job's keys are the options of jsubmit under names of their
// own, and go through the same table.
//
// Precedence: command line, then the job's keys, then the directives of its script, then
// `defaults:`, then the environment.
//
// `{{name}}` stands for a parameter. A job may be a workflow of its own, whose jobs are then named
// after it ("prepare.fetch"). A job with `pre` or `post` is one script of all three.
//
// Pure but for `read_script`.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/workflow.hpp"
#include "submit/jobspec_parse.hpp"

namespace gangway::submit {

struct WorkflowJob {
  std::string name;
  JobSpec spec;                      // without its image
  std::optional<std::string> image;  // absolute path[:tag], still to be resolved
  std::vector<Need> needs;
  std::string category;
  bool is_final = false;
  int line = 0;        // of its name
  int image_line = 0;  // of its image
};

struct WorkflowError {
  int line = 0;  // from 1; 0: the file as a whole
  std::string message;
  friend bool operator==(const WorkflowError&, const WorkflowError&) = default;
};

struct WorkflowFile {
  std::string name;
  std::vector<WorkflowJob> jobs;  // in the order of the file
  std::vector<CategoryLimit> limits;
  std::vector<WorkflowError> errors;  // in the order of their lines; empty: the rest may be used
  std::vector<std::string> warnings;
  SubmitChoices choices;
  bool nodes_are_open = false;  // of some job, see ParsedJob
};

struct WorkflowInput {
  std::string text;
  std::string file;       // its name, for messages; also the workflow's name if it gives none
  std::string directory;  // absolute: relative paths of the file are resolved against it
  std::span<const GivenOption> command_line;
  Surroundings around;
  std::vector<std::string> parameters{};  // "NAME=VALUE", over those of the file
  int depth = 0;                          // of a workflow in a workflow
  // The text of a script, or of a workflow, at an absolute path.
  std::function<Result<std::string>(const std::string& path)> read_script;
};

[[nodiscard]] WorkflowFile parse_workflow(const WorkflowInput& input);

// The keys of a job, for the test that holds the schema to them.
[[nodiscard]] std::vector<std::string> workflow_job_keys();

}  // namespace gangway::submit
