// jsubmit-workflow: the part of jsubmit that reads workflow files. jsubmit runs it in its own
// place, with its own command line, so that submitting a script does not pay for YAML.
#include <cerrno>
#include <map>

#include "queues/base/huge_pages.hpp"
#include "queues/base/text.hpp"
#include "submit/client.hpp"
#include "submit/console.hpp"
#include "submit/dagman_parse.hpp"
#include "submit/image_resolve.hpp"
#include "submit/job_options.hpp"
#include "submit/outlook.hpp"
#include "submit/submission.hpp"
#include "submit/surroundings.hpp"
#include "submit/wfcommons_parse.hpp"
#include "submit/workflow_parse.hpp"
#include "submit/workflow_submission.hpp"

namespace gangway::submit {
namespace {

constexpr std::string_view kProgram = "jsubmit";

// Each image once, however many jobs run in it. Returns the exit code.
int resolve_images(WorkflowFile& workflow, const std::string& file) {
  std::map<std::string, ImageSpec> known;
  for (WorkflowJob& job : workflow.jobs) {
    if (!job.image) continue;
    auto found = known.find(*job.image);
    if (found == known.end()) {
      Result<ImageSpec> image = resolve_image(*job.image);
      if (!image) {
        return complain(kProgram, image.error().with_context(cat(file, ":", job.image_line)));
      }
      found = known.emplace(*job.image, *std::move(image)).first;
    }
    job.spec.image = found->second;
  }
  return kExitOk;
}

WorkflowFile parse(const WorkflowInput& input, const SubmitChoices& choices) {
  if (choices.format == "dagman") return parse_dagman(input);
  if (choices.format == "wfcommons") return parse_wfcommons(input, choices.time_scale);
  return parse_workflow(input);
}

int run(int argc, char** argv) {
  const std::vector<std::string> words = words_of(argc, argv);
  const Result<ParsedOptions> parsed =
      parse_options(job_option_names(), words, Operands::EndTheOptions);
  if (!parsed) return complain_usage(kProgram, parsed.error());
  if (parsed->operands.size() > 1) {
    complain(kProgram, cat("\"", parsed->operands[1], "\": a workflow takes no arguments"));
    return kExitUsage;
  }
  const std::string file = parsed->operands.empty() ? std::string("-") : parsed->operands.front();
  WorkflowInput input;
  input.file = file == "-" ? std::string("standard input") : file;
  Result<std::string> text = read_file(file, kMaxWorkflowBytes);
  if (!text) return complain(kProgram, text.error());
  input.text = *std::move(text);
  Result<Surroundings> around = look_around();
  if (!around) return complain(kProgram, around.error());
  input.around = *std::move(around);
  const std::size_t slash = file.rfind('/');
  input.directory =
      slash == std::string::npos
          ? input.around.directory
          : absolute_path(file.substr(0, std::max<std::size_t>(slash, 1)), input.around.directory);
  input.command_line = parsed->options;
  input.read_script = [](const std::string& path) { return read_file(path, kMaxScriptBytes); };

  JobDraft glance;
  glance.source = OptionSource::CommandLine;
  glance.now = input.around.now;
  if (Result<void> ok = apply_options(glance, parsed->options); !ok) {
    return complain_usage(kProgram, ok.error());
  }
  input.parameters = glance.choices.parameters;
  const std::string& format = glance.choices.format;
  if (!input.parameters.empty() && (format == "dagman" || format == "wfcommons")) {
    complain(kProgram, cat("--param: a ", format, " file has no parameters"));
    return kExitUsage;
  }
  WorkflowFile workflow = parse(input, glance.choices);
  if (!workflow.errors.empty()) {
    for (const WorkflowError& error : workflow.errors) {
      complain(kProgram, cat(prefix_of({.file = input.file, .line = error.line}), error.message));
    }
    return kExitBadData;
  }
  if (glance.name) workflow.name = *glance.name;
  const SubmitChoices& choices = glance.choices;
  if (!choices.quiet) {
    for (const std::string& warning : workflow.warnings) complain(kProgram, warning);
  }
  if (const int code = resolve_images(workflow, input.file); code != kExitOk) return code;

  const std::string key = choices.key.empty() ? make_key() : choices.key;
  Client client(std::string(kProgram), find_socket(choices.socket));
  const auto send = [&] {
    return submit(client, kProgram, make_parts(workflow, key, choices.test_only), choices.retry,
                  choices.quiet);
  };
  Result<wire::Submitted> submitted = send();
  // Tasks that no node has room for go to as few as have.
  if (!submitted && submitted.error().kind() == ErrorKind::Invalid && workflow.nodes_are_open) {
    Result<std::vector<Resources>> nodes = capacities_of_nodes(client);
    const bool are_known = nodes.has_value();
    if (are_known) input.around.nodes = *std::move(nodes);
    const WorkflowFile wider = parse(input, glance.choices);
    for (std::size_t i = 0; i < std::min(wider.jobs.size(), workflow.jobs.size()); ++i) {
      workflow.jobs[i].spec.components = wider.jobs[i].spec.components;
    }
    if (are_known) submitted = send();
  }
  if (!submitted) {
    const bool about_file = submitted.error().kind() == ErrorKind::Invalid;
    return complain(kProgram,
                    about_file ? submitted.error().with_context(input.file) : submitted.error());
  }
  if (choices.test_only) {
    if (choices.parsable) finish(kExitOk, "");
    if (choices.json) {
      JsonWriter json;
      json.begin_object().key("outlooks").begin_array();
      for (const wire::Outlook& outlook : submitted->outlooks()) write_json(outlook, json);
      json.end_array().end_object();
      finish(kExitOk, cat(json.take(), "\n"));
    }
    std::string lines = "The workflow would be accepted\n";
    for (const wire::Outlook& outlook : submitted->outlooks()) {
      lines += describe_outlook(outlook, cat("Job ", outlook.member()), input.around.now.wall);
    }
    finish(kExitOk, lines);
  }
  const std::string id = to_string(WorkflowId{submitted->workflow()});
  const std::string line = choices.parsable
                               ? cat(id, "\n")
                               : cat("Submitted workflow ", id, " (", workflow.jobs.size(),
                                     workflow.jobs.size() == 1 ? " job)\n" : " jobs)\n");
  if (!choices.wait) finish(kExitOk, line);
  print(line);
  wire::WaitFor what;
  what.add_workflows(submitted->workflow());
  const Result<wire::Waited> waited =
      wait_for(client, kProgram, what, choices.retry, choices.quiet);
  if (!waited) return complain(kProgram, waited.error());
  return report_ends(kProgram, what, *waited, choices.quiet);
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) {
  gangway::use_huge_pages(argv);
  gangway::submit::finish(gangway::submit::run(argc, argv));
}
