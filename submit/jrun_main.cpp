// jrun: a step in an allocation, or an allocation for one step.
//
// The same static program is found inside every sandbox, whatever its image holds; there it is also
// what holds a job that was made for one step, and what reads a job's files for jtail.
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/image_resolve.hpp"
#include "submit/jobspec_parse.hpp"
#include "submit/probe_tool.hpp"
#include "submit/step_client.hpp"
#include "submit/step_options.hpp"
#include "submit/submission.hpp"
#include "submit/surroundings.hpp"

extern char** environ;

namespace gangway::submit {
namespace {

constexpr std::string_view kProgram = "jrun";
constexpr std::string_view kToolInside = "/dev/shm/.gangway/bin/jrun";

constexpr std::string_view kHelp =
    R"(usage: jrun [options] PROGRAM [arguments]            tasks of a step
       jrun [options] PROGRAM : [-n N] PROGRAM ...   one step of several programs
       jrun [options] --multi-prog FILE              the same from a file

Inside a job: runs the program as tasks in the job's allocation, at once, without the scheduler.
Elsewhere: makes an allocation first (all options of jsubmit are understood), runs in it and gives it
back. Exits with the highest exit code of the tasks, 128+n if signal n ended one.

Where:
  -N, --nodes N            number of nodes               -w, --nodelist NODES   only these
  -n, --ntasks N           number of tasks               -x, --exclude NODES    not these
      --ntasks-per-node N  at most so many on a node     -c, --cpus-per-task N  cores for each
      --exact              cores of its own; waits until they are free (--exclusive in a job)
      --overlap            takes no notice of other steps' cores
  -m, --distribution HOW   block, cyclic, plane=N over nodes; :block, :cyclic, :fcyclic over sockets
      --cpu-bind HOW       none, threads, cores, sockets, ldoms, map_cpu:LIST, mask_cpu:LIST; verbose
      --jobid ID           in the allocation of this job
How:
  -l, --label              each line behind the number of its task
  -i, --input WHO          standard input goes to: all (default), none, a task's number; or a file
  -o, --output FILE        standard output to a file; with %t, %n or %N one for each task or node
  -e, --error FILE         standard error                    --open-mode append|truncate
      --pty                task 0 gets a terminal
      --mpi TYPE           how tasks find each other: auto (by what the program links), pmix,
                           pmi2, pmi1 or none
      --multi-prog         lines of RANKS PROGRAM ARGUMENTS; %t is the rank, %o its place in RANKS
  -K, --kill-on-bad-exit   a task that fails ends the others
  -W, --wait SECONDS       ends the others so long after the first end
  -t, --time LIMIT         limit of the run time             -J, --job-name NAME
  -D, --chdir DIR          directory to run in               -Q, --quiet
      --socket PATH        the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jrun -n 4 -l hostname
  jrun -n 1 --exact ./a & jrun -n 1 --exact ./b & wait
  jrun -n 1 ./master : -n 3 ./worker
  jrun -t 1h --pty bash
)";

// ---- what runs inside for others --------------------------------------------------------------

// The last `lines` lines' beginning; the file's with a negative number.
off_t find_beginning(int fd, off_t size, std::int64_t lines) {
  if (lines < 0) return 0;
  off_t at = size;
  std::int64_t found = 0;
  std::array<char, 65536> buffer{};
  while (at > 0) {
    const off_t from = std::max<off_t>(0, at - static_cast<off_t>(buffer.size()));
    const ssize_t got = ::pread(fd, buffer.data(), static_cast<std::size_t>(at - from), from);
    if (got <= 0) return 0;
    for (ssize_t i = got - 1; i >= 0; --i) {
      if (buffer[static_cast<std::size_t>(i)] != '\n' || from + i == size - 1) continue;
      if (++found == lines) return from + i + 1;
    }
    at = from;
  }
  return lines == 0 ? size : 0;
}

// Whether standard input has ended: so we are told that the job has, and that what is in the file
// now is all. Unlike a signal, that cannot come too early.
bool is_told_to_end() {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  char ignored = 0;
  return ::poll(&input, 1, 0) == 1 && ::read(STDIN_FILENO, &ignored, 1) <= 0;
}

// jrun --read-file follow|once LINES PATH: to its end, or on until we are told to end.
int read_job_file(const std::vector<std::string>& words) {
  if (words.size() != 4) return kExitUsage;
  const bool follow = words[1] == "follow";
  const std::int64_t lines = parse_integer<std::int64_t>(words[2]).value_or(-1);
  int fd = -1;
  while ((fd = ::open(words[3].c_str(), O_RDONLY | O_CLOEXEC)) < 0) {
    const int why = errno;
    if (!follow || why != ENOENT || is_told_to_end()) {
      return complain("jtail", errno_error(cat("open ", words[3]), why));
    }
    ::poll(nullptr, 0, 200);
  }
  struct stat status {};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    ::lseek(fd, find_beginning(fd, status.st_size, lines), SEEK_SET);
  }
  const int changes = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (changes >= 0) ::inotify_add_watch(changes, words[3].c_str(), IN_MODIFY);
  std::string buffer(65536, '\0');
  while (true) {
    const bool last = !follow || is_told_to_end();
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got > 0) {
      if (!print(std::string_view(buffer).substr(0, static_cast<std::size_t>(got)))) return 1;
      continue;
    }
    if (got < 0 && errno != EINTR) return complain("jtail", errno_error("read", errno));
    if (last) return 0;
    // Begun anew by a job that was run again.
    if (::fstat(fd, &status) == 0 && status.st_size < ::lseek(fd, 0, SEEK_CUR)) {
      ::lseek(fd, 0, SEEK_SET);
      continue;
    }
    // Changes on other nodes of a shared file system are not told: looked for four times a second.
    pollfd wait[] = {{.fd = changes, .events = POLLIN, .revents = 0},
                     {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
    ::poll(wait, 2, 250);
    while (changes >= 0 && ::read(changes, buffer.data(), buffer.size()) > 0) {
    }
  }
}

int hold_job() {
  // What ends the job ends us by its signals.
  Result<std::unique_ptr<StepLink>> link = open_local_link(find_step_socket());
  if (!link) return complain(kProgram, link.error());
  wire::ToStep first;
  first.mutable_hold();
  StepFront front;
  front.pass_signals = false;
  front.input = -1;
  const Result<int> code = play_step(**link, first, front);
  return code ? *code : complain(kProgram, code.error());
}

// ---- the step ----------------------------------------------------------------------------------

bool is_pattern_of_tasks(std::string_view path) {
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    if (path[i] != '%') continue;
    std::size_t letter = i + 1;
    while (letter + 1 < path.size() && path[letter] >= '0' && path[letter] <= '9') ++letter;
    if (path[letter] == 't' || path[letter] == 'n' || path[letter] == 'N' || path[letter] == 's') {
      return true;
    }
    i = letter;
  }
  return false;
}

// Of a file that all tasks share, which we open ourselves: %j, %x and %u.
std::string expand_shared(std::string_view path, std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char letter = path[i] == '%' && i + 1 < path.size() ? path[i + 1] : '\0';
    if (letter == 'j' || letter == 'A' || letter == 'J') {
      out += environment("JOB_ID");
    } else if (letter == 'x') {
      out += name;
    } else if (letter == 'u') {
      out += environment("USER");
    } else if (letter == '%') {
      out += '%';
    } else {
      out += path[i];
      continue;
    }
    ++i;
  }
  return out;
}

Result<void> redirect(int to, const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  if (fd < 0) return errno_error(cat("open ", path), errno);
  if (::dup2(fd, to) < 0) return errno_error(cat("open ", path), errno);
  ::close(fd);
  return {};
}

Result<void> set_streams(StepRequest& request) {
  wire::StepRun& run = request.run;
  run.set_input(wire::INPUT_ALL);
  if (request.in) {
    const auto rank = parse_integer<std::uint32_t>(*request.in);
    if (*request.in == "none") {
      run.set_input(wire::INPUT_NONE);
    } else if (rank) {
      run.set_input(wire::INPUT_ONE);
      run.set_input_rank(*rank);
    } else if (is_pattern_of_tasks(*request.in)) {
      run.set_in(absolute_path(*request.in, run.workdir()));
    } else if (*request.in != "all") {
      GANGWAY_TRY(redirect(0, expand_shared(*request.in, run.name()), O_RDONLY));
    }
  }
  const int mode = O_WRONLY | O_CREAT | (run.append() ? O_APPEND : O_TRUNC);
  const auto output = [&](const std::optional<std::string>& path, int to,
                          void (wire::StepRun::*set)(std::string &&)) -> Result<void> {
    if (!path) return {};
    if (*path == "none") return redirect(to, "/dev/null", O_WRONLY);
    if (is_pattern_of_tasks(*path)) {
      (run.*set)(absolute_path(*path, run.workdir()));
      return {};
    }
    return redirect(to, expand_shared(*path, run.name()), mode);
  };
  GANGWAY_TRY(output(request.out, 1, &wire::StepRun::set_out));
  GANGWAY_TRY(output(request.err, 2, &wire::StepRun::set_err));
  // As srun: errors go with the output unless they are named.
  if (request.out && !request.err && run.out().empty() && ::dup2(1, 2) < 0) {
    return errno_error("redirect errors", errno);
  }
  run.set_pass_in(true);
  run.set_pass_out(!request.label && !request.pty);
  run.set_pass_err(!request.label && !request.pty);
  if (request.pty) {
    run.set_terminal(true);
    *run.mutable_size() = terminal_size();
  }
  return {};
}

enum class Mpi { No, Perhaps, Yes };

// Whether the program is one of MPI: it links a library of it, or is an interpreter of a language
// that has one; a shell, a script, or what we cannot read may start one.
Mpi look_for_mpi(const std::string& name) {
  const std::string_view base = std::string_view(name).substr(name.rfind('/') + 1);
  if (base.starts_with("python")) return Mpi::Yes;
  for (const std::string_view language : {"R", "Rscript", "julia", "java", "octave"}) {
    if (base == language) return Mpi::Yes;
  }
  for (const std::string_view shell : {"sh", "bash", "dash", "zsh", "ksh", "perl", "env", "numactl",
                                       "taskset", "time", "nice", "timeout", "busybox"}) {
    if (base == shell) return Mpi::Perhaps;
  }
  std::vector<std::string> files;
  if (name.find('/') != std::string::npos) {
    files.push_back(name);
  } else {
    for (const std::string_view directory : split(environment("PATH"), ':')) {
      files.push_back(cat(directory, "/", name));
    }
  }
  for (const std::string& file : files) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    // The names of needed libraries lie in the first pages of all but the largest programs.
    std::string head(std::size_t{1} << 20, '\0');
    const ssize_t got = ::read(fd, head.data(), head.size());
    ::close(fd);
    if (got <= 0) return Mpi::Perhaps;
    head.resize(static_cast<std::size_t>(got));
    if (!head.starts_with("\x7f"
                          "ELF"))
      return Mpi::Perhaps;
    for (const std::string_view library : {"libmpi", "libpmi", "libmpich"}) {
      if (head.find(library) != std::string::npos) return Mpi::Yes;
    }
    return Mpi::No;
  }
  return Mpi::Perhaps;
}

// Whoever starts the ranks looks at what they link. A step of one task has nobody to find; it is
// looked at only if it is one of MPI, which may want to spawn.
Result<void> set_mpi(StepRequest& request, bool inside) {
  const std::string asked = request.mpi.value_or("auto");
  std::optional<MpiMode> mode;
  for (const MpiMode known :
       {MpiMode::Auto, MpiMode::Pmix, MpiMode::Pmi2, MpiMode::Pmi1, MpiMode::None}) {
    if (asked == to_string(known)) mode = known;
  }
  if (asked.starts_with("pmix_v")) mode = MpiMode::Pmix;
  if (!mode) {
    return Error(ErrorKind::Invalid, cat("option --mpi: \"", asked,
                                         "\" is no way to start MPI programs; there are auto, "
                                         "pmix, pmi2, pmi1 and none"));
  }
  const bool alone = request.pty || request.run.tasks() == 1 ||
                     (request.run.tasks() == 0 && environment("SLURM_NTASKS") == "1");
  if (*mode == MpiMode::Auto && alone) {
    Mpi found = Mpi::No;
    for (const wire::StepProgram& program : request.run.programs()) {
      const Mpi one = !inside ? Mpi::Perhaps : look_for_mpi(program.argv(0));
      found = std::max(found, one);
    }
    if (found != Mpi::Yes) mode = MpiMode::None;
  }
  request.run.set_mpi(static_cast<std::uint32_t>(*mode));
  return {};
}

Result<void> read_programs(StepRequest& request) {
  if (!request.multi_prog) return {};
  if (request.run.programs_size() != 1 || request.run.programs(0).argv_size() != 1) {
    return Error(ErrorKind::Invalid, "--multi-prog takes one file");
  }
  const std::string name = request.run.programs(0).argv(0);
  GANGWAY_ASSIGN(const std::string text, read_file(name, 4 << 20));
  GANGWAY_ASSIGN(const std::vector<wire::StepProgram> programs,
                 parse_multi_prog(text, name, static_cast<std::uint32_t>(request.run.tasks())));
  request.run.clear_programs();
  for (const wire::StepProgram& program : programs) *request.run.add_programs() = program;
  return {};
}

StepFront front_of(const StepRequest& request) {
  StepFront front;
  front.label = request.label;
  front.quiet = request.quiet;
  front.terminal = request.pty && ::isatty(0) == 1;
  front.show_bindings = request.show_bindings;
  if (request.run.input() == wire::INPUT_NONE && !request.pty) front.input = -1;
  return front;
}

int finish_play(const Result<int>& code) {
  if (!code) return complain(kProgram, code.error());
  return *code;
}

// In the allocation that we are in, or in that of --jobid.
int run_inside(StepRequest request, const std::string& socket, std::optional<JobKey> job) {
  wire::StepRun& run = request.run;
  if (!job) {
    for (char** variable = environ; *variable != nullptr; ++variable) run.add_env(*variable);
  } else {
    run.set_job_env(true);
  }
  Result<std::unique_ptr<StepLink>> link =
      job ? open_tunnel(std::string(kProgram), find_socket(request.socket), *job, WaitTick())
          : open_local_link(socket);
  if (!link) return complain(kProgram, link.error());
  const StepFront front = front_of(request);
  wire::ToStep first;
  *first.mutable_run() = std::move(run);
  return finish_play(play_step(**link, first, front));
}

// ---- an allocation of our own ------------------------------------------------------------------

void cancel(const std::string& socket, JobKey key) {
  Client client(std::string(kProgram), socket);
  wire::Request request;
  request.mutable_act()->set_verb(wire::Act::CANCEL);
  wire::to_wire(key, request.mutable_act()->add_keys());
  (void)client.call(request);
}

volatile sig_atomic_t told_to_end = 0;
void note_signal(int number) { told_to_end = number; }

int run_outside(StepRequest request) {
  Result<Surroundings> around = look_around();
  if (!around) return complain(kProgram, around.error());
  ProgramText program;
  program.argv = {std::string(kToolInside), "--hold"};
  program.default_name = request.run.name();
  Result<ParsedJob> job = parse_job(request.of_job, program, "", *around);
  if (!job) {
    complain(kProgram, job.error().message());
    return kExitUsage;
  }
  if (!job->choices.other_queues.empty()) {
    complain(kProgram, "option --partition: a run waits in one queue; name one of the list");
    return kExitUsage;
  }
  if (!request.quiet) {
    for (const std::string& warning : job->warnings) complain(kProgram, warning);
  }
  if (job->image) {
    Result<ImageSpec> image = resolve_image(*job->image);
    if (!image) return complain(kProgram, image.error());
    job->spec.image = *std::move(image);
  }
  job->spec.launch = LaunchMode::Batch;
  job->spec.mpi = MpiMode::None;
  job->spec.stdio = {.out = "/dev/null", .err = {}, .in = {}, .append = true};
  job->spec.requeue = false;

  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    action.sa_handler = note_signal;
    ::sigaction(number, &action, nullptr);
  }
  const std::string socket = find_socket(request.socket);
  Client client(std::string(kProgram), socket);
  wire::Request submission;
  submission.mutable_submit()->set_key(make_key());
  wire::to_wire(job->spec, submission.mutable_submit()->add_jobs()->mutable_spec());
  const auto send = [&] {
    return submit(client, kProgram, {&submission, 1}, seconds(60), request.quiet,
                  [] { return told_to_end != 0; });
  };
  Result<wire::Submitted> submitted = send();
  // As with jsubmit: tasks that no node has room for go to as few as have.
  if (!submitted && submitted.error().kind() == ErrorKind::Invalid && job->nodes_are_open) {
    Result<std::vector<Resources>> nodes = capacities_of_nodes(client);
    if (nodes) around->nodes = *std::move(nodes);
    const Result<ParsedJob> wider = parse_job(request.of_job, program, "", *around);
    if (wider && wider->spec.components != job->spec.components) {
      job->spec.components = wider->spec.components;
      submission.mutable_submit()->mutable_jobs(0)->clear_spec();
      wire::to_wire(job->spec, submission.mutable_submit()->mutable_jobs(0)->mutable_spec());
      submitted = send();
    }
  }
  if (!submitted && told_to_end != 0) return 128 + static_cast<int>(told_to_end);
  if (!submitted) return complain(kProgram, submitted.error());
  const JobKey key{.job = {submitted->jobs(0)}};
  bool said = false;
  const auto tick = [&](Duration waited) {
    if (told_to_end != 0) return false;
    if (!said && waited >= seconds(1) && !request.quiet) {
      said = true;
      complain(kProgram, cat("job ", to_string(key), " waits for its nodes"));
    }
    return true;
  };
  Result<std::unique_ptr<StepLink>> link = open_tunnel(std::string(kProgram), socket, key, tick);
  if (!link) {
    cancel(socket, key);
    if (told_to_end != 0) return 128 + static_cast<int>(told_to_end);
    return complain(kProgram, link.error());
  }
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_DFL);
  request.run.set_job_env(true);
  request.run.set_owns_job(true);
  request.run.set_behind_entrypoint(true);
  request.run.set_umask(job->spec.umask);
  request.run.clear_workdir();  // the job's
  wire::ToStep first;
  *first.mutable_run() = request.run;
  const StepFront front = front_of(request);
  const Result<int> code = play_step(**link, first, front);
  if (!code) cancel(socket, key);
  return finish_play(code);
}

// As rsh and ssh are called: options, a host, and words of a command for a shell there. All that
// programs that start others so need to know of them; the command keeps to no cores of its own.
Result<std::vector<std::string>> words_of_remote_shell(const std::vector<std::string>& given) {
  constexpr std::string_view kWithValue = "bceFilmopRLDSW";
  std::size_t next = 0;
  for (; next < given.size() && given[next].starts_with('-'); ++next) {
    const bool takes_next =
        given[next].size() == 2 && kWithValue.find(given[next][1]) != std::string_view::npos;
    if (takes_next) ++next;
  }
  if (next >= given.size() || next + 1 == given.size()) {
    return Error(ErrorKind::Invalid, "jrsh needs a node and a command: jrsh n02 hostname");
  }
  const std::string& host = given[next];
  const std::string command =
      join({given.begin() + static_cast<std::ptrdiff_t>(next) + 1, given.end()}, " ");
  return std::vector<std::string>{"--overlap", "--mpi=none", "--cpu-bind=none",
                                  "-N",        "1",          "-n",
                                  "1",         "-w",         host.substr(host.find('@') + 1),
                                  "/bin/sh",   "-c",         command};
}

int run(int argc, char** argv) {
  std::vector<std::string> words = words_of(argc, argv);
  if (argc > 0 && std::string_view(argv[0]).ends_with("jrsh")) {
    Result<std::vector<std::string>> as_jrun = words_of_remote_shell(words);
    if (!as_jrun) return complain_usage(kProgram, as_jrun.error());
    words = *std::move(as_jrun);
  }
  if (!words.empty() && words[0] == "--read-file") return read_job_file(words);
  if (!words.empty() && words[0] == "--probe") {
    finish(run_probe({words.begin() + 1, words.end()}), "");
  }
  if (words.size() == 2 && words[0] == "--say") finish(kExitOk, cat(words[1], "\n"));
  // What the job was submitted with (jsubmit --distribution); what is said here is stronger.
  std::string distribution(environment("SLURM_DISTRIBUTION"));
  if (distribution == "plane") distribution += cat("=", environment("SLURM_DIST_PLANESIZE"));
  if (!distribution.empty()) words.insert(words.begin(), cat("--distribution=", distribution));
  Result<StepRequest> request = parse_step(words);
  if (!request) return complain_usage(kProgram, request.error());
  if (request->help) finish(kExitOk, kHelp);
  if (request->version) finish(kExitOk, version_line(kProgram));
  if (request->hold) return hold_job();
  if (request->run.programs_size() == 0) {
    complain(kProgram, "which program? for example: jrun -n 4 hostname");
    return kExitUsage;
  }
  std::optional<JobKey> job;
  if (request->job) {
    job = parse_job_key(*request->job);
    if (!job) {
      complain(kProgram, cat("option --jobid: \"", *request->job, "\" is no job"));
      return kExitUsage;
    }
  }
  const std::string socket = job ? "" : find_step_socket();
  wire::StepRun& run = request->run;
  if (run.name().empty()) {
    const std::string& program = run.programs(0).argv(0);
    run.set_name(program.substr(program.rfind('/') + 1));
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  run.set_umask(mask);
  if (!job && run.workdir().empty()) {
    char here[4096];
    if (::getcwd(here, sizeof here) == nullptr) {
      return complain(kProgram, errno_error("find the working directory", errno));
    }
    run.set_workdir(here);
  }
  for (const Result<void>& done :
       {read_programs(*request), set_streams(*request), set_mpi(*request, !socket.empty())}) {
    if (!done) {
      const int code = complain(kProgram, done.error());
      return done.error().kind() == ErrorKind::Invalid ? kExitUsage : code;
    }
  }
  if (!socket.empty() || job) return run_inside(*std::move(request), socket, job);
  return run_outside(*std::move(request));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
