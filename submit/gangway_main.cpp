// gangway: a whole cluster on one machine. up, down, status, doctor.
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include "containers/kernel_probe.hpp"
#include "queues/base/text.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "queues/config/config_text.hpp"
#include "queues/model/constraint.hpp"
#include "queues/model/idset.hpp"
#include "queues/model/job_spec.hpp"
#include "submit/console.hpp"
#include "submit/exit_code.hpp"
#include "submit/one_machine/doctor.hpp"
#include "submit/one_machine/one_machine_cluster.hpp"

namespace gangway::one_machine {
namespace {

constexpr const char* kProgram = "gangway";

struct Options {
  std::string directory;
  ClusterWishes wishes;
  bool foreground = false;
  bool purge = false;
};

// Reports once, in one line.
int fail(const Error& error) { return submit::complain(kProgram, error); }

void print_line(const std::string& line) { submit::print(line + "\n"); }

void print_next_steps(const ClusterLayout& layout, const UpReport& report) {
  std::string text;
  if (!report.waivers.empty()) {
    text +=
        "\nWhat this machine's kernel cannot enforce; jobs run without it, by these waivers in\n" +
        layout.config_file() + ":\n";
    for (const auto& waiver : report.waivers) text += "  " + waiver + "\n";
  }
  text +=
      "\nUse it from any shell on this machine, as an ordinary user:\n"
      "  export GANGWAY_SOCKET=" +
      layout.socket() +
      "\n"
      "  jsubmit -- hostname\n"
      "  jqueue; jnodes\n"
      "Logs are in " +
      layout.log_directory() + "; stop it with: gangway down";
  if (layout.directory != default_directory()) text += " --dir " + layout.directory;
  print_line(text);
}

// Those that end it, and the one of daemons that have ended.
sigset_t signals_waited_for() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, number);
  return signals;
}

// Until somebody wants it to end; takes leave of daemons meanwhile.
void wait_for_signal() {
  const sigset_t signals = signals_waited_for();
  int number = SIGCHLD;
  while (number == SIGCHLD) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    if (::sigwait(&signals, &number) != 0) number = SIGCHLD;
  }
}

int run_up(const Options& options, const ClusterLayout& layout) {
  if (options.foreground) {
    const sigset_t signals = signals_waited_for();
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  }
  const auto report =
      bring_up(layout, options.wishes, [](const std::string& line) { print_line(line); });
  if (!report) return fail(report.error());
  for (const auto& warning : report->warnings) submit::complain(kProgram, "warning: " + warning);
  if (report->was_running) {
    print_line(
        cat("the cluster in ", layout.directory, " is already running: ", report->nodes, " nodes"));
  } else if (!report->restarted.empty()) {
    print_line(cat("the cluster in ", layout.directory,
                   " was running in part; started again: ", join(report->restarted, ", ")));
  } else {
    print_line(cat("the cluster in ", layout.directory, " is up: ", report->nodes, " nodes",
                   report->own_networks ? ", each with a network of its own" : " on 127.0.0.1"));
  }
  print_next_steps(layout, *report);
  if (!options.foreground) return submit::kExitOk;

  print_line("running until interrupted");
  wait_for_signal();
  const auto down = take_down(layout, false);
  return down ? static_cast<int>(submit::kExitOk) : fail(down.error());
}

int run_down(const Options& options, const ClusterLayout& layout) {
  const auto report = take_down(layout, options.purge);
  if (!report) return fail(report.error());
  print_line(cat("the cluster in ", layout.directory,
                 report->was_running ? " has been stopped" : " was not running",
                 options.purge ? "; its directory is gone" : ""));
  return submit::kExitOk;
}

int run_status(const ClusterLayout& layout) {
  const auto status = look_at(layout);
  if (status.nothing() && !status.scheduler_answers) {
    submit::complain(kProgram, cat("no cluster is running in ", layout.directory,
                                   "; start one with: gangway up"));
    return submit::kExitUnavailable;
  }
  std::string text =
      cat("directory  ", layout.directory, "\nsocket     ", layout.socket(), "\nscheduler  ");
  if (status.scheduler_answers) {
    text += "up, version " + status.version;
  } else {
    text += status.scheduler_alive ? "does not answer" : "DOWN";
  }
  if (status.balancer_alive) text += cat("\nbalancer   ", *status.balancer_alive ? "up" : "DOWN");
  for (const auto& node : status.nodes) {
    text += cat("\nnode ", node.node.value, "   ");
    text += !node.process_alive ? "DOWN" : node.reached ? "up" : "not registered";
    if (!node.note.empty()) text += ", " + node.note;
  }
  if (status.scheduler_answers) {
    text += cat("\njobs       ", status.running, " running, ", status.waiting, " waiting");
  }
  print_line(text);
  return status.whole() ? submit::kExitOk : submit::kExitUnavailable;
}

int run_doctor() {
  const auto report = examine_machine();
  print_line(render_report(report));
  return report.jobs_can_run ? 0 : 1;
}

// An option's text as a value of the model.
template <typename T>
void add_value(CLI::App& app,
               const std::string& name,
               std::optional<T>& target,
               std::optional<T> (*parse)(std::string_view),
               const std::string& form,
               const std::string& meaning) {
  app.add_option_function<std::string>(
      name,
      [&target, parse, form, name](const std::string& text) {
        target = parse(text);
        if (!target) throw CLI::ValidationError(name, cat("'", text, "' is not ", form));
      },
      meaning);
}

// Less holds a sandbox and a shell at best.
constexpr Bytes kLeastMemory = mebibytes(64);

// "n[01-02]=a,b": `take` puts each of the items into an entry for these nodes.
void add_extras(CLI::App& app,
                const std::string& name,
                const std::string& form,
                ClusterWishes& wishes,
                const std::string& meaning,
                bool (*take)(config::NodesConfig&, std::string_view)) {
  app.add_option_function<std::vector<std::string>>(
         name,
         [&wishes, name, form, take](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             const auto fail = [&] {
               throw CLI::ValidationError(name, cat("'", text, "' is not ", form));
             };
             const std::size_t equals = text.find('=');
             if (equals == std::string::npos) fail();
             const auto names = parse_host_list(text.substr(0, equals));
             if (!names || names->empty()) fail();
             config::NodesConfig entry;
             entry.names = *names;
             for (const std::string_view item :
                  split(std::string_view(text).substr(equals + 1), ',')) {
               if (!take(entry, item)) fail();
             }
             wishes.extras.push_back(std::move(entry));
           }
         },
         meaning)
      ->allow_extra_args(false)
      ->type_name(form);
}

std::optional<Bytes> parse_memory(std::string_view text) {
  const auto amount = parse_bytes(text, mebibytes(1));
  return amount && *amount >= kLeastMemory ? amount : std::nullopt;
}

std::optional<Duration> parse_positive(std::string_view text) {
  const auto duration = parse_time_limit(text);
  return duration && duration->ns > 0 ? duration : std::nullopt;
}

// "2:30s"
std::optional<TimeSlicing> parse_time_slicing(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto gangs = parse_integer<std::int64_t>(text.substr(0, colon));
  const auto slice = parse_time_limit(text.substr(colon + 1));
  if (!gangs || *gangs < 2 || *gangs > 16 || !slice || *slice < milliseconds(500)) {
    return std::nullopt;
  }
  return TimeSlicing{*gangs, *slice};
}

void describe(CLI::App& app, Options& options) {
  app.require_subcommand(1);
  app.set_version_flag("-V,--version", "gangway " GANGWAY_VERSION);
  auto* up = app.add_subcommand("up", "Start a scheduler and some executors as separate nodes");
  auto* down = app.add_subcommand("down", "Stop them, and leave nothing behind");
  auto* status = app.add_subcommand("status", "Say what runs");
  app.add_subcommand("doctor", "Say what this kernel allows and what is missing");
  for (auto* command : {up, down, status}) {
    command->add_option("--dir", options.directory, "Where the cluster lives")
        ->default_str(default_directory());
  }
  up->add_option("--nodes", options.wishes.nodes, "How many executors [4]")
      ->check(CLI::Range(1, kMaxNodes));
  up->add_option("--cores", options.wishes.cores, "Cores of each node [an equal part, at least 2]")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4096}));
  add_value(*up, "--memory", options.wishes.memory, &parse_memory,
            "a size of at least 64M, such as 4G", "Memory of each node [an equal part]");
  add_value(*up, "--lease", options.wishes.lease, &parse_positive, "a time such as 10m",
            "How long a silent node keeps its jobs [10m]");
  add_value(*up, "--heartbeat", options.wishes.heartbeat, &parse_positive, "a time such as 5s",
            "How often executors say that they live [5s]");
  add_value(*up, "--kill-grace", options.wishes.kill_grace, &parse_positive, "a time such as 30s",
            "From SIGTERM to SIGKILL [30s]");
  add_value(*up, "--time-slicing", options.wishes.time_slicing, &parse_time_slicing,
            "a number of jobs and a time, such as 2:30s",
            "A queue \"sliced\" in which so many jobs share cores in turns of this length");
  add_extras(*up, "--feature", "NODES=NAME[,NAME]", options.wishes,
             "What jobs can ask of nodes by --constraint, as n[01-02]=ib,ssd; also again",
             [](config::NodesConfig& entry, std::string_view item) {
               if (!is_feature_name(item)) return false;
               entry.features.emplace_back(item);
               return true;
             });
  add_extras(*up, "--resource", "NODES=NAME:N[,NAME:N]", options.wishes,
             "What jobs can ask of nodes by --gres, as n01=gpu:2 or n01=gpu:a100:2; also again",
             [](config::NodesConfig& entry, std::string_view item) {
               // "gpu", "gpu:2", "gpu:a100", "gpu:a100:2".
               std::size_t colon = item.rfind(':');
               std::optional<std::int64_t> amount = 1;
               if (colon != std::string_view::npos) {
                 amount = parse_integer<std::int64_t>(item.substr(colon + 1));
                 if (!amount) {
                   amount = 1;
                   colon = std::string_view::npos;
                 }
               }
               const std::string_view name = item.substr(0, colon);
               const std::size_t type = name.find(':');
               if (!config::is_name(name.substr(0, type)) ||
                   (type != std::string_view::npos && !config::is_name(name.substr(type + 1))) ||
                   !amount || *amount < 1 || *amount > kMaxNamedAmount) {
                 return false;
               }
               entry.named.emplace_back(name, *amount);
               return true;
             });
  add_extras(
      *up, "--device", "NODES=KIND:PATH[,KIND:PATH]", options.wishes,
      "Device nodes or CDI names of a resource, in order, as n01=gpu:/dev/nvidia0; also again",
      [](config::NodesConfig& entry, std::string_view item) {
        const std::size_t colon = item.find(':');
        if (colon == std::string_view::npos || !config::is_name(item.substr(0, colon))) {
          return false;
        }
        const std::string_view device = item.substr(colon + 1);
        if (!device.starts_with("/dev/") && device.find('=') == std::string_view::npos) {
          return false;
        }
        const std::string kind(item.substr(0, colon));
        for (auto& [name, devices] : entry.devices) {
          if (name != kind) continue;
          devices.emplace_back(device);
          return true;
        }
        entry.devices.push_back({kind, {std::string(device)}});
        return true;
      });
  up->add_flag("--allow-root-jobs", options.wishes.allow_root_jobs, "Take jobs of root, too");
  up->add_flag("--foreground", options.foreground, "Stay, and stop the cluster when interrupted");
  down->add_flag("--purge", options.purge, "Remove the directory as well: jobs, logs, images");
}

int run(int argc, char** argv) {
  CLI::App app("A whole Gangway cluster on one machine.", kProgram);
  Options options;
  describe(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::RequiredError&) {
    return submit::complain_usage(
        kProgram, Error(ErrorKind::Invalid, "say what to do: up, down, status or doctor"));
  } catch (const CLI::ParseError& wrong) {
    return submit::complain_usage(kProgram, Error(ErrorKind::Invalid, wrong.what()));
  }
  if (app.got_subcommand("doctor")) return run_doctor();
  if (options.directory.empty()) options.directory = default_directory();
  const auto layout = make_layout(std::filesystem::absolute(options.directory).string());
  if (!layout) return fail(layout.error());
  if (app.got_subcommand("up")) return run_up(options, *layout);
  if (app.got_subcommand("down")) return run_down(options, *layout);
  return run_status(*layout);
}

}  // namespace
}  // namespace gangway::one_machine

int main(int argc, char** argv) {
  // A descriptor we open must not become somebody's stdout.
  while (::fcntl(2, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) >= 0) {
  }
  try {
    return gangway::one_machine::run(argc, argv);
  } catch (const std::exception& unexpected) {
    gangway::submit::complain("gangway", unexpected.what());
    return gangway::submit::kExitInternal;
  }
}
