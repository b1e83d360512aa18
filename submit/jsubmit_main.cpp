// jsubmit: submits a script, a command or a workflow. One process, one round trip.
#include <unistd.h>

#include <cerrno>

#include "queues/base/find_program.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/client.hpp"
#include "submit/console.hpp"
#include "submit/image_resolve.hpp"
#include "submit/jobspec_parse.hpp"
#include "submit/outlook.hpp"
#include "submit/submission.hpp"
#include "submit/surroundings.hpp"

namespace gangway::submit {
namespace {

constexpr std::string_view kProgram = "jsubmit";

constexpr std::string_view kHelp =
    R"(usage: jsubmit [options] SCRIPT [arguments]      a job script (with #JOB, #SBATCH or #PBS lines)
       jsubmit [options] -- COMMAND [arguments]  a command; with -n, as every task
       jsubmit [options] --image IMAGE --         the image's own command
       jsubmit [options] --wrap 'SHELL COMMAND'
       jsubmit [options] : [options] ... SCRIPT  a gang of unlike components; or -- COMMAND
       jsubmit [options] WORKFLOW.yaml           a workflow of jobs (docs/workflow.md)
       jsubmit [options] --format k8s|compose FILES  services, of other systems (docs/services.md)
       ... | jsubmit [options]                   a job script from standard input

  -J, --job-name NAME      -p, --queue QUEUE        -A, --account NAME
  -N, --nodes N            -n, --ntasks N           --ntasks-per-node N
  -c, --cpus-per-task N    --mem SIZE               --mem-per-cpu SIZE
  -t, --time LIMIT         --gres NAME:N            --gpus-per-node N
  -C, --constraint FEATURES                         -w, --nodelist; -x, --exclude NODES
  -o, --output FILE        -e, --error FILE         -i, --input FILE
  -q, --qos NAME           --nice N: higher is later
  -D, --chdir DIR          --export ALL|NONE|NAMES  --exclusive
  -d, --dependency KIND:ID -H, --hold               --begin TIME
      --image PATH[:TAG]   run in this container image (a directory or an archive)
      --bind SRC[:DST[:ro]]  show a host directory inside the container
      --env NAME[=VALUE]   set this variable, or pass it on
      --entrypoint PROG    instead of the image's entry point
      --workdir DIR        start here inside the image     --read-only
      --user self|image|root  who you are inside        --network host|none
      --mpi TYPE           how tasks find each other: auto (for more than one task; by what the
                           program links), pmix, pmi2, pmi1 or none
  -W, --wait               wait for the end and exit with the job's code
      --parsable           print the id alone
      --test-only          check everything, say when it would start, submit nothing
      --json               with --test-only: the outlook as JSON
      --retry TIME         keep trying while the scheduler is away; default 60s
      --socket PATH        the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version    --list-options

Options on the command line win over SBATCH_* and GANGWAY_* variables, those over the script's lines.

examples:
  jsubmit job.sh
  jsubmit -N 4 -n 8 -t 10 --image mpi.oci -- ./solver --steps 1000
  jsubmit -N 1 --gres gpu:1 : -N 4 -n 8 -- ./coupled
  id=$(jsubmit --parsable prepare.sh) && jsubmit -d afterok:$id solve.sh
)";

// The table of options, for people and for the test that compares the manual page with it.
std::string list_options() {
  std::string text;
  for (const OptionName& option : job_option_names()) {
    std::string line = option.letter == 0 ? std::string("      ") : cat("  -", option.letter, ", ");
    line += cat("--", option.name);
    if (option.takes == Takes::Value) line += cat("=", option.value_name);
    if (option.takes == Takes::OptionalValue) line += cat("[=", option.value_name, "]");
    const std::string meaning = !option.same_as.empty() ? cat("same as --", option.same_as)
                                : option.meaning.empty()
                                    ? std::string("(known from sbatch, without effect or refused)")
                                    : std::string(option.meaning);
    line.append(line.size() < 38 ? 38 - line.size() : 2, ' ');
    text += cat(line, meaning, "\n");
  }
  return text;
}

std::string base_name(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool is_workflow(const ParsedOptions& parsed, const SubmitChoices& choices) {
  if (!choices.format.empty()) return choices.format != "script";
  if (parsed.saw_dashes || parsed.operands.empty()) return false;
  const std::string& file = parsed.operands.front();
  return file.ends_with(".yaml") || file.ends_with(".yml");
}

// The program that reads files of this format.
std::string reader_of(std::string_view format) {
  return format == "k8s" || format == "compose" ? "jsubmit-services" : "jsubmit-workflow";
}

// What to run, and the script's name (empty for a command).
struct Program {
  ProgramText text;
  std::string script_name;
  bool line_ends_repaired = false;
};

Result<Program> find_what_to_run(const ParsedOptions& parsed, const JobDraft& glance) {
  Program program;
  if (glance.wrap) {
    if (!parsed.operands.empty()) {
      return Error(ErrorKind::Unsupported,
                   cat("--wrap and \"", parsed.operands.front(), "\" exclude each other"));
    }
    program.text.script = cat("#!/bin/sh\n", *glance.wrap, "\n");
    program.text.default_name = "wrap";
    program.script_name = "--wrap";
    return program;
  }
  if (parsed.saw_dashes && parsed.operands_before_dashes == 0 && !parsed.operands.empty()) {
    program.text.argv = parsed.operands;
    program.text.default_name = base_name(parsed.operands.front());
    return program;
  }
  // The image's own command, as docker run does.
  if (glance.image && parsed.operands.empty() &&
      (parsed.saw_dashes || ::isatty(STDIN_FILENO) != 0)) {
    program.text.default_name = base_name(*glance.image);
    return program;
  }
  const std::string file = parsed.operands.empty() ? std::string("-") : parsed.operands.front();
  if (parsed.operands.empty() && (parsed.saw_dashes || ::isatty(STDIN_FILENO) != 0)) {
    return Error(ErrorKind::Unsupported,
                 "nothing to submit: give a script, a workflow file, or -- and a command");
  }
  GANGWAY_ASSIGN(program.text.script, read_file(file, kMaxScriptBytes));
  program.script_name = file == "-" ? std::string("standard input") : file;
  program.text.default_name = file == "-" ? std::string("stdin") : base_name(file);
  if (!parsed.operands.empty()) {
    program.text.argv.assign(parsed.operands.begin() + 1, parsed.operands.end());
  }
  program.line_ends_repaired = repair_line_ends(program.text.script);
  GANGWAY_TRY(check_script(program.text.script, program.script_name));
  return program;
}

// The exit code for a job that cannot be put together: its script is bad data, a bad option on the
// command line or in the environment is usage.
int code_of_bad_job(const Error& error, const std::string& script_name) {
  const bool in_script = !script_name.empty() && error.message().starts_with(cat(script_name, ":"));
  return in_script ? kExitBadData : kExitUsage;
}

// What the outlook of a tested job leaves out.
std::string caveat_of(const JobSpec& spec) {
  if (spec.held) return "  once it is released\n";
  if (spec.not_before || !spec.dependencies.empty()) {
    return "  if nothing but resources kept it: not before its --begin and --dependency allow\n";
  }
  return {};
}

Result<wire::Submitted> submit_once(Client& client, const ParsedJob& job, const std::string& key) {
  wire::Request request;
  wire::Submit& submission = *request.mutable_submit();
  submission.set_key(key);
  submission.set_test_only(job.choices.test_only);
  wire::to_wire(job.spec, submission.add_jobs()->mutable_spec());
  return submit(client, kProgram, {&request, 1}, job.choices.retry, job.choices.quiet);
}

// In the first of its queues that takes it; on more nodes than one, if it may have them and no node
// has room for all of it. Errors: the first refusal.
template <typename WithNodes>
Result<wire::Submitted> submit_where_it_fits(Client& client, ParsedJob& job, WithNodes with_nodes) {
  const std::string key = job.choices.key.empty() ? make_key() : job.choices.key;
  Result<wire::Submitted> first = submit_once(client, job, key);
  const auto is_refused = [](const Result<wire::Submitted>& submitted) {
    return !submitted && submitted.error().kind() == ErrorKind::Invalid;
  };
  if (!is_refused(first)) return first;
  std::vector<std::string> queues = job.choices.other_queues;
  if (job.nodes_are_open) {
    GANGWAY_ASSIGN(const std::vector<Resources> nodes, capacities_of_nodes(client));
    const Result<ParsedJob> wider = with_nodes(nodes);
    if (wider && wider->spec.components != job.spec.components) {
      job.spec.components = wider->spec.components;
      queues.insert(queues.begin(), job.spec.queue.value);
    }
  }
  for (const std::string& queue : queues) {
    job.spec.queue = QueueName(queue);
    Result<wire::Submitted> again = submit_once(client, job, key);
    if (!is_refused(again)) return again;
  }
  return first;
}

int run(int argc, char** argv) {
  const std::vector<std::string> words = words_of(argc, argv);
  const Result<ParsedOptions> parsed = parse_command_line(job_option_names(), words);
  if (!parsed) return complain_usage(kProgram, parsed.error());
  // A first look at the command line alone: what kind of thing is submitted.
  JobDraft glance;
  glance.source = OptionSource::CommandLine;
  glance.now = SystemClock().now();
  if (Result<void> ok = apply_options(glance, parsed->options); !ok) {
    return complain_usage(kProgram, ok.error());
  }
  if (glance.choices.help) finish(kExitOk, kHelp);
  if (glance.choices.version) finish(kExitOk, version_line(kProgram));
  if (glance.choices.list_options) finish(kExitOk, list_options());
  if (is_workflow(*parsed, glance.choices)) {
    if (parsed->components > 1) {
      complain(kProgram, "a workflow has its components in its file, not on the command line");
      return kExitUsage;
    }
    const Result<std::string> program = find_program(reader_of(glance.choices.format));
    if (program) ::execv(program->c_str(), argv);
    complain(kProgram, program ? errno_error(cat("cannot run ", *program), errno).message()
                               : program.error().message());
    return kExitInternal;
  }

  const Result<Program> program = find_what_to_run(*parsed, glance);
  if (!program) {
    complain(kProgram, program.error().message());
    return program.error().kind() == ErrorKind::Unsupported ? kExitUsage
                                                            : exit_code_of(program.error().kind());
  }
  Result<Surroundings> around = look_around();
  if (!around) return complain(kProgram, around.error());
  Result<ParsedJob> job = parse_job(parsed->options, program->text, program->script_name, *around);
  if (!job) {
    complain(kProgram, job.error().message());
    return code_of_bad_job(job.error(), program->script_name);
  }
  if (!job->choices.quiet) {
    if (program->line_ends_repaired) {
      complain(kProgram, cat(program->script_name,
                             ":1: the lines end with a carriage return (DOS); submitted without"));
    }
    for (const std::string& warning : job->warnings) complain(kProgram, warning);
  }
  if (job->image) {
    Result<ImageSpec> image = resolve_image(*job->image);
    if (!image) return complain(kProgram, image.error());
    job->spec.image = *std::move(image);
  }

  Client client(std::string(kProgram), find_socket(job->choices.socket));
  if (!job->choices.clusters.empty()) {
    const Result<void> is_ours = check_cluster(client, job->choices.clusters);
    if (!is_ours) return complain(kProgram, is_ours.error());
  }
  const auto with_nodes = [&](const std::vector<Resources>& nodes) {
    around->nodes = nodes;
    return parse_job(parsed->options, program->text, program->script_name, *around);
  };
  const Result<wire::Submitted> submitted = submit_where_it_fits(client, *job, with_nodes);
  if (!submitted) return complain(kProgram, submitted.error());
  if (job->choices.test_only) {
    if (job->choices.parsable) finish(kExitOk, "");
    if (job->choices.json) {
      JsonWriter json;
      json.begin_object().key("outlooks").begin_array();
      for (const wire::Outlook& outlook : submitted->outlooks()) write_json(outlook, json);
      json.end_array().end_object();
      finish(kExitOk, cat(json.take(), "\n"));
    }
    finish(kExitOk,
           submitted->outlooks_size() == 0
               ? std::string("The job would be accepted\n")
               : cat(describe_outlook(submitted->outlooks(0), "The job", SystemClock().now().wall),
                     caveat_of(job->spec)));
  }
  if (submitted->jobs_size() != 1) {
    complain(kProgram, cat("the scheduler answered with ", submitted->jobs_size(), " ids"));
    return kExitInternal;
  }
  const std::uint64_t id = submitted->jobs(0);
  const std::string line =
      job->choices.parsable ? cat(id, "\n") : cat("Submitted batch job ", id, "\n");
  if (!job->choices.wait) finish(kExitOk, line);
  print(line);
  wire::WaitFor what;
  wire::to_wire(JobKey{.job = {id}}, what.add_keys());
  const Result<wire::Waited> waited =
      wait_for(client, kProgram, what, job->choices.retry, job->choices.quiet);
  if (!waited) return complain(kProgram, waited.error());
  return report_ends(kProgram, what, *waited, job->choices.quiet);
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
