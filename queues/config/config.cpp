#include "queues/config/config.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <span>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "queues/config/config_text.hpp"
#include "queues/model/idset.hpp"

namespace gangway::config {

namespace {

constexpr std::string_view kUnlimited = "unlimited";
constexpr std::string_view kNever = "never";

// ---- reading -----------------------------------------------------------------------------------

// The value of a key, where errors about it are noted.
class Value {
 public:
  Value(std::string name, const YAML::Node& node, int line, std::vector<ConfigError>& errors)
      : name_(std::move(name)), node_(node), line_(line), errors_(errors) {}

  void fail(std::string_view message) const { fail_at(node_, message); }

  void read(std::string& out) const {
    if (node_.IsScalar()) {
      out = node_.Scalar();
    } else {
      fail("must be a text");
    }
  }
  void read(bool& out) const {
    if (!node_.IsScalar() || !YAML::convert<bool>::decode(node_, out)) {
      fail("must be true or false");
    }
  }
  void read(std::int64_t& out, std::int64_t low, std::int64_t high) const {
    const auto number =
        node_.IsScalar() ? parse_integer<std::int64_t>(node_.Scalar()) : std::nullopt;
    if (number && *number >= low && *number <= high) {
      out = *number;
    } else {
      fail(cat("must be a whole number from ", low, " to ", high));
    }
  }
  void read(Duration& out, Duration low) const {
    if (!node_.IsScalar()) return fail("must be a time, as 10m");
    const auto duration = read_duration(node_.Scalar());
    if (!duration) return fail(duration.error().message());
    if (*duration < low) return fail(cat("must be at least ", render_exactly(low)));
    out = *duration;
  }
  void read(Bytes& out) const {
    if (!node_.IsScalar()) return fail("must be a size, as 4G");
    const auto amount = read_bytes(node_.Scalar());
    if (!amount) return fail(amount.error().message());
    out = *amount;
  }
  void read_limit(std::optional<Duration>& out) const {
    if (node_.IsScalar() && node_.Scalar() == kUnlimited) {
      out = std::nullopt;
      return;
    }
    Duration limit;
    const std::size_t before = errors_.size();
    read(limit, seconds(1));
    if (errors_.size() == before) out = limit;
  }
  // A list, or one text for a list of one.
  template <typename Take>
  void read_list(const Take& take) const {
    if (node_.IsScalar()) return take(*this, node_.Scalar());
    if (!node_.IsSequence()) return fail("must be a list");
    for (const YAML::Node& item : node_) {
      const Value value(name_, item, line_of(item), errors_);
      if (item.IsScalar()) {
        take(value, item.Scalar());
      } else {
        value.fail("must be a list of texts");
      }
    }
  }
  // Names with amounts, as {gpu: 2}, sorted by name. `read_amount(value, name)` reads one.
  template <typename Amount, typename ReadAmount>
  void read_amounts(std::vector<std::pair<std::string, Amount>>& out,
                    const ReadAmount& read_amount) const {
    if (!node_.IsMap()) return fail("must be names with amounts, as {gpu: 2}");
    out.clear();
    for (const auto& item : node_) {
      const std::string name = item.first.IsScalar() ? item.first.Scalar() : std::string();
      const Value value(cat(name_, ": ", name), item.second, line_of(item.first), errors_);
      if (!is_name(name)) value.fail("names have letters, digits, dots, dashes and underscores");
      Amount amount{};
      read_amount(value, amount);
      if (std::ranges::any_of(out, [&](const auto& known) { return known.first == name; })) {
        value.fail("is given twice");
      }
      out.emplace_back(name, amount);
    }
    std::ranges::sort(out);
  }
  void read(double& out) const {
    if (!node_.IsScalar()) return fail("must be a number");
    const auto weight = read_weight(node_.Scalar());
    if (!weight) return fail(weight.error().message());
    out = *weight;
  }
  void check(const Result<void>& good) const {
    if (!good) fail(good.error().message());
  }
  [[nodiscard]] const YAML::Node& node() const { return node_; }
  [[nodiscard]] int line() const { return line_; }
  [[nodiscard]] std::vector<ConfigError>& errors() const { return errors_; }

  [[nodiscard]] int line_of(const YAML::Node& node) const {
    return node.Mark().line >= 0 && !node.Mark().is_null() ? node.Mark().line + 1 : line_;
  }
  void fail_at(const YAML::Node& node, std::string_view message) const {
    std::string shown;
    if (node.IsScalar()) shown = cat(" \"", node.Scalar(), "\"");
    errors_.push_back({line_of(node), cat(name_, shown, ": ", message)});
  }

 private:
  std::string name_;
  YAML::Node node_;
  int line_;
  std::vector<ConfigError>& errors_;
};

// One key of a section: how it is read, written and explained. An empty writing means "not set".
template <typename Section>
struct Key {
  std::string_view name;
  std::string_view comment;
  void (*read)(const Value&, Section&);
  std::string (*write)(const Section&);
};

std::string in_text(std::int64_t amount) { return cat(amount); }
std::string in_text(double amount) { return render_exactly(amount); }

template <typename Amount>
std::string write_amounts(const std::vector<std::pair<std::string, Amount>>& amounts) {
  std::vector<std::string> parts;
  for (const auto& [name, amount] : amounts) {
    parts.push_back(cat(quoted(name), ": ", in_text(amount)));
  }
  return parts.empty() ? std::string() : cat("{", join(parts, ", "), "}");
}

const Key<SchedulerConfig> kSchedulerKeys[] = {
    {"socket", "where people's programs find it (--socket, GANGWAY_SOCKET)",
     [](const Value& v, SchedulerConfig& s) {
       v.read(s.socket);
       v.check(check_path(s.socket));
     },
     [](const SchedulerConfig& s) { return quoted(s.socket); }},
    {"listen", "address and port for executors",
     [](const Value& v, SchedulerConfig& s) {
       v.read(s.listen);
       v.check(check_host_and_port(s.listen, 0));
     },
     [](const SchedulerConfig& s) { return quoted(s.listen); }},
    {"spool", "directory of the store of jobs",
     [](const Value& v, SchedulerConfig& s) {
       v.read(s.spool);
       v.check(check_path(s.spool));
     },
     [](const SchedulerConfig& s) { return quoted(s.spool); }},
};

const Key<ExecutorConfig> kExecutorKeys[] = {
    {"scheduler", "where the scheduler listens for executors",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.scheduler);
       v.check(check_host_and_port(e.scheduler, 1));
     },
     [](const ExecutorConfig& e) { return quoted(e.scheduler); }},
    {"spool", "directory of the jobs on this node",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.spool);
       v.check(check_path(e.spool));
     },
     [](const ExecutorConfig& e) { return quoted(e.spool); }},
    {"images", "directory of unpacked images; not set: <spool>/images",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.images);
       v.check(check_path(e.images));
     },
     [](const ExecutorConfig& e) { return e.images.empty() ? std::string() : quoted(e.images); }},
    {"scratch", "directory for what jobs write into their images; not set: memory of the job",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.scratch);
       v.check(check_path(e.scratch));
     },
     [](const ExecutorConfig& e) { return e.scratch.empty() ? std::string() : quoted(e.scratch); }},
    {"address", "where the other nodes reach this one; not set: as the scheduler sees it",
     [](const Value& v, ExecutorConfig& e) { v.read(e.address); },
     [](const ExecutorConfig& e) { return e.address.empty() ? std::string() : quoted(e.address); }},
    {"cores", "cores for jobs; not set: what the kernel shows",
     [](const Value& v, ExecutorConfig& e) {
       std::int64_t cores = 0;
       v.read(cores, 1, 1'000'000);
       if (cores > 0) e.cores = cores;
     },
     [](const ExecutorConfig& e) { return e.cores ? cat(*e.cores) : std::string(); }},
    {"memory", "memory for jobs; not set: what the kernel shows",
     [](const Value& v, ExecutorConfig& e) {
       Bytes memory;
       v.read(memory);
       if (memory.value > 0) e.memory = memory;
     },
     [](const ExecutorConfig& e) { return e.memory ? render_exactly(*e.memory) : std::string(); }},
    {"resources", "other things that jobs can ask for by name, as {gpu: 2}",
     [](const Value& v, ExecutorConfig& e) {
       v.read_amounts(e.named, [](const Value& amount, std::int64_t& out) {
         amount.read(out, 1, 1'000'000'000);
       });
     },
     [](const ExecutorConfig& e) { return write_amounts(e.named); }},
    {"cgroup", "the control group below which jobs get theirs",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.cgroup);
       if (e.cgroup.empty() || e.cgroup.starts_with('/') ||
           e.cgroup.find("..") != std::string::npos) {
         v.fail("must be a path below the root of the control groups, without a leading slash");
       }
     },
     [](const ExecutorConfig& e) { return quoted(e.cgroup); }},
    {"waivers",
     "what this node may leave unenforced because its kernel cannot do it (gangway doctor)",
     [](const Value& v, ExecutorConfig& e) {
       e.waivers.clear();
       v.read_list([&e](const Value& item, const std::string& word) {
         if (const std::optional<Waiver> waiver = parse_waiver(word)) {
           e.waivers.insert(*waiver);
           return;
         }
         std::vector<std::string> words;
         for (const Waiver waiver : all_waivers()) words.emplace_back(to_string(waiver));
         const std::string near = nearest(word, words);
         item.fail(near.empty() ? cat("is no waiver; there are ", join(words, ", "))
                                : cat("is no waiver; did you mean \"", near, "\"?"));
       });
     },
     [](const ExecutorConfig& e) {
       std::vector<std::string> words;
       for (const Waiver waiver : e.waivers) words.emplace_back(to_string(waiver));
       return flow_list(words);
     }},
    {"shared_machine",
     "other executors use the same cores: tasks are not pinned, waiting ranks yield",
     [](const Value& v, ExecutorConfig& e) { v.read(e.shared_machine); },
     [](const ExecutorConfig& e) { return std::string(e.shared_machine ? "true" : "false"); }},
};

const Key<MpiConfig> kMpiKeys[] = {
    {"tcp_networks", "networks that Open MPI's TCP may use, as 10.77.0.0/24; not set: its choice",
     [](const Value& v, MpiConfig& m) {
       v.read(m.tcp_networks);
       if (m.tcp_networks.find(' ') != std::string::npos) v.fail("is separated by commas alone");
     },
     [](const MpiConfig& m) {
       return m.tcp_networks.empty() ? std::string() : quoted(m.tcp_networks);
     }},
};

constexpr std::int64_t kMostPoints = 10'000'000;

template <std::int64_t PriorityConfig::*member>
constexpr Key<PriorityConfig> points(std::string_view name, std::string_view comment) {
  return {name, comment,
          [](const Value& v, PriorityConfig& p) { v.read(p.*member, 0, kMostPoints); },
          [](const PriorityConfig& p) { return cat(p.*member); }};
}

const Key<PriorityConfig> kPriorityKeys[] = {
    points<&PriorityConfig::age>("age", "points for a job that has waited for max_age"),
    {"max_age", "from then on waiting gives no more points",
     [](const Value& v, PriorityConfig& p) { v.read(p.max_age, minutes(1)); },
     [](const PriorityConfig& p) { return render_exactly(p.max_age); }},
    points<&PriorityConfig::fair_share>("fair_share",
                                        "points for jobs of the user who has had least"),
    points<&PriorityConfig::size>("size", "points for a job that asks for the whole cluster"),
    points<&PriorityConfig::queue>("queue", "points for jobs of the queue of highest priority"),
    points<&PriorityConfig::qos>("qos", "points for jobs of the QOS of highest priority"),
    {"resources", "points for asking for all there is of a resource, as {memory: 100, gpu: 500}",
     [](const Value& v, PriorityConfig& p) {
       v.read_amounts(p.resources, [](const Value& amount, std::int64_t& out) {
         amount.read(out, 0, kMostPoints);
       });
     },
     [](const PriorityConfig& p) { return write_amounts(p.resources); }},
};

const Key<FairShareConfig> kFairShareKeys[] = {
    {"algorithm", "tree (Fair Tree) or classic",
     [](const Value& v, FairShareConfig& f) {
       std::string word;
       v.read(word);
       if (word != "tree" && word != "classic") v.fail("must be tree or classic");
       f.classic = word == "classic";
     },
     [](const FairShareConfig& f) { return std::string(f.classic ? "classic" : "tree"); }},
    {"half_life", "in which usage counts half; or never",
     [](const Value& v, FairShareConfig& f) {
       if (v.node().IsScalar() && v.node().Scalar() == kNever) {
         f.half_life = {};
       } else {
         v.read(f.half_life, minutes(1));
       }
     },
     [](const FairShareConfig& f) {
       return f.half_life.ns == 0 ? std::string(kNever) : render_exactly(f.half_life);
     }},
    {"weights", "what a second costs: of a core, a GiB of memory, a named resource",
     [](const Value& v, FairShareConfig& f) {
       std::vector<std::pair<std::string, double>> weights;
       v.read_amounts(weights, [](const Value& amount, double& out) { amount.read(out); });
       f.core_weight = 0;
       f.memory_weight = 0;
       f.named_weights.clear();
       for (const auto& [name, weight] : weights) {
         if (name == "cores") {
           f.core_weight = weight;
         } else if (name == "memory") {
           f.memory_weight = weight;
         } else {
           f.named_weights.emplace_back(name, weight);
         }
       }
     },
     [](const FairShareConfig& f) {
       std::vector<std::pair<std::string, double>> weights{{"cores", f.core_weight},
                                                           {"memory", f.memory_weight}};
       weights.insert(weights.end(), f.named_weights.begin(), f.named_weights.end());
       return write_amounts(weights);
     }},
};

std::string write_limit(const std::optional<Duration>& limit) {
  return limit ? render_exactly(*limit) : std::string(kUnlimited);
}

const Key<Queue> kQueueKeys[] = {
    {"name", "",
     [](const Value& v, Queue& q) {
       v.read(q.name.value);
       if (!is_name(q.name.value)) {
         v.fail("names have 1 to 64 letters, digits, dots, dashes and underscores");
       }
     },
     [](const Queue& q) { return quoted(q.name.value); }},
    {"nodes", "the nodes it may use, as n[01-08]; not set: all",
     [](const Value& v, Queue& q) {
       q.nodes.clear();
       v.read_list([&q](const Value& item, const std::string& text) {
         auto names = parse_host_list(text);
         if (!names) return item.fail(names.error().message());
         q.nodes.insert(q.nodes.end(), names->begin(), names->end());
       });
     },
     [](const Queue& q) {
       return q.nodes.empty() ? std::string() : quoted(render_host_list(q.nodes));
     }},
    {"priority", "the queue with the highest gives its jobs all points for queues",
     [](const Value& v, Queue& q) { v.read(q.priority, -1'000'000'000, 1'000'000'000); },
     [](const Queue& q) { return cat(q.priority); }},
    {"default_limit", "time limit of a job that names none",
     [](const Value& v, Queue& q) { v.read_limit(q.default_limit); },
     [](const Queue& q) { return write_limit(q.default_limit); }},
    {"max_limit", "a job that asks for more is refused",
     [](const Value& v, Queue& q) { v.read_limit(q.max_limit); },
     [](const Queue& q) { return write_limit(q.max_limit); }},
    {"memory_per_core", "memory of a job that names none, for each of its cores",
     [](const Value& v, Queue& q) { v.read(q.default_memory_per_core); },
     [](const Queue& q) { return render_exactly(q.default_memory_per_core); }},
    {"default", "the queue of a job that names none",
     [](const Value& v, Queue& q) { v.read(q.is_default); },
     [](const Queue& q) { return std::string(q.is_default ? "true" : "false"); }},
};

const Key<Config> kTopKeys[] = {
    {"cluster", "the name of the cluster",
     [](const Value& v, Config& c) {
       v.read(c.cluster);
       if (!is_name(c.cluster)) {
         v.fail("names have 1 to 64 letters, digits, dots, dashes and underscores");
       }
     },
     [](const Config& c) { return quoted(c.cluster); }},
    {"key_file", "the cluster's secret, readable by the daemons alone",
     [](const Value& v, Config& c) {
       v.read(c.key_file);
       v.check(check_path(c.key_file));
     },
     [](const Config& c) { return quoted(c.key_file); }},
    {"lease", "a job that may be run again is given up on a node that has been silent this long",
     [](const Value& v, Config& c) { v.read(c.lease, seconds(1)); },
     [](const Config& c) { return render_exactly(c.lease); }},
    {"heartbeat", "executors report at least this often",
     [](const Value& v, Config& c) { v.read(c.heartbeat, milliseconds(100)); },
     [](const Config& c) { return render_exactly(c.heartbeat); }},
    {"prepare_timeout", "for all nodes of a job to get ready, images included",
     [](const Value& v, Config& c) { v.read(c.prepare_timeout, seconds(1)); },
     [](const Config& c) { return render_exactly(c.prepare_timeout); }},
    {"kill_grace", "between TERM and KILL when a job is ended",
     [](const Value& v, Config& c) { v.read(c.kill_grace, Duration{}); },
     [](const Config& c) { return render_exactly(c.kill_grace); }},
    {"allow_root_jobs", "whether root may submit jobs",
     [](const Value& v, Config& c) { v.read(c.allow_root_jobs); },
     [](const Config& c) { return std::string(c.allow_root_jobs ? "true" : "false"); }},
    {"backfill", "fcfs, easy, easy:N, easy-sjbf, conservative or conservative-replan",
     [](const Value& v, Config& c) {
       std::string name;
       v.read(name);
       const auto policy = parse_backfill_policy(name);
       if (!policy) return v.fail(policy.error().message());
       const auto bound = c.backfill.starvation_bound;
       c.backfill = *policy;
       c.backfill.starvation_bound = bound;
     },
     [](const Config& c) { return to_string(c.backfill); }},
    {"starvation_bound",
     "easy-sjbf: a job that has waited so long is passed by shorter ones no more",
     [](const Value& v, Config& c) { v.read_limit(c.backfill.starvation_bound); },
     [](const Config& c) { return write_limit(c.backfill.starvation_bound); }},
    {"operators", "users who may drain nodes and act on the jobs of others",
     [](const Value& v, Config& c) {
       c.operators.clear();
       v.read_list([&c](const Value& item, const std::string& user) {
         if (user.empty()) item.fail("must be names of users");
         c.operators.push_back(user);
       });
     },
     [](const Config& c) { return flow_list(c.operators); }},
    {"qos", "qualities of service and their priorities, as {normal: 0, urgent: 100}",
     [](const Value& v, Config& c) {
       v.read_amounts(c.qos, [](const Value& amount, std::int64_t& out) {
         amount.read(out, -1'000'000'000, 1'000'000'000);
       });
     },
     [](const Config& c) { return write_amounts(c.qos); }},
};

// Where a key belongs that stands in the wrong section.
std::string section_of(std::string_view name) {
  const auto has = [name](const auto& keys) {
    return std::ranges::any_of(keys, [name](const auto& key) { return key.name == name; });
  };
  if (has(kTopKeys)) return "the top of the file";
  if (has(kSchedulerKeys)) return "scheduler:";
  if (has(kExecutorKeys)) return "executor:";
  if (has(kMpiKeys)) return "mpi:";
  if (has(kPriorityKeys)) return "priority:";
  if (has(kFairShareKeys)) return "fair_share:";
  if (has(kQueueKeys)) return "a queue of queues:";
  return {};
}

// Calls visit(name, value) for each key of the map `node` once; `where` names it for people.
template <typename Visit>
void for_each_key(const YAML::Node& node,
                  std::string_view where,
                  int line,
                  std::vector<ConfigError>& errors,
                  const Visit& visit) {
  if (!node.IsMap()) {
    errors.push_back({line, cat(where, ": must be keys with values")});
    return;
  }
  std::map<std::string, int> seen;
  for (const auto& item : node) {
    const int at = item.first.Mark().line + 1;
    if (!item.first.IsScalar()) {
      errors.push_back({at, cat(where, ": a key must be a word")});
      continue;
    }
    const std::string& name = item.first.Scalar();
    if (const auto [first, is_new] = seen.emplace(name, at); !is_new) {
      errors.push_back({at, cat(name, ": is set already in line ", first->second)});
      continue;
    }
    if (item.second.IsNull()) {
      errors.push_back({at, cat(name, ": has no value")});
      continue;
    }
    visit(name, Value(name, item.second, at, errors));
  }
}

void unknown_key(const std::string& name,
                 const std::vector<std::string>& known,
                 const Value& value) {
  const std::string near = nearest(name, known);
  const std::string section = section_of(name);
  std::string message = cat("unknown key \"", name, "\"");
  if (!near.empty()) {
    message += cat("; did you mean \"", near, "\"?");
  } else if (!section.empty()) {
    message += cat("; it belongs to ", section);
  }
  value.errors().push_back({value.line(), std::move(message)});
}

template <typename Section>
bool read_key(std::span<const Key<Section>> keys,
              const std::string& name,
              const Value& value,
              Section& out) {
  for (const Key<Section>& key : keys) {
    if (key.name == name) {
      key.read(value, out);
      return true;
    }
  }
  return false;
}

template <typename Section>
std::vector<std::string> names_of(std::span<const Key<Section>> keys) {
  std::vector<std::string> names;
  for (const Key<Section>& key : keys) names.emplace_back(key.name);
  return names;
}

template <typename Section>
void read_section(std::span<const Key<Section>> keys,
                  const std::string& where,
                  const Value& section,
                  Section& out) {
  for_each_key(section.node(), where, section.line(), section.errors(),
               [&](const std::string& name, const Value& value) {
                 if (!read_key(keys, name, value, out)) unknown_key(name, names_of(keys), value);
               });
}

void read_queues(const Value& list, std::vector<Queue>& queues) {
  std::vector<ConfigError>& errors = list.errors();
  if (!list.node().IsSequence()) return list.fail("must be a list of queues");
  std::map<QueueName, int> seen;
  int default_line = 0;
  for (const YAML::Node& item : list.node()) {
    const int line = list.line_of(item);
    Queue queue;
    const Value value("queue", item, line, errors);
    read_section<Queue>(kQueueKeys, "a queue", value, queue);
    if (!item.IsMap()) continue;
    if (queue.name.empty()) {
      errors.push_back({line, "a queue needs a name"});
    } else if (const auto [first, is_new] = seen.emplace(queue.name, line); !is_new) {
      errors.push_back(
          {line, cat("queue ", queue.name.value, ": is there already in line ", first->second)});
    }
    if (queue.default_limit && queue.max_limit && *queue.default_limit > *queue.max_limit) {
      errors.push_back(
          {line, cat("queue ", queue.name.value, ": default_limit is above max_limit")});
    }
    if (queue.is_default && default_line != 0) {
      errors.push_back({line, cat("queue ", queue.name.value,
                                  ": the default is already that of line ", default_line)});
    }
    if (queue.is_default) default_line = line;
    queues.push_back(std::move(queue));
  }
}

void read_top(const YAML::Node& root, ParsedConfig& parsed) {
  Config& config = parsed.config;
  int heartbeat_line = 0;
  for_each_key(root, "the configuration", 1, parsed.errors,
               [&](const std::string& name, const Value& value) {
                 if (name == "lease" || name == "heartbeat") heartbeat_line = value.line();
                 if (name == "scheduler") {
                   read_section<SchedulerConfig>(kSchedulerKeys, name, value, config.scheduler);
                 } else if (name == "executor") {
                   read_section<ExecutorConfig>(kExecutorKeys, name, value, config.executor);
                 } else if (name == "mpi") {
                   read_section<MpiConfig>(kMpiKeys, name, value, config.mpi);
                 } else if (name == "priority") {
                   read_section<PriorityConfig>(kPriorityKeys, name, value, config.priority);
                 } else if (name == "fair_share") {
                   read_section<FairShareConfig>(kFairShareKeys, name, value, config.fair_share);
                 } else if (name == "queues") {
                   read_queues(value, config.queues);
                 } else if (!read_key<Config>(kTopKeys, name, value, config)) {
                   auto known = names_of<Config>(kTopKeys);
                   known.insert(known.end(), {"scheduler", "executor", "mpi", "priority",
                                              "fair_share", "queues"});
                   unknown_key(name, known, value);
                 }
               });
  if (config.lease < config.heartbeat * 3) {
    parsed.errors.push_back({heartbeat_line, cat("lease ", render_exactly(config.lease),
                                                 ": must be at least three heartbeats of ",
                                                 render_exactly(config.heartbeat))});
  }
}

void complete_queues(std::vector<Queue>& queues) {
  if (queues.empty()) {
    Queue batch;
    batch.name = QueueName("batch");
    queues.push_back(std::move(batch));
  }
  if (std::ranges::none_of(queues, &Queue::is_default)) queues.front().is_default = true;
}

// ---- writing -----------------------------------------------------------------------------------

template <typename Section>
void write_keys(std::span<const Key<Section>> keys,
                const Section& section,
                std::string_view indent,
                std::string_view first_indent,
                std::string& out) {
  std::string_view lead = first_indent;
  for (const Key<Section>& key : keys) {
    const std::string value = key.write(section);
    const bool is_set = !value.empty();
    if (!key.comment.empty()) out += cat(indent, "# ", key.comment, "\n");
    out += cat(is_set ? lead : indent, is_set ? "" : "# ", key.name, ":", is_set ? " " : "", value,
               "\n");
    if (is_set) lead = indent;
  }
}

}  // namespace

ParsedConfig parse_config(std::string_view yaml) {
  ParsedConfig parsed;
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(yaml));
    if (documents.size() > 1) parsed.errors.push_back({0, "the file has more than one document"});
    if (!documents.empty() && !documents.front().IsNull()) read_top(documents.front(), parsed);
  } catch (const YAML::Exception& failure) {
    // Of the text itself; what the text says is asked for without exceptions.
    parsed.errors.push_back({failure.mark.is_null() ? 0 : failure.mark.line + 1, failure.msg});
  }
  complete_queues(parsed.config.queues);
  std::ranges::stable_sort(parsed.errors, {}, &ConfigError::line);
  return parsed;
}

Result<Config> load_config(const std::string& path) {
  const Result<std::string> text = read_small_file(path, kMaxConfigBytes);
  if (!text) return text.error().with_context("read the configuration");
  ParsedConfig parsed = parse_config(*text);
  if (parsed.errors.empty()) return std::move(parsed.config);
  const ConfigError& first = parsed.errors.front();
  std::string message = first.line == 0 ? cat(path, ": ", first.message)
                                        : cat(path, ":", first.line, ": ", first.message);
  if (parsed.errors.size() > 1) {
    message += cat(" (and ", parsed.errors.size() - 1, " more; jctl check ", path, " shows all)");
  }
  return Error(ErrorKind::Invalid, std::move(message));
}

std::string render_config(const Config& config) {
  std::string out =
      "# Gangway. Times: 500ms, 45s, 10m, 1h30m, 2d. Sizes: 512M, 4G, in powers of 1024.\n"
      "# A key in a comment is not set. `jctl check <file>` shows all errors of a file.\n\n";
  write_keys<Config>(kTopKeys, config, "", "", out);
  out += "\n# The scheduler, jschedd.\nscheduler:\n";
  write_keys<SchedulerConfig>(kSchedulerKeys, config.scheduler, "  ", "  ", out);
  out += "\n# The executor of each node, jexecd.\nexecutor:\n";
  write_keys<ExecutorConfig>(kExecutorKeys, config.executor, "  ", "  ", out);
  // A section whose keys are all comments would have no value.
  out += cat("\n# MPI programs.\n", config.mpi.tcp_networks.empty() ? "# mpi:\n" : "mpi:\n");
  write_keys<MpiConfig>(kMpiKeys, config.mpi, "  ", "  ", out);
  out += "\n# Points for the order of the queue.\npriority:\n";
  write_keys<PriorityConfig>(kPriorityKeys, config.priority, "  ", "  ", out);
  out += "\n# What the parts of users and accounts are reckoned from.\nfair_share:\n";
  write_keys<FairShareConfig>(kFairShareKeys, config.fair_share, "  ", "  ", out);
  if (!config.queues.empty())
    out += "\n# Where jobs wait. Without any there is one, \"batch\".\nqueues:\n";
  for (const Queue& queue : config.queues) {
    write_keys<Queue>(kQueueKeys, queue, "    ", "  - ", out);
  }
  return out;
}

}  // namespace gangway::config
