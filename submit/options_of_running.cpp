// How a job's programs run: image, files, environment, signals, binding.
#include <algorithm>
#include <array>

#include "queues/base/text.hpp"
#include "submit/job_values.hpp"
#include "submit/option_setters.hpp"

namespace gangway::submit {

namespace {

using namespace option_setters;

Applied set_open_mode(Draft& draft, const Given& given) {
  const std::string_view mode = given.text();
  if (mode != "append" && mode != "a" && mode != "truncate" && mode != "t") {
    return bad(given, "append or truncate");
  }
  draft.append = mode.starts_with('a');
  return {};
}

Applied set_mpi(Draft& draft, const Given& given) {
  const std::string_view type = given.text();
  for (const MpiMode mode :
       {MpiMode::Auto, MpiMode::Pmix, MpiMode::Pmi2, MpiMode::Pmi1, MpiMode::None}) {
    if (type != to_string(mode)) continue;
    draft.mpi = mode;
    return {};
  }
  if (!type.starts_with("pmix_v")) {
    return bad(given, "a way to start MPI programs; there are auto, pmix, pmi2, pmi1 and none");
  }
  draft.mpi = MpiMode::Pmix;
  return {};
}

Applied set_user(Draft& draft, const Given& given) {
  static constexpr std::string_view kWords[] = {"self", "image", "root"};
  return set_choice<ContainerUser, &Draft::user>(draft, given, kWords);
}

Applied set_network(Draft& draft, const Given& given) {
  static constexpr std::string_view kWords[] = {"host", "none"};
  // Slurm's option of this name is about the switches of some machines.
  if (given.text().find_first_of("=,") != std::string_view::npos) return ignore(draft, given);
  return set_choice<ContainerNetwork, &Draft::network>(draft, given, kWords);
}

Applied add_binds(Draft& draft, const Given& given) {
  Result<std::vector<BindSpec>> binds = parse_binds(given.text());
  if (!binds) return option_error(given, binds.error().message());
  draft.binds.insert(draft.binds.end(), binds->begin(), binds->end());
  return {};
}

Applied add_variable(Draft& draft, const Given& given) {
  const std::string_view text = given.text();
  if (text.empty() || text.front() == '=')
    return bad(given, "a variable; it is written NAME=VALUE");
  draft.env.emplace_back(text);
  return {};
}

Applied set_signal(Draft& draft, const Given& given) {
  if (!is_signal_request(given.text())) {
    return bad(given, "a signal before the end; it is written USR1@120 or B:USR1@120");
  }
  std::string_view text = given.text();
  WarningSignal warning{.number = 0, .before = seconds(60), .script_only = false};
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    warning.script_only = text.substr(0, colon).find('B') != std::string_view::npos;
    text.remove_prefix(colon + 1);
  }
  const std::size_t at = text.find('@');
  warning.number = *parse_signal(text.substr(0, at));
  if (at != std::string_view::npos) {
    warning.before = seconds(*parse_count(text.substr(at + 1), 0, 65535));
  }
  draft.warning = warning;
  return {};
}

// As sbatch does it: what the script's steps find in their environment. The nodes of a job have its
// tasks in blocks.
Applied set_distribution(Draft& draft, const Given& given) {
  constexpr std::string_view kRight =
      "a distribution; it is written block, cyclic or plane=4, and for the sockets of a node "
      "block:block, block:cyclic or block:fcyclic";
  const std::string_view text = given.text().substr(0, given.text().find(','));
  const std::vector<std::string_view> levels = split(text, ':');
  if (levels.size() > 3) return bad(given, kRight);
  const auto is_of_node = [](std::string_view level) {
    return level == "block" || level == "cyclic" || level == "fcyclic" || level == "*";
  };
  if (!std::all_of(levels.begin() + 1, levels.end(), is_of_node)) return bad(given, kRight);
  const std::string_view nodes = levels.front();
  if (nodes == "arbitrary") return ignore(draft, given);
  std::erase_if(draft.step_env, [](const std::string& variable) {
    return variable.starts_with("SLURM_DISTRIBUTION=") ||
           variable.starts_with("SLURM_DIST_PLANESIZE=");
  });
  draft.deals_tasks_otherwise = nodes != "block" && nodes != "*";
  if (nodes.starts_with("plane=")) {
    const auto size = parse_count(nodes.substr(6), 1, 1'000'000);
    if (!size) return bad(given, kRight);
    draft.step_env.emplace_back("SLURM_DISTRIBUTION=plane");
    draft.step_env.push_back(cat("SLURM_DIST_PLANESIZE=", *size));
    return {};
  }
  if (nodes != "block" && nodes != "cyclic" && nodes != "*") return bad(given, kRight);
  draft.step_env.push_back(cat("SLURM_DISTRIBUTION=", text));
  return {};
}

// Without a wish the kernel gives memory of the domain whose core asks for it.
Applied check_mem_bind(Draft& draft, const Given& given) {
  bool fulfilled = true;
  for (const std::string_view word : split(given.text(), ',')) {
    const std::string_view kind = word.substr(0, word.find(':'));
    const bool is_map = kind == "map_mem" || kind == "mask_mem";
    if (is_map ? word.size() == kind.size() : word.size() != kind.size()) {
      return bad(given, "a binding of memory; it is written local, none or map_mem:0,1");
    }
    if (is_map) return ignore(draft, given);  // its commas are its own
    Given one = given;
    one.value = std::string(word);
    GANGWAY_TRY(check_word(one, {"local", "none", "no", "quiet", "q", "verbose", "v", "prefer", "p",
                                 "rank", "sort", "nosort"}));
    fulfilled = fulfilled && word != "prefer" && word != "p" && word != "rank";
  }
  return fulfilled ? Applied{} : ignore(draft, given);
}

// Which GPUs are near which cores is not known, and then each task may use all that its node gave,
// as with Slurm.
Applied check_gpu_bind(Draft& draft, const Given& given) {
  std::string_view how = given.text();
  for (const std::string_view wordy : {"verbose,", "v,"}) {
    if (how.starts_with(wordy)) how.remove_prefix(wordy.size());
  }
  if (how == "closest" || how == "none" || how == "verbose" || how == "v") return {};
  for (const std::string_view kind : {"map_gpu:", "mask_gpu:", "single:", "per_task:"}) {
    if (how.starts_with(kind) && how.size() > kind.size()) return ignore(draft, given);
  }
  return bad(given, "a binding; it is written closest, none, single:2, per_task:1 or map_gpu:0,1");
}

// Shifter's way to write binds: parted by ";", with flags behind a third colon.
Applied add_volumes(Draft& draft, const Given& given) {
  std::string text(given.text());
  std::replace(text.begin(), text.end(), ';', ',');
  Given one = given;
  one.value = std::move(text);
  return add_binds(draft, one);
}

Applied check_no_kill(Draft& draft, const Given& given) {
  if (!given.value) return ignore(draft, given);
  GANGWAY_TRY(check_word(given, {"off", "set"}));
  return given.text() == "off" ? Applied{} : ignore(draft, given);
}

// Tasks have cores of their own, and a core is what the node counts as one.
Applied check_hint(Draft& draft, const Given& given) {
  GANGWAY_TRY(
      check_word(given, {"compute_bound", "memory_bound", "multithread", "nomultithread", "help"}));
  return given.text() == "memory_bound" ? ignore(draft, given) : Applied{};
}

Applied check_gres_flags(Draft& draft, const Given& given) {
  for (const std::string_view flag : split(given.text(), ',')) {
    Given one = given;
    one.value = std::string(flag);
    GANGWAY_TRY(check_word(one, {"disable-binding", "enforce-binding", "allow-task-sharing",
                                 "multiple-tasks-per-sharing", "one-task-per-sharing"}));
    if (flag != "disable-binding") return ignore(draft, given);
  }
  return {};
}

// A job starts when all of its nodes are prepared, never before.
Applied check_wait_all(Draft&, const Given& given) { return check_word(given, {"0", "1"}); }

Applied check_propagate(Draft& draft, const Given& given) {
  if (!given.value) return ignore(draft, given);
  for (const std::string_view limit : split(given.text(), ',')) {
    Given one = given;
    one.value = std::string(limit);
    GANGWAY_TRY(check_word(one, {"ALL", "NONE", "AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK",
                                 "NOFILE", "NPROC", "RSS", "STACK"}));
  }
  return given.text() == "NONE" ? Applied{} : ignore(draft, given);
}

Applied set_user_env(Draft& draft, const Given& given) {
  // "10L": seconds to wait, and whether the shell is one of login.
  std::string_view mode = given.text();
  if (mode.ends_with('L') || mode.ends_with('S')) mode.remove_suffix(1);
  if (!mode.empty() && !parse_count(mode, 1, 3600)) {
    return bad(given, "a mode; it is written 30 (seconds), L or 30L");
  }
  draft.user_env = true;
  return {};
}

constexpr auto kOptions = std::to_array<JobOption>({
    {{"image", 0, kValue, "PATH[:TAG]", "container image to run in"}, set_word<&Draft::image>},
    {{"bind", 0, kValue, "SRC[:DST[:ro]]", "show a host directory inside"}, add_binds},
    {{"volume", 0, kValue, "SRC:DST[;...]", "the same as shifter writes it"}, add_volumes},
    {{"env", 0, kValue, "NAME[=VALUE]", "set this variable, or pass it on"}, add_variable},
    {{"entrypoint", 0, kValue, "PROGRAM", "instead of the image's entry point; \"\": none"},
     set_text<&Draft::entrypoint>},
    {{"workdir", 0, kValue, "DIR", "start here inside the image; without one as --chdir"},
     set_word<&Draft::workdir>},
    {{"read-only", 0, kFlag, "", "nothing of the image can be written"},
     set_flag<&Draft::read_only>},
    {{"user", 0, kValue, "self|image|root", "who you are inside the image"}, set_user},
    {{"network", 0, kValue, "host|none", "which network there is"}, set_network},
    {{"mpi", 0, kValue, "auto|pmix|pmi2|pmi1|none", "how tasks find each other"}, set_mpi},
    {{"output", 'o', kValue, "FILE", "standard output; default job-%j.out"},
     set_word<&Draft::output>},
    {{"error", 'e', kValue, "FILE", "standard error; default: with the output"},
     set_word<&Draft::error>},
    {{"input", 'i', kValue, "FILE", "standard input; default /dev/null"}, set_word<&Draft::input>},
    {{"open-mode", 0, kValue, "append|truncate", "what to do with files that exist"},
     set_open_mode},
    {{"report-usage", 0, kFlag, "", "a line at the end of the output: what it used"},
     set_flag<&Draft::report_usage>},
    {{"chdir", 'D', kValue, "DIR", "directory to run in; default: this one"},
     set_word<&Draft::chdir>},
    {{"export", 0, kValue, "ALL|NONE|NAMES", "variables it gets; default ALL"},
     set_text<&Draft::export_list>},
    {{"get-user-env", 0, kMaybe, "MODE", "what your login shell sets, too"}, set_user_env},
    {{"propagate", 0, kMaybe, "LIMITS"}, check_propagate},
    {{"signal", 0, kValue, "[B:]SIGNAL[@S]",
      "sent S seconds (60) before the time limit; B: to the script"},
     set_signal},
    {{"no-kill", 'k', kMaybe, "off"}, check_no_kill},
    {{"cpu-bind", 0, kValue, "HOW"}, ignore},
    {{"cpu_bind", 0, kValue, "HOW", "", "cpu-bind"}, ignore},
    {{"mem-bind", 0, kValue, "HOW"}, check_mem_bind},
    {{"mem_bind", 0, kValue, "HOW", "", "mem-bind"}, ignore},
    {{"gpu-bind", 0, kValue, "HOW"}, check_gpu_bind},
    {{"gres-flags", 0, kValue, "FLAG"}, check_gres_flags},
    {{"distribution", 'm', kValue, "HOW", "how jrun in it deals out tasks, as jrun's -m"},
     set_distribution},
    {{"hint", 0, kValue, "TYPE", "as compute_bound; a task has its cores alone"}, check_hint},
    {{"wait-all-nodes", 0, kValue, "0|1", "always: nodes start together"}, check_wait_all},
});

}  // namespace

std::span<const JobOption> running_options() { return kOptions; }

}  // namespace gangway::submit
