#include "submit/pbs_options.hpp"

#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/model/constraint.hpp"
#include "submit/job_values.hpp"
#include "submit/jobspec_parse.hpp"

namespace gangway::submit {

namespace {

constexpr Takes kValue = Takes::Value;
constexpr OptionName kPbsOptions[] = {
    {"", 'A', kValue, "ACCOUNT"},
    {"", 'a', kValue, "DATE"},
    {"", 'b', kValue, "N"},
    {"", 'C', kValue, "PREFIX"},
    {"", 'c', kValue, "WHEN"},
    {"", 'd', kValue, "DIR"},
    {"", 'e', kValue, "FILE"},
    {"", 'h'},
    {"", 'I'},
    {"", 'J', kValue, "RANGE"},
    {"", 'j', kValue, "oe"},
    {"", 'k', kValue, "FILES"},
    {"", 'L', kValue, "LIST"},
    {"", 'l', kValue, "LIST"},
    {"", 'M', kValue, "ADDRESS"},
    {"", 'm', kValue, "WHEN"},
    {"", 'N', kValue, "NAME"},
    {"", 'n'},
    {"", 'o', kValue, "FILE"},
    {"", 'P', kValue, "NAME"},
    {"", 'p', kValue, "N"},
    {"", 'q', kValue, "QUEUE"},
    {"", 'R', kValue, "LIST"},
    {"", 'r', kValue, "y|n"},
    {"", 'S', kValue, "SHELL"},
    {"", 'T', kValue, "TYPE"},
    {"", 't', kValue, "RANGE"},
    {"", 'u', kValue, "USER"},
    {"", 'V'},
    {"", 'v', kValue, "LIST"},
    {"", 'W', kValue, "LIST"},
    {"", 'w', kValue, "DIR"},
    {"", 'X'},
    {"", 'x'},
    {"", 'z'},
};

// Seconds, mm:ss, hh:mm:ss or dd:hh:mm:ss.
std::optional<Duration> parse_walltime(std::string_view text) {
  constexpr std::int64_t kUnits[] = {1, 60, 3600, 86400};
  const std::vector<std::string_view> parts = split(text, ':');
  if (parts.empty() || parts.size() > 4) return std::nullopt;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto part = parse_count(parts[parts.size() - 1 - i], 0, 100'000'000);
    if (!part) return std::nullopt;
    total += *part * kUnits[i];
  }
  return seconds(total);
}

class PbsLine {
 public:
  PbsLine(JobDraft& draft, const Place& place) : draft_(draft), place_(place) {}

  Result<void> apply(const GivenOption& given) {
    const char letter = kPbsOptions[given.index].letter;
    const std::string value(given.text());
    switch (letter) {
      case 'A':
      case 'P':
        return named("account", value, given);
      case 'N':
        return named("job-name", value, given);
      case 'q':
        return named("partition", value, given);
      case 'a':
        return begin(given, value);
      case 'o':
        return named("output", output_name(value, 'o'), given);
      case 'e':
        return named("error", output_name(value, 'e'), given);
      case 'd':
      case 'w':
        return named("chdir", value, given);
      case 'h':
        draft_.hold = true;
        return {};
      case 'j':
        draft_.join_output = value == "oe" || value == "eo" || value == "o";
        return {};
      case 'r':
        draft_.requeue = value != "n";
        return {};
      case 'V':
        return named("export", "ALL", given);
      case 'v':
        for (std::string& variable : split_quoted(value)) {
          if (!variable.empty()) draft_.env.push_back(std::move(variable));
        }
        return {};
      case 'l':
        return resources(given, value);
      case 'W':
        return attributes(given, value);
      case 'J':
      case 't':
        return named("array", value, given.spelled);
      case 'M':
        return named("mail-user", value.substr(0, value.find(',')), given.spelled);
      case 'm':
        return mail(given, value);
      default:
        draft_.ignored.push_back(given.spelled);
        return {};
    }
  }

 private:
  Result<void> begin(const GivenOption& given, std::string_view value) {
    draft_.begin = parse_pbs_date(value, draft_.now.wall);
    if (draft_.begin) return {};
    return bad(given.spelled, value, "a date; it is written [[CC]YY]MMDDhhmm[.SS], as 11241630");
  }

  // PBS' way to name a file in ours: no host before it, its variables as patterns, and in a
  // directory the name that PBS gives.
  static std::string output_name(std::string_view value, char stream) {
    constexpr std::string_view kHostLetters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    const std::size_t colon = value.find(':');
    if (colon != value.npos && value.find_first_not_of(kHostLetters) == colon) {
      value.remove_prefix(colon + 1);
    }
    struct Word {
      std::string_view pbs;
      std::string_view ours;
    };
    constexpr Word kWords[] = {
        {"${PBS_JOBID}", "%j"},    {"$PBS_JOBID", "%j"},         {"${PBS_JOBNAME}", "%x"},
        {"$PBS_JOBNAME", "%x"},    {"${PBS_ARRAY_INDEX}", "%a"}, {"$PBS_ARRAY_INDEX", "%a"},
        {"${PBS_ARRAYID}", "%a"},  {"$PBS_ARRAYID", "%a"},       {"^array_index^", "%a"},
        {"${PBS_O_WORKDIR}/", ""}, {"$PBS_O_WORKDIR/", ""},      {"%", "%%"},
    };
    std::string name;
    while (!value.empty()) {
      const auto* const word =
          std::ranges::find_if(kWords, [&](const Word& w) { return value.starts_with(w.pbs); });
      if (word != std::end(kWords)) {
        name += word->ours;
        value.remove_prefix(word->pbs.size());
      } else {
        name += value.front();
        value.remove_prefix(1);
      }
    }
    if (name.ends_with('/')) name += cat("%x.", stream, "%j");
    return name;
  }

  Result<void> mail(const GivenOption& given, std::string_view letters) {
    std::string types = "NONE";
    for (const char letter : letters) {
      if (letter == 'b') types += ",BEGIN";
      if (letter == 'e') types += ",END";
      if (letter == 'a' || letter == 'f') types += ",FAIL";
    }
    return named("mail-type", types, given.spelled);
  }
  Result<void> named(std::string_view option, std::string value, const GivenOption& given) {
    return apply_named(draft_, option, std::move(value), given.spelled, place_);
  }
  Result<void> named(std::string_view option, std::string_view value, const std::string& spelled) {
    return apply_named(draft_, option, std::string(value), spelled, place_);
  }
  Error refuse(const GivenOption& given) const {
    return Error(ErrorKind::Unsupported,
                 cat(prefix_of(place_), "option ", given.spelled,
                     ": not supported, and without it the job would do something else"));
  }
  Error bad(const std::string& spelled, std::string_view value, std::string_view right) const {
    return Error(ErrorKind::Invalid,
                 cat(prefix_of(place_), "option ", spelled, ": \"", value, "\" is not ", right));
  }

  Result<void> resources(const GivenOption& given, std::string_view list) {
    for (const std::string_view item : split(list, ',')) {
      const std::size_t equals = item.find('=');
      const std::string_view key = trim(item.substr(0, equals));
      const std::string_view value =
          equals == std::string_view::npos ? std::string_view() : trim(item.substr(equals + 1));
      GANGWAY_TRY(resource(key, value, cat(given.spelled, " ", key)));
    }
    return {};
  }

  Result<void> resource(std::string_view key, std::string_view value, const std::string& spelled) {
    if (key == "walltime") {
      const std::optional<Duration> limit = parse_walltime(value);
      if (!limit) return bad(spelled, value, "a run time; it is written 1:30:00 or in seconds");
      draft_.time_limit = limit;
      return {};
    }
    if (key == "nodes" || key == "select") return chunks(value, spelled, key == "select");
    if (key == "ncpus" || key == "mppdepth") return named("cpus-per-task", value, spelled);
    if (key == "procs" || key == "mppwidth") return named("ntasks", value, spelled);
    if (key == "mppnppn" || key == "ppn") return named("ntasks-per-node", value, spelled);
    if (key == "ngpus" || key == "gpus") return named("gpus-per-node", value, spelled);
    if (key == "mem") return memory(value, MemoryPer::Node, spelled);
    if (key == "feature") return named("constraint", value, spelled);
    if (key == "pmem") return memory(value, MemoryPer::Cpu, spelled);
    if (key == "place") {
      if (value.find("excl") != std::string_view::npos) draft_.exclusive = true;
      return {};
    }
    draft_.ignored.push_back(spelled);
    return {};
  }

  // Joined by "+" they are components of a gang: "2:ppn=8:gpus=1" and
  // "2:ncpus=8:mpiprocs=4:mem=16gb".
  Result<void> chunks(std::string_view value, const std::string& spelled, bool is_select) {
    std::size_t index = 0;
    for (const std::string_view one : split(value, '+')) {
      if (index == kMaxComponents) {
        return Error(ErrorKind::Invalid, cat(prefix_of(place_), "option ", spelled, ": more than ",
                                             kMaxComponents, " chunks"));
      }
      JobDraft& component = draft_.component(index++);
      GANGWAY_TRY(PbsLine(component, place_).chunk(one, spelled, is_select));
    }
    return {};
  }

  Result<void> chunk(std::string_view value, const std::string& spelled, bool is_select) {
    std::int64_t cores = 0;
    std::int64_t processes = 0;
    bool first = true;
    std::vector<std::string> properties;  // of nodes: what others call features
    for (const std::string_view part : split(value, ':')) {
      const std::size_t equals = part.find('=');
      const std::string_view key = part.substr(0, equals);
      const std::string_view amount =
          equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
      const std::string named_here = cat(spelled, ":", key);
      if (first) {
        first = false;
        if (parse_count(key, 1, kMaxNodesPerJob)) {
          GANGWAY_TRY(named("nodes", key, spelled));
          continue;
        }
        if (equals == std::string_view::npos && !is_select) {  // a node's name
          GANGWAY_TRY(named("nodelist", key, spelled));
          continue;
        }
        GANGWAY_TRY(named("nodes", "1", spelled));
      }
      if (key == "ncpus" || key == "mpiprocs" || key == "ppn") {
        const auto count = parse_count(amount, 1, 1'000'000);
        if (!count) return bad(named_here, amount, "a whole number above 0");
        (key == "ncpus" ? cores : processes) = *count;
      } else if (key == "ngpus" || key == "gpus") {
        GANGWAY_TRY(named("gpus-per-node", amount, named_here));
      } else if (key == "mem") {
        GANGWAY_TRY(memory(amount, MemoryPer::Node, named_here));
      } else if (equals == std::string_view::npos && !is_select && is_feature_name(key)) {
        properties.emplace_back(key);
      } else {
        draft_.ignored.push_back(named_here);
      }
    }
    if (!properties.empty()) draft_.constraint = join(properties, "&");
    if (processes > 0) draft_.tasks_per_node = static_cast<std::int32_t>(processes);
    if (cores > 0) {
      const std::int64_t each = std::max<std::int64_t>(processes, 1);
      draft_.cpus_per_task = static_cast<std::int32_t>((cores + each - 1) / each);
    }
    return {};
  }

  Result<void> memory(std::string_view value, MemoryPer per, const std::string& spelled) {
    const std::optional<Bytes> amount = parse_bytes(value, Bytes{1});
    if (!amount) return bad(spelled, value, "an amount of memory; it is written 512mb or 4gb");
    draft_.memory = MemoryRequest{*amount, per, draft_.source, spelled};
    return {};
  }

  Result<void> attributes(const GivenOption& given, std::string_view list) {
    const std::size_t equals = list.find('=');
    const std::string_view key = list.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : list.substr(equals + 1);
    const std::string spelled = cat(given.spelled, " ", key);
    if (key == "depend") {
      // PBS' ids carry the server's name: 42.server.
      std::string plain;
      bool skipping = false;
      for (const char c : value) {
        if (c == '.') skipping = true;
        if (c == ':' || c == ',') skipping = false;
        if (!skipping) plain.push_back(c);
      }
      return named("dependency", plain, spelled);
    }
    if (key == "umask") {
      std::uint32_t mask = 0;
      const bool octal = !value.empty() && value.find_first_not_of("01234567") == value.npos;
      for (const char c : value) mask = mask * 8 + static_cast<std::uint32_t>(c - '0');
      if (!octal || value.size() > 4 || mask > 0777) {
        return bad(spelled, value, "a umask; it is written 022");
      }
      draft_.umask = mask;
      return {};
    }
    if (key == "block") {
      draft_.choices.wait = parse_yes_no(value).value_or(false);
      return {};
    }
    draft_.ignored.push_back(spelled);
    return {};
  }

  JobDraft& draft_;
  const Place& place_;
};

}  // namespace

Result<void> apply_pbs(JobDraft& draft, std::span<const std::string> words, const Place& place) {
  GANGWAY_ASSIGN(const ParsedOptions parsed,
                 parse_options(kPbsOptions, words, Operands::Anywhere, place));
  if (!parsed.operands.empty()) {
    return Error(ErrorKind::Invalid,
                 cat(prefix_of(place), "\"", parsed.operands.front(), "\" is not an option"));
  }
  PbsLine line(draft, place);
  for (const GivenOption& given : parsed.options) GANGWAY_TRY(line.apply(given));
  return {};
}

}  // namespace gangway::submit
