// jsubmit-services: the part of jsubmit that reads Kubernetes' manifests and Compose files. jsubmit
// runs it in its own place, with its own command line.
#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/batch_job.hpp"
#include "submit/client.hpp"
#include "submit/console.hpp"
#include "submit/image_resolve.hpp"
#include "submit/job_options.hpp"
#include "submit/jobspec_parse.hpp"
#include "submit/service_build.hpp"
#include "submit/service_parse.hpp"
#include "submit/service_submission.hpp"
#include "submit/service_text.hpp"
#include "submit/submission.hpp"
#include "submit/surroundings.hpp"

namespace gangway::submit {
namespace {

constexpr std::string_view kProgram = "jsubmit";
constexpr std::size_t kMaxFileBytes = 1 << 20;

std::string directory_of(const std::string& file, const std::string& here) {
  const std::size_t slash = file.rfind('/');
  if (slash == std::string::npos) return here;
  return absolute_path(file.substr(0, std::max<std::size_t>(slash, 1)), here);
}

std::map<std::string, std::string> variables_of(const std::vector<std::string>& environment) {
  std::map<std::string, std::string> variables;
  for (const std::string& entry : environment) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos) variables[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return variables;
}

// All files as one; says their errors. Empty: there were errors, and `code` is the exit code.
std::optional<ServiceFile> read_files(const std::vector<std::string>& names,
                                      bool is_compose,
                                      const Surroundings& around,
                                      int& code) {
  ServiceFile all;
  code = kExitOk;
  std::set<std::pair<std::string, std::string>> seen;
  for (const std::string& name : names) {
    Result<std::string> text = read_file(name, kMaxFileBytes);
    if (!text) {
      code = complain(kProgram, text.error());
      return std::nullopt;
    }
    const std::string called = name == "-" ? "standard input" : name;
    ServiceFile file = is_compose ? parse_compose(*text, directory_of(name, around.directory),
                                                  variables_of(around.environment))
                                  : parse_k8s(*text);
    for (const FieldError& error : file.errors) {
      complain(kProgram, cat(prefix_of({.file = called, .line = error.line}), error.message));
      code = kExitBadData;
    }
    const auto once = [&](std::string_view kind, const std::string& thing) {
      if (seen.emplace(kind, thing).second) return;
      complain(kProgram, cat(called, ": there is another ", kind, " ", thing));
      code = kExitBadData;
    };
    for (ServiceSpec& spec : file.services) {
      once("service", spec.name);
      all.services.push_back(std::move(spec));
    }
    for (Endpoint& endpoint : file.endpoints) {
      once("endpoint", endpoint.name);
      all.endpoints.push_back(std::move(endpoint));
    }
    for (IngressRule& rule : file.ingress) all.ingress.push_back(std::move(rule));
    for (BatchTemplate& job : file.jobs) {
      once("job", job.name);
      all.jobs.push_back(std::move(job));
    }
  }
  if (code != kExitOk) return std::nullopt;
  return all;
}

// What may stand beside services; all else on a command line is about jobs.
constexpr std::string_view kForServices[] = {"format", "queue", "partition", "account",  "socket",
                                             "retry",  "quiet", "parsable",  "test-only"};

// Returns the exit code.
int submit_services(const ServiceFile& file,
                    const JobDraft& glance,
                    const ParsedOptions& parsed,
                    const std::string& directory,
                    Client& client) {
  const SubmitChoices& choices = glance.choices;
  for (const GivenOption& given : parsed.options) {
    const std::string_view name = job_option_names()[given.index].name;
    if (std::ranges::find(kForServices, name) != std::end(kForServices)) continue;
    return complain_usage(kProgram, option_error(given, "says nothing about services"));
  }
  ServiceSet set{.services = file.services, .endpoints = file.endpoints, .rules = file.ingress};
  const bool builds = std::ranges::any_of(
      set.services, [](const ServiceSpec& spec) { return spec.replica.build.has_value(); });
  // What has not been built has no image that the scheduler could be asked about.
  if (choices.test_only && builds) {
    for (ServiceSpec& spec : set.services) {
      if (std::exchange(spec.replica.build, std::nullopt)) spec.replica.image = spec.name;
      const auto job = make_replica_job(spec, {.queue = "", .account = "", .directory = directory});
      if (!job) return complain(kProgram, job.error().with_context(cat("service ", spec.name)));
    }
    return kExitOk;
  }
  if (const Result<void> built = build_images(set.services); !built) {
    return complain(kProgram, built.error());
  }
  Result<wire::SubmitServices> submission =
      make_submission(set, {.queue = glance.queue.value_or(""),
                            .account = glance.account.value_or(""),
                            .directory = directory});
  if (!submission) return complain(kProgram, submission.error());
  wire::Request request;
  *request.mutable_submit_services() = *std::move(submission);
  request.mutable_submit_services()->set_test_only(choices.test_only);
  // The same again is no other revision, so asking twice does no harm.
  std::optional<wire::Response> answer;
  const Result<void> asked =
      retry_while_unavailable(kProgram, choices.retry, choices.quiet, [&]() -> Result<void> {
        GANGWAY_ASSIGN(answer, client.call(request));
        return {};
      });
  if (!asked) return complain(kProgram, asked.error());
  if (!choices.parsable && !choices.test_only) print(describe(answer->services_applied()));
  return kExitOk;
}

// Each Job of the files is a job of its own. Returns the exit code.
int submit_jobs(const std::vector<BatchTemplate>& jobs,
                const std::vector<GivenOption>& given,
                const SubmitChoices& choices,
                const Surroundings& around,
                Client& client) {
  std::string key = choices.key.empty() ? make_key() : choices.key;
  for (const BatchTemplate& job : jobs) {
    const Result<BatchWords> words = batch_words(job);
    if (!words) return complain(kProgram, words.error());
    Result<ParsedOptions> options =
        parse_options(job_option_names(), words->options, Operands::Anywhere);
    if (!options) return complain(kProgram, options.error().with_context(cat("Job ", job.name)));
    // What the command line says counts more.
    options->options.insert(options->options.end(), given.begin(), given.end());
    ProgramText program;
    program.argv = words->command;
    program.default_name = job.name;
    Result<ParsedJob> parsed = parse_job(options->options, program, "", around);
    if (!parsed) return complain(kProgram, parsed.error().with_context(cat("Job ", job.name)));
    if (parsed->image) {
      Result<ImageSpec> image = resolve_image(*parsed->image);
      if (!image) return complain(kProgram, image.error().with_context(cat("Job ", job.name)));
      parsed->spec.image = *std::move(image);
    }
    wire::Request request;
    wire::Submit& submission = *request.mutable_submit();
    submission.set_key(cat(key, "-", job.name));
    submission.set_test_only(choices.test_only);
    wire::to_wire(parsed->spec, submission.add_jobs()->mutable_spec());
    const Result<wire::Submitted> submitted =
        submit(client, kProgram, {&request, 1}, choices.retry, choices.quiet);
    if (!submitted) {
      return complain(kProgram, submitted.error().with_context(cat("Job ", job.name)));
    }
    if (choices.test_only || submitted->jobs_size() != 1) continue;
    const std::uint64_t id = submitted->jobs(0);
    print(choices.parsable ? cat(id, "\n") : cat("Submitted batch job ", id, "\n"));
  }
  return kExitOk;
}

int run(int argc, char** argv) {
  const std::vector<std::string> words = words_of(argc, argv);
  const Result<ParsedOptions> parsed = parse_options(job_option_names(), words, Operands::Anywhere);
  if (!parsed) return complain_usage(kProgram, parsed.error());
  const Result<Surroundings> around = look_around();
  if (!around) return complain(kProgram, around.error());
  JobDraft glance;
  glance.source = OptionSource::CommandLine;
  glance.now = around->now;
  if (Result<void> ok = apply_options(glance, parsed->options); !ok) {
    return complain_usage(kProgram, ok.error());
  }
  const SubmitChoices& choices = glance.choices;
  const bool is_compose = choices.format == "compose";
  std::vector<std::string> files = parsed->operands;
  if (files.empty()) files.emplace_back("-");
  if (is_compose && files.size() > 1) {
    complain(kProgram, cat("\"", files[1], "\": one Compose file is read, not several"));
    return kExitUsage;
  }
  int code = kExitOk;
  const std::optional<ServiceFile> file = read_files(files, is_compose, *around, code);
  if (!file) return code;
  if (choices.test_only && !choices.parsable) print(describe(*file));
  Client client(std::string(kProgram), find_socket(choices.socket));
  if (!file->services.empty() || !file->endpoints.empty() || !file->ingress.empty()) {
    const std::string directory =
        files.front() == "-" ? around->directory : directory_of(files.front(), around->directory);
    code = submit_services(*file, glance, *parsed, directory, client);
    if (code != kExitOk) return code;
  }
  return submit_jobs(file->jobs, parsed->options, choices, *around, client);
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
