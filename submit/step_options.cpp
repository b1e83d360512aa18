#include "submit/step_options.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "queues/base/text.hpp"
#include "queues/base/time.hpp"
#include "queues/model/idset.hpp"
#include "queues/model/job_spec.hpp"
#include "submit/job_options.hpp"
#include "submit/job_values.hpp"

namespace gangway::submit {
namespace {

constexpr Takes kFlag = Takes::Nothing;
constexpr Takes kValue = Takes::Value;
constexpr Takes kMaybe = Takes::OptionalValue;

// Of a step alone, or of a step and of the job that is made for it (`both`).
struct StepOption {
  OptionName name;
  Result<void> (*apply)(StepRequest&, const GivenOption&) = nullptr;
  bool both = false;
};

Error bad(const GivenOption& given, std::string_view right) {
  return option_error(given, cat("\"", given.text(), "\" is not ", right));
}

Result<void> nothing(StepRequest&, const GivenOption&) { return {}; }

template <void (wire::StepRun::*set)(std::int32_t)>
Result<void> set_count(StepRequest& request, const GivenOption& given) {
  std::string_view text = given.text();
  // "2-4" nodes: as many as that needs at least.
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos && dash > 0) {
    text = text.substr(0, dash);
  }
  const auto count = parse_count(text, 1, 1'000'000);
  if (!count) return bad(given, "a whole number from 1 to 1000000");
  (request.run.*set)(static_cast<std::int32_t>(*count));
  return {};
}

template <void (wire::StepRun::*set)(bool)>
Result<void> set_flag(StepRequest& request, const GivenOption&) {
  (request.run.*set)(true);
  return {};
}

template <bool StepRequest::*member>
Result<void> choose(StepRequest& request, const GivenOption&) {
  request.*member = true;
  return {};
}

template <std::optional<std::string> StepRequest::*member>
Result<void> set_text(StepRequest& request, const GivenOption& given) {
  if (given.text().empty()) return option_error(given, "its value is empty");
  request.*member = std::string(given.text());
  return {};
}

template <bool only>
Result<void> set_hosts(StepRequest& request, const GivenOption& given) {
  Result<std::vector<NodeName>> names = parse_host_list(given.text());
  if (!names) return option_error(given, names.error().message());
  for (const NodeName& name : *names) {
    if (only) {
      request.run.add_only_nodes(name.value);
    } else {
      request.run.add_not_nodes(name.value);
    }
  }
  return {};
}

Result<void> set_kill(StepRequest& request, const GivenOption& given) {
  if (given.value && *given.value != "0" && *given.value != "1") return bad(given, "0 or 1");
  request.run.set_kill_on_bad_exit(!given.value || *given.value == "1");
  return {};
}

// block, cyclic, plane=4, and after a colon block, cyclic or fcyclic for the sockets.
Result<void> set_distribution(StepRequest& request, const GivenOption& given) {
  constexpr std::string_view kRight =
      "a distribution; it is written block, cyclic or plane=4, and for the sockets of a node "
      "block:block, block:cyclic or block:fcyclic";
  const std::string_view text = given.text().substr(0, given.text().find(','));
  const std::size_t colon = text.find(':');
  const std::string_view nodes = text.substr(0, colon);
  if (nodes == "block" || nodes == "*" || nodes.empty()) {
    request.run.set_distribution(nodes == "block" ? 1 : 0);
  } else if (nodes == "cyclic") {
    request.run.set_distribution(2);
  } else if (nodes.starts_with("plane=")) {
    const auto size = parse_count(nodes.substr(6), 1, 1'000'000);
    if (!size) return bad(given, kRight);
    request.run.set_distribution(3);
    request.run.set_plane(static_cast<std::int32_t>(*size));
  } else {
    return bad(given, kRight);
  }
  if (colon == std::string_view::npos) return {};
  std::string_view sockets = text.substr(colon + 1);
  sockets = sockets.substr(0, sockets.find(':'));
  if (sockets == "cyclic" || sockets == "*") {
    request.run.set_socket_distribution(0);
  } else if (sockets == "block") {
    request.run.set_socket_distribution(1);
  } else if (sockets == "fcyclic") {
    request.run.set_socket_distribution(2);
  } else {
    return bad(given, kRight);
  }
  return {};
}

// "0xf" as "0-3": the wire's form.
std::optional<std::string> cpus_of_mask(std::string_view mask) {
  if (mask.starts_with("0x") || mask.starts_with("0X")) mask.remove_prefix(2);
  if (mask.empty() || mask.size() > 1024) return std::nullopt;
  std::string cpus;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const char c = mask[mask.size() - 1 - i];
    int value = 0;
    if (c >= '0' && c <= '9') {
      value = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      value = c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
      value = c - 'A' + 10;
    } else {
      return std::nullopt;
    }
    for (std::size_t bit = 0; bit < 4; ++bit) {
      if ((value >> bit & 1) != 0) cpus += cat(cpus.empty() ? "" : ",", i * 4 + bit);
    }
  }
  return cpus;
}

Result<void> set_bind(StepRequest& request, const GivenOption& given) {
  constexpr std::string_view kRight =
      "a binding; there are none, threads, cores, sockets, ldoms, rank, map_cpu:LIST and "
      "mask_cpu:LIST, each perhaps behind verbose,";
  std::string_view text = given.text();
  for (const std::string_view word : {"quiet,", "q,", "verbose,", "v,"}) {
    if (!text.starts_with(word)) continue;
    text.remove_prefix(word.size());
    request.show_bindings = word.front() == 'v';
  }
  if (text == "verbose" || text == "v") {
    request.show_bindings = true;
  } else if (text == "none" || text == "no") {
    request.run.set_bind(1);
  } else if (text == "threads") {
    request.run.set_bind(2);
  } else if (text == "cores") {
    request.run.set_bind(3);
  } else if (text == "sockets") {
    request.run.set_bind(4);
  } else if (text == "ldoms" || text == "numa") {
    request.run.set_bind(5);
  } else if (text == "rank") {
    request.run.set_bind(2);
    request.run.set_socket_distribution(1);
  } else if (text.starts_with("map_cpu:")) {
    request.run.set_bind(6);
    for (const std::string_view cpu : split(text.substr(8), ',')) {
      if (!parse_count(cpu, 0, 65535)) return bad(given, kRight);
      request.run.add_bind_list(std::string(cpu));
    }
  } else if (text.starts_with("mask_cpu:")) {
    request.run.set_bind(7);
    for (const std::string_view mask : split(text.substr(9), ',')) {
      const auto cpus = cpus_of_mask(mask);
      if (!cpus) return bad(given, kRight);
      request.run.add_bind_list(*cpus);
    }
  } else if (text != "auto" && text != "quiet" && text != "q") {
    return bad(given, kRight);
  }
  return {};
}

Result<void> set_time(StepRequest& request, const GivenOption& given) {
  const std::optional<Duration> limit = parse_time_limit(given.text());
  if (!limit) return bad(given, "a time; it is written 30 (minutes), 1:30:00 or 2-12");
  request.run.set_time_limit_ns(limit->ns);
  return {};
}

Result<void> set_wait(StepRequest& request, const GivenOption& given) {
  const auto wait = parse_count(given.text(), 0, 1'000'000);
  if (!wait) return bad(given, "a number of seconds");
  request.run.set_wait_ns(seconds(*wait).ns);
  return {};
}

Result<void> set_append(StepRequest& request, const GivenOption& given) {
  const std::string_view mode = given.text();
  if (mode != "append" && mode != "a" && mode != "truncate" && mode != "t") {
    return bad(given, "append or truncate");
  }
  request.run.set_append(mode.starts_with('a'));
  return {};
}

Result<void> set_exclusive(StepRequest& request, const GivenOption&) {
  request.run.set_exact(true);
  return {};
}

Result<void> set_chdir(StepRequest& request, const GivenOption& given) {
  request.run.set_workdir(std::string(given.text()));
  return {};
}
Result<void> set_name(StepRequest& request, const GivenOption& given) {
  request.run.set_name(std::string(given.text()));
  return {};
}
Result<void> set_socket(StepRequest& request, const GivenOption& given) {
  request.socket = std::string(given.text());
  return {};
}

constexpr auto kOptions = std::to_array<StepOption>({
    {{"nodes", 'N', kValue, "N", "number of nodes"}, set_count<&wire::StepRun::set_nodes>, true},
    {{"ntasks", 'n', kValue, "N", "number of tasks"}, set_count<&wire::StepRun::set_tasks>, true},
    {{"ntasks-per-node", 0, kValue, "N", "at most so many tasks on a node"},
     set_count<&wire::StepRun::set_tasks_per_node>,
     true},
    {{"cpus-per-task", 'c', kValue, "N", "cores for each task"},
     set_count<&wire::StepRun::set_cpus_per_task>,
     true},
    {{"nodelist", 'w', kValue, "NODES", "only these nodes"}, set_hosts<true>, true},
    {{"exclude", 'x', kValue, "NODES", "not these nodes"}, set_hosts<false>, true},
    {{"exact", 0, kFlag, "", "cores of its own; waits until they are free"},
     set_flag<&wire::StepRun::set_exact>},
    {{"exclusive", 0, kMaybe, "user", "in an allocation the same as --exact"}, set_exclusive, true},
    {{"overlap", 0, kFlag, "", "takes no notice of other steps' cores"},
     set_flag<&wire::StepRun::set_overlap>},
    {{"distribution", 'm', kValue, "HOW", "block, cyclic or plane=N; :block, :cyclic, :fcyclic"},
     set_distribution},
    {{"cpu-bind", 0, kValue, "HOW", "none, threads, cores, sockets, ldoms, map_cpu:, mask_cpu:"},
     set_bind},
    {{"cpu_bind", 0, kValue, "HOW", "", "cpu-bind"}, set_bind},
    {{"label", 'l', kFlag, "", "each line behind the number of its task"},
     choose<&StepRequest::label>},
    {{"input", 'i', kValue, "all|none|RANK|FILE", "who reads standard input; default all"},
     set_text<&StepRequest::in>},
    {{"output", 'o', kValue, "FILE", "standard output; with %t one for each task"},
     set_text<&StepRequest::out>},
    {{"error", 'e', kValue, "FILE", "standard error"}, set_text<&StepRequest::err>},
    {{"open-mode", 0, kValue, "append|truncate", "what to do with files that exist"}, set_append},
    {{"multi-prog", 0, kFlag, "", "the command is a file: RANKS PROGRAM ARGUMENTS"},
     choose<&StepRequest::multi_prog>},
    {{"kill-on-bad-exit", 'K', kMaybe, "0|1", "a task that fails ends the others"}, set_kill},
    {{"wait", 'W', kValue, "SECONDS", "end the others so long after the first end"}, set_wait},
    {{"time", 't', kValue, "LIMIT", "limit of the run time"}, set_time, true},
    {{"mpi", 0, kValue, "pmix|none", "how tasks find each other"}, set_text<&StepRequest::mpi>},
    {{"pty", 0, kFlag, "", "task 0 gets a terminal"}, choose<&StepRequest::pty>},
    {{"jobid", 0, kValue, "ID", "in the allocation of this job"}, set_text<&StepRequest::job>},
    {{"chdir", 'D', kValue, "DIR", "directory to run in"}, set_chdir, true},
    {{"job-name", 'J', kValue, "NAME", "name of the step"}, set_name, true},
    {{"quiet", 'Q', kFlag, "", "no messages about tasks that failed"}, choose<&StepRequest::quiet>},
    {{"socket", 0, kValue, "PATH", "the scheduler's socket"}, set_socket},
    {{"help", 'h', kFlag, "", "this help"}, choose<&StepRequest::help>},
    {{"version", 'V', kFlag, "", "the version"}, choose<&StepRequest::version>},
    {{"hold", 0, kFlag, ""}, choose<&StepRequest::hold>},
    {{"unbuffered", 'u', kFlag, ""}, nothing},
    {{"verbose", 'v', kFlag, ""}, nothing},
    {{"immediate", 'I', kMaybe, "SECONDS"}, nothing},
    {{"overcommit", 'O', kFlag, ""}, nothing},
    {{"oversubscribe", 's', kFlag, ""}, nothing},
    {{"no-kill", 'k', kMaybe, "off"}, nothing},
    {{"preserve-env", 'E', kFlag, ""}, nothing},
    {{"resv-ports", 0, kMaybe, "N"}, nothing},
    {{"threads", 'T', kValue, "N"}, nothing},
    {{"slurmd-debug", 0, kValue, "LEVEL"}, nothing},
    {{"relative", 'r', kValue, "N"}, nothing},
});

// The step's options first, then the job's that are not among them.
struct Names {
  std::vector<OptionName> all;
  std::vector<std::size_t> job_index;  // of the job's option of that name; -1: none
};

const Names& names() {
  static const Names made = [] {
    Names both;
    const std::span<const OptionName> of_job = job_option_names();
    for (const StepOption& option : kOptions) {
      both.all.push_back(option.name);
      const auto same = std::find_if(of_job.begin(), of_job.end(), [&](const OptionName& name) {
        return name.name == option.name.name;
      });
      both.job_index.push_back(option.both && same != of_job.end()
                                   ? static_cast<std::size_t>(same - of_job.begin())
                                   : static_cast<std::size_t>(-1));
    }
    for (std::size_t i = 0; i < of_job.size(); ++i) {
      OptionName name = of_job[i];
      const bool taken = std::any_of(kOptions.begin(), kOptions.end(), [&](const StepOption& own) {
        return own.name.name == name.name;
      });
      if (taken) continue;
      const bool letter_taken =
          std::any_of(kOptions.begin(), kOptions.end(), [&](const StepOption& own) {
            return name.letter != 0 && own.name.letter == name.letter;
          });
      if (letter_taken) name.letter = 0;
      both.all.push_back(name);
      both.job_index.push_back(i);
    }
    return both;
  }();
  return made;
}

Result<void> apply(StepRequest& request, const std::vector<GivenOption>& options) {
  for (const GivenOption& given : options) {
    if (given.index < kOptions.size()) GANGWAY_TRY(kOptions[given.index].apply(request, given));
    if (names().job_index[given.index] != static_cast<std::size_t>(-1)) {
      request.of_job.push_back(given);
      request.of_job.back().index = names().job_index[given.index];
    }
  }
  return {};
}

// Parts between ":" words, if something stands behind each.
std::vector<std::vector<std::string>> parts_of(std::span<const std::string> words) {
  std::vector<std::vector<std::string>> parts(1);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == ":" && i + 1 < words.size() && !parts.back().empty()) {
      parts.emplace_back();
    } else {
      parts.back().push_back(words[i]);
    }
  }
  return parts;
}

std::string substitute(std::string_view word, std::uint32_t rank, std::uint32_t offset) {
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool is_last = i + 1 == word.size();
    if (word[i] == '%' && !is_last && (word[i + 1] == 't' || word[i + 1] == 'o')) {
      out += cat(word[i + 1] == 't' ? rank : offset);
      ++i;
    } else {
      out += word[i];
    }
  }
  return out;
}

// Words as a shell would cut them; quotes keep spaces.
std::vector<std::string> shell_words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool any = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      any = true;
    } else if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
      any = true;
    } else if (c == ' ' || c == '\t') {
      if (any) words.push_back(std::exchange(word, {}));
      any = false;
    } else {
      word += c;
      any = true;
    }
  }
  if (any) words.push_back(word);
  return words;
}

}  // namespace

std::span<const OptionName> step_option_names() {
  return std::span<const OptionName>(names().all).first(kOptions.size());
}

Result<StepRequest> parse_step(std::span<const std::string> words) {
  StepRequest request;
  const std::vector<std::vector<std::string>> parts = parts_of(words);
  std::vector<std::int32_t> counts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    GANGWAY_ASSIGN(const ParsedOptions parsed,
                   parse_options(names().all, parts[i], Operands::EndTheOptions));
    StepRequest of_part;
    GANGWAY_TRY(apply(i == 0 ? request : of_part, parsed.options));
    const wire::StepRun& run = i == 0 ? request.run : of_part.run;
    if (i > 0 && (run.nodes() > 0 || run.only_nodes_size() > 0)) {
      return Error(ErrorKind::Invalid,
                   "after \":\" only --ntasks and the program can be given; nodes are the step's");
    }
    counts.push_back(run.tasks() > 0 ? run.tasks() : 1);
    wire::StepProgram program;
    for (const std::string& word : parsed.operands) program.add_argv(word);
    if (parts.size() > 1 && program.argv_size() == 0) {
      return Error(ErrorKind::Invalid, "a part between \":\" has no program");
    }
    if (program.argv_size() > 0) *request.run.add_programs() = std::move(program);
  }
  if (parts.size() > 1) {
    std::uint32_t first = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      wire::StepProgram& program = *request.run.mutable_programs(static_cast<int>(i));
      program.add_ranks(first);
      program.add_ranks(static_cast<std::uint32_t>(counts[i]));
      first += static_cast<std::uint32_t>(counts[i]);
    }
    request.run.set_tasks(static_cast<std::int32_t>(first));
  }
  if (request.multi_prog && request.run.tasks() == 0) {
    return Error(ErrorKind::Invalid, "--multi-prog needs --ntasks");
  }
  return request;
}

Result<std::vector<wire::StepProgram>> parse_multi_prog(std::string_view text,
                                                        const std::string& name,
                                                        std::uint32_t tasks) {
  std::map<std::uint32_t, std::vector<std::string>> of_rank;
  std::optional<std::vector<std::string>> of_rest;
  int number = 0;
  for (const std::string_view whole : split(text, '\n')) {
    ++number;
    std::vector<std::string> words = shell_words(whole.substr(0, whole.find('#')));
    if (words.empty()) continue;
    const auto wrong = [&](std::string_view what) {
      return Error(ErrorKind::Invalid, cat(name, ":", number, ": ", what));
    };
    if (words.size() < 2) return wrong("a line is written RANKS PROGRAM ARGUMENTS");
    const std::vector<std::string> argv(words.begin() + 1, words.end());
    if (words[0] == "*") {
      of_rest = argv;
      continue;
    }
    std::uint32_t offset = 0;
    for (const std::string_view part : split(words[0], ',')) {
      const std::size_t dash = part.find('-');
      const auto first = parse_integer<std::uint32_t>(part.substr(0, dash));
      const auto last = dash == std::string_view::npos
                            ? first
                            : parse_integer<std::uint32_t>(part.substr(dash + 1));
      if (!first || !last || *last < *first) return wrong(cat("\"", part, "\" is no rank"));
      if (*last >= tasks) return wrong(cat("there are only ", tasks, " tasks, 0 to ", tasks - 1));
      for (std::uint32_t rank = *first; rank <= *last; ++rank, ++offset) {
        std::vector<std::string>& own = of_rank[rank];
        if (!own.empty()) return wrong(cat("task ", rank, " has a program already"));
        for (const std::string& word : argv) own.push_back(substitute(word, rank, offset));
      }
    }
  }
  std::uint32_t offset = 0;
  for (std::uint32_t rank = 0; rank < tasks; ++rank) {
    if (of_rank.contains(rank)) continue;
    if (!of_rest) {
      return Error(ErrorKind::Invalid, cat(name, ": task ", rank, " has no program"));
    }
    for (const std::string& word : *of_rest) {
      of_rank[rank].push_back(substitute(word, rank, offset));
    }
    ++offset;
  }
  std::vector<wire::StepProgram> programs;
  for (const auto& [rank, argv] : of_rank) {
    const bool same =
        !programs.empty() && std::equal(argv.begin(), argv.end(), programs.back().argv().begin(),
                                        programs.back().argv().end());
    if (same) {
      programs.back().set_ranks(1, programs.back().ranks(1) + 1);
      continue;
    }
    wire::StepProgram program;
    for (const std::string& word : argv) program.add_argv(word);
    program.add_ranks(rank);
    program.add_ranks(1);
    programs.push_back(std::move(program));
  }
  return programs;
}

}  // namespace gangway::submit
