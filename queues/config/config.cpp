#include "queues/config/config.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <span>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "queues/config/config_text.hpp"
#include "queues/config/keys.hpp"
#include "queues/config/value.hpp"

namespace gangway::config {

namespace {

// ---- reading -----------------------------------------------------------------------------------

// Where a key belongs that stands in the wrong section.
std::string section_of(std::string_view name) {
  const auto has = [name](const auto& keys) {
    return std::ranges::any_of(keys, [name](const auto& key) { return key.name == name; });
  };
  if (has(cluster_keys())) return "the top of the file";
  if (has(scheduler_keys())) return "scheduler:";
  if (has(executor_keys())) return "executor:";
  if (has(mpi_keys())) return "mpi:";
  if (has(balancer_keys())) return "balancer:";
  if (has(priority_keys())) return "priority:";
  if (has(fair_share_keys())) return "fair_share:";
  if (has(nodes_keys())) return "an entry of nodes:";
  if (has(queue_keys())) return "a queue of queues:";
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

void read_nodes(const Value& list, std::vector<NodesConfig>& nodes) {
  if (!list.node().IsSequence()) {
    return list.fail("must be a list, as - {names: n[01-04], features: [ib]}");
  }
  for (const YAML::Node& item : list.node()) {
    const int line = list.line_of(item);
    NodesConfig entry;
    read_section<NodesConfig>(nodes_keys(), "an entry of nodes",
                              Value("nodes", item, line, list.errors()), entry);
    if (item.IsMap() && entry.names.empty()) {
      list.errors().push_back({line, "an entry of nodes needs names"});
    }
    nodes.push_back(std::move(entry));
  }
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
    read_section<Queue>(queue_keys(), "a queue", value, queue);
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
                   read_section<SchedulerConfig>(scheduler_keys(), name, value, config.scheduler);
                 } else if (name == "executor") {
                   read_section<ExecutorConfig>(executor_keys(), name, value, config.executor);
                 } else if (name == "mpi") {
                   read_section<MpiConfig>(mpi_keys(), name, value, config.mpi);
                 } else if (name == "balancer") {
                   read_section<BalancerConfig>(balancer_keys(), name, value, config.balancer);
                 } else if (name == "priority") {
                   read_section<PriorityConfig>(priority_keys(), name, value, config.priority);
                 } else if (name == "fair_share") {
                   read_section<FairShareConfig>(fair_share_keys(), name, value, config.fair_share);
                 } else if (name == "nodes") {
                   read_nodes(value, config.nodes);
                 } else if (name == "queues") {
                   read_queues(value, config.queues);
                 } else if (!read_key<Config>(cluster_keys(), name, value, config)) {
                   auto known = names_of<Config>(cluster_keys());
                   known.insert(known.end(), {"scheduler", "executor", "mpi", "balancer",
                                              "priority", "fair_share", "nodes", "queues"});
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
  write_keys<Config>(cluster_keys(), config, "", "", out);
  out += "\n# The scheduler, jschedd.\nscheduler:\n";
  write_keys<SchedulerConfig>(scheduler_keys(), config.scheduler, "  ", "  ", out);
  out += "\n# The executor of each node, jexecd.\nexecutor:\n";
  write_keys<ExecutorConfig>(executor_keys(), config.executor, "  ", "  ", out);
  // A section whose keys are all comments would have no value.
  out += cat("\n# MPI programs.\n", config.mpi.tcp_networks.empty() ? "# mpi:\n" : "mpi:\n");
  write_keys<MpiConfig>(mpi_keys(), config.mpi, "  ", "  ", out);
  out += "\n# The way to services, jbalancerd.\nbalancer:\n";
  write_keys<BalancerConfig>(balancer_keys(), config.balancer, "  ", "  ", out);
  out += "\n# Points for the order of the queue.\npriority:\n";
  write_keys<PriorityConfig>(priority_keys(), config.priority, "  ", "  ", out);
  out += "\n# What the parts of users and accounts are reckoned from.\nfair_share:\n";
  write_keys<FairShareConfig>(fair_share_keys(), config.fair_share, "  ", "  ", out);
  out += "\n# What some nodes have beside that, by name, in a file that all share.\n";
  out +=
      config.nodes.empty() ? "# nodes:\n#   - names: n[01-04]\n#     features: [ib]\n" : "nodes:\n";
  for (const NodesConfig& entry : config.nodes) {
    std::string_view lead = "  - ";
    for (const Key<NodesConfig>& key : nodes_keys()) {
      const std::string value = key.write(entry);
      if (value.empty()) continue;
      out += cat(lead, key.name, ": ", value, "\n");
      lead = "    ";
    }
  }
  if (!config.queues.empty())
    out += "\n# Where jobs wait. Without any there is one, \"batch\".\nqueues:\n";
  for (const Queue& queue : config.queues) {
    write_keys<Queue>(queue_keys(), queue, "    ", "  - ", out);
  }
  return out;
}

}  // namespace gangway::config
