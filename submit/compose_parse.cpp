#include <algorithm>
#include <set>

#include "queues/base/text.hpp"
#include "submit/job_values.hpp"
#include "submit/service_parse.hpp"
#include "submit/yaml_fields.hpp"

namespace gangway::submit {
namespace {

// "1m30s", "10s", "500ms", as Compose writes times. nullopt: none.
std::optional<Duration> parse_compose_time(std::string_view text) {
  constexpr Duration kLongest = hours(24) * 366;
  Duration total;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
    const auto number = parse_integer<std::int64_t>(text.substr(0, digits));
    text.remove_prefix(digits);
    if (!number) return std::nullopt;
    static const std::vector<std::pair<std::string_view, Duration>> kUnits = {
        {"us", microseconds(1)},
        {"ms", milliseconds(1)},
        {"h", hours(1)},
        {"m", minutes(1)},
        {"s", seconds(1)}};
    const auto unit = std::ranges::find_if(
        kUnits, [&](const auto& known) { return text.starts_with(known.first); });
    if (unit == kUnits.end()) return std::nullopt;
    text.remove_prefix(unit->first.size());
    if (*number > (kLongest - total).ns / unit->second.ns) return std::nullopt;
    total = total + unit->second * *number;
  }
  return total;
}

class ComposeParser {
 public:
  ComposeParser(std::string_view directory, const std::map<std::string, std::string>& variables)
      : directory_(directory), variables_(variables) {}

  ServiceFile parse(std::string_view text) {
    const std::vector<YAML::Node> documents = load_yaml(text, errors_);
    if (documents.size() > 1) errors_.note(documents[1], "", "there is more than one document");
    if (documents.size() == 1) take_document(documents.front());
    file_.errors = errors_.take();
    return std::move(file_);
  }

 private:
  void take_document(const YAML::Node& document) {
    expand_all(document);
    errors_.read_scalars_by([this](const std::string& written) { return value(written); });
    YamlFields fields(document, "", errors_);
    fields.accept("version");
    fields.accept("name");
    for (const auto& entry : fields.node()) {
      // Extensions: places for anchors, which mean nothing by themselves.
      if (entry.first.IsScalar() && entry.first.Scalar().starts_with("x-")) {
        fields.accept(entry.first.Scalar());
      }
    }
    for (const char* key : {"volumes", "networks", "secrets", "configs"}) {
      fields.refuse(
          key,
          "is not there; directories are mounted, and services are reached where their ports "
          "listen");
    }
    const YAML::Node services = fields.need("services");
    if (is_absent(services)) return;
    if (!services.IsMap()) {
      errors_.note(services, "services", "must be a mapping");
      return;
    }
    for (const auto& entry : services) {
      const std::string service = read_text(entry.first, "services", errors_);
      take_service(service, entry.second, cat("services.", service));
    }
    check_dependencies();
  }

  // $NAME, ${NAME}, ${NAME:-default}, ${NAME-default}; "$$" is one '$'.
  std::string expand(const YAML::Node& node) {
    const std::string& text = node.Scalar();
    std::string out;
    const auto is_name = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '$') {
        out += text[at];
        continue;
      }
      if (at + 1 < text.size() && text[at + 1] == '$') {
        out += '$';
        ++at;
        continue;
      }
      const bool braces = at + 1 < text.size() && text[at + 1] == '{';
      std::size_t end = at + (braces ? 2 : 1);
      std::string name;
      while (end < text.size() && is_name(text[end])) name += text[end++];
      std::optional<std::string> otherwise;
      bool empty_counts = true;
      if (braces) {
        const std::size_t close = text.find('}', end);
        std::string_view rest = std::string_view(text).substr(end, close - end);
        if (rest.starts_with(':')) {
          empty_counts = false;
          rest.remove_prefix(1);
        }
        if (rest.starts_with('-')) {
          otherwise = rest.substr(1);
          if (rest.find('$') != std::string_view::npos) {
            errors_.note(node, "", cat(text, ": a default holds no other variable"));
          }
        } else if (close == std::string::npos || !rest.empty() || !empty_counts) {
          name.clear();
        }
        end = close == std::string::npos ? text.size() : close + 1;
      }
      const auto found = variables_.find(name);
      if (name.empty()) {
        errors_.note(node, "", cat(text, ": a '$' that is meant is written $$"));
      } else if (found != variables_.end() && (empty_counts || !found->second.empty())) {
        out += found->second;
      } else if (otherwise) {
        out += *otherwise;
      } else {
        errors_.note(node, "", cat("the variable ", name, " is not set"));
        out += text.substr(at, end - at);
      }
      at = end - 1;
    }
    return out;
  }

  void expand_all(const YAML::Node& node) {
    if (node.IsScalar() && node.Scalar().find('$') != std::string::npos) {
      const std::string text = expand(node);
      expanded_.emplace(node.Scalar(), text);
      return;
    }
    if (node.IsSequence()) {
      for (std::size_t i = 0; i < node.size(); ++i) expand_all(node[i]);
    }
    if (node.IsMap()) {
      for (const auto& entry : node) expand_all(entry.second);
    }
  }
  // Assigning to nodes would lose the lines they are on; so what was read is looked up.
  [[nodiscard]] std::string value(const std::string& text) const {
    const auto found = expanded_.find(text);
    return found == expanded_.end() ? text : found->second;
  }
  [[nodiscard]] std::vector<std::string> values(std::vector<std::string> texts) const {
    for (std::string& text : texts) text = value(text);
    return texts;
  }

  [[nodiscard]] std::string absolute(const std::string& path) const {
    if (path.starts_with('/')) return path;
    std::string_view rest = path;
    while (rest.starts_with("./")) rest.remove_prefix(2);
    return rest == "." || rest.empty() ? directory_ : cat(directory_, "/", rest);
  }

  // A list of words, or a line that is split as a shell does.
  std::vector<std::string> words(YamlFields& fields, std::string_view key) {
    const YAML::Node node = fields.take(key);
    if (is_absent(node)) return {};
    if (node.IsSequence()) return values(read_texts(node, fields.path_of(key), errors_));
    const std::string line = value(read_text(node, fields.path_of(key), errors_));
    std::vector<std::string> out;
    std::string word;
    bool open = false;
    char quote = '\0';
    for (std::size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      if (quote == '\0' && (c == ' ' || c == '\t' || c == '\n')) {
        if (open) out.push_back(std::exchange(word, ""));
        open = false;
        continue;
      }
      open = true;
      if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
        word += line[++i];
      } else if (quote == '\0' && (c == '"' || c == '\'')) {
        quote = c;
      } else if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    }
    if (quote != '\0') errors_.note(node, fields.path_of(key), "a quote is not closed");
    if (open) out.push_back(std::move(word));
    return out;
  }

  // {A: 1}, or ["A=1"].
  std::vector<std::pair<std::string, std::string>> pairs(YamlFields& fields, std::string_view key) {
    std::vector<std::pair<std::string, std::string>> out;
    const YAML::Node node = fields.take(key);
    if (is_absent(node)) return out;
    const auto pass_on = [&](const std::string& name) {
      const auto found = variables_.find(name);
      if (found != variables_.end()) out.emplace_back(name, found->second);
    };
    if (node.IsMap()) {
      for (const auto& entry : node) {
        const std::string name = read_text(entry.first, fields.path_of(key), errors_);
        if (entry.second.IsNull()) {
          pass_on(name);
        } else {
          out.emplace_back(name, value(read_text(entry.second, fields.path_of(key), errors_)));
        }
      }
      return out;
    }
    for (const std::string& written : read_texts(node, fields.path_of(key), errors_)) {
      const std::string text = value(written);
      const std::size_t equals = text.find('=');
      const std::string name = text.substr(0, equals);
      if (equals == std::string::npos) {
        pass_on(name);
      } else {
        out.emplace_back(name, text.substr(equals + 1));
      }
    }
    return out;
  }

  std::optional<Duration> time(YamlFields& fields, std::string_view key) {
    const YAML::Node node = fields.take(key);
    if (is_absent(node)) return std::nullopt;
    const auto parsed = parse_compose_time(value(read_text(node, fields.path_of(key), errors_)));
    if (!parsed) errors_.note(node, fields.path_of(key), "must be a time, as 30s");
    return parsed;
  }

  void take_service(const std::string& name, const YAML::Node& node, const std::string& path) {
    const std::size_t errors_before = errors_.size();
    YamlFields fields(node, path, errors_);
    ServiceSpec spec;
    spec.name = name;
    spec.selector = {{"service", name}};
    ReplicaTemplate& replica = spec.replica;
    for (auto& [key, label] : pairs(fields, "labels")) replica.labels[key] = label;
    replica.labels["service"] = name;
    replica.image = value(fields.text("image"));
    if (const YAML::Node build = fields.take("build"); !is_absent(build)) {
      replica.build = take_build(build, fields.path_of("build"));
    }
    if (replica.image.empty() && !replica.build) {
      errors_.note(node, path, "needs an image or a build");
    }
    if (const YAML::Node written = fields.take("entrypoint"); !is_absent(written)) {
      auto entrypoint = words(fields, "entrypoint");
      if (entrypoint.empty()) {
        errors_.note(written, fields.path_of("entrypoint"), "is empty; name the program");
      }
      replica.entrypoint = std::move(entrypoint);
    }
    replica.arguments = words(fields, "command");
    replica.env = pairs(fields, "environment");
    replica.workdir = value(fields.text("working_dir"));
    fields.refuse("hostname", "a replica has the name of its node");
    replica.stop_signal = value(fields.text("stop_signal"));
    if (!replica.stop_signal.empty() && !parse_signal(replica.stop_signal)) {
      errors_.note(fields.take("stop_signal"), fields.path_of("stop_signal"),
                   cat("there is no signal ", replica.stop_signal));
    }
    replica.kill_grace = time(fields, "stop_grace_period").value_or(seconds(10));
    fields.accept("container_name");  // replicas are named after their service
    take_ports(fields, name, replica);
    fields.each("volumes", [&](const YAML::Node& item, const std::string& item_path) {
      take_volume(item, item_path, replica);
    });
    take_dependencies(fields, spec);
    if (const YAML::Node check = fields.take("healthcheck"); !is_absent(check)) {
      take_healthcheck(check, fields.path_of("healthcheck"), replica);
    }
    constexpr RestartPolicy kRestarts[] = {RestartPolicy::No, RestartPolicy::Always,
                                           RestartPolicy::OnFailure, RestartPolicy::Always};
    spec.restart =
        kRestarts[fields.word("restart", {"no", "always", "on-failure", "unless-stopped"})];
    if (const YAML::Node deploy = fields.take("deploy"); !is_absent(deploy)) {
      take_deploy(deploy, fields.path_of("deploy"), spec);
    }
    if (const auto good = validate(spec); !good && errors_.size() == errors_before) {
      errors_.note(node, path, good.error().message());
    }
    file_.services.push_back(std::move(spec));
  }

  ReplicaTemplate::Build take_build(const YAML::Node& node, const std::string& path) {
    if (node.IsScalar())
      return {.context = absolute(value(node.Scalar())), .dockerfile = "Dockerfile"};
    YamlFields fields(node, path, errors_);
    ReplicaTemplate::Build build;
    build.context = absolute(value(fields.need_text("context")));
    build.dockerfile = value(fields.text("dockerfile"));
    if (build.dockerfile.empty()) build.dockerfile = "Dockerfile";
    build.target = value(fields.text("target"));
    for (auto& [name, argument] : pairs(fields, "args")) build.args[name] = argument;
    return build;
  }

  static std::optional<std::int32_t> port_number(std::string_view text) {
    const auto port = parse_integer<std::int32_t>(text);
    if (text.starts_with('0')) return std::nullopt;  // of eights to some
    return port && *port >= 1 && *port <= 65535 ? port : std::nullopt;
  }

  // "8080:80", "127.0.0.1:8080:80", "80", {target: 80, published: 8080}; expose: 80.
  void take_ports(YamlFields& fields, const std::string& name, ReplicaTemplate& replica) {
    Endpoint endpoint;
    endpoint.name = name;
    endpoint.selector = {{"service", name}};
    Endpoint inside = endpoint;
    inside.name = cat(name, "-inside");
    const std::size_t errors_before = errors_.size();
    const auto add_to = [&](std::int32_t published, std::int32_t target, Endpoint& to) {
      const bool known = std::ranges::any_of(
          replica.ports, [&](const ContainerPort& port) { return port.port == target; });
      if (!known) replica.ports.push_back({.name = "", .port = target});
      const Endpoint::Port port{.name = "", .port = published, .target = cat(target)};
      // At the same port outside it is reached from everywhere.
      for (const Endpoint* const one : {&endpoint, &inside}) {
        if (&to == &inside && std::ranges::find(one->ports, port) != one->ports.end()) return;
      }
      to.ports.push_back(port);
    };
    const auto add = [&](std::int32_t published, std::int32_t target) {
      add_to(published, target, endpoint);
    };
    fields.each("ports", [&](const YAML::Node& item, const std::string& path) {
      endpoint.reach = Endpoint::Reach::LoadBalancer;
      if (item.IsMap()) {
        YamlFields port(item, path, errors_);
        static_cast<void>(port.need("target"));
        const std::int32_t target = port.number("target", 1, 1, 65535);
        const std::int32_t published = port.number("published", target, 1, 65535);
        port.word("protocol", {"tcp"});
        port.word("mode", {"ingress"});
        add(published, target);
        return;
      }
      std::string text = value(read_text(item, path, errors_));
      if (text.ends_with("/tcp")) text.resize(text.size() - 4);
      const std::size_t last = text.rfind(':');
      const auto target = port_number(text.substr(last == std::string::npos ? 0 : last + 1));
      std::string before =
          last == std::string::npos ? cat(target.value_or(0)) : text.substr(0, last);
      if (const std::size_t host = before.rfind(':'); host != std::string::npos) {
        errors_.note(item, path, cat(text, ": the address is the cluster's; give PORT:PORT"));
        return;
      }
      const auto published = port_number(before);
      if (!target || !published) {
        errors_.note(item, path, cat(text, ": must be PORT or PORT:PORT"));
        return;
      }
      add(*published, *target);
    });
    fields.each("expose", [&](const YAML::Node& item, const std::string& path) {
      const auto port = port_number(value(read_text(item, path, errors_)));
      if (!port) {
        errors_.note(item, path, "must be a port");
        return;
      }
      add_to(*port, *port, inside);
    });
    const bool seen_before = errors_.size() != errors_before;
    // What is exposed is for the other services, whatever else is published.
    if (endpoint.ports.empty()) inside.name = name;
    for (Endpoint* const one : {&endpoint, &inside}) {
      if (one->ports.empty()) continue;
      if (const auto good = validate(*one); !good && !seen_before) {
        errors_.note(fields.node(), fields.path_of("ports"), good.error().message());
      }
      file_.endpoints.push_back(std::move(*one));
    }
  }

  void take_volume(const YAML::Node& node, const std::string& path, ReplicaTemplate& replica) {
    constexpr std::string_view kOnlyBinds =
        "volumes are directories or files of this machine: ./PATH:/PATH";
    if (node.IsMap()) {
      YamlFields fields(node, path, errors_);
      static_cast<void>(fields.need("type"));
      fields.word("type", {"bind"});
      ServiceMount mount;
      mount.source = absolute(value(fields.need_text("source")));
      mount.target = value(fields.need_text("target"));
      mount.read_only = fields.flag("read_only", false);
      replica.mounts.push_back(std::move(mount));
      return;
    }
    const std::string text = value(read_text(node, path, errors_));
    const std::vector<std::string_view> parts = split(text, ':');
    if (parts.size() < 2 || parts.size() > 3 ||
        (parts.size() == 3 && parts[2] != "ro" && parts[2] != "rw") ||
        (!parts[0].starts_with('/') && !parts[0].starts_with('.'))) {
      errors_.note(node, path, cat(text, ": ", kOnlyBinds));
      return;
    }
    replica.mounts.push_back({absolute(std::string(parts[0])), std::string(parts[1]),
                              parts.size() == 3 && parts[2] == "ro"});
  }

  void take_dependencies(YamlFields& fields, ServiceSpec& spec) {
    const YAML::Node node = fields.take("depends_on");
    if (is_absent(node)) return;
    needs_.emplace(spec.name, node);
    if (node.IsSequence()) {
      for (const std::string& name : read_texts(node, fields.path_of("depends_on"), errors_)) {
        spec.depends_on.emplace_back(name, ServiceCondition::Started);
      }
      return;
    }
    YamlFields dependencies(node, fields.path_of("depends_on"), errors_);
    for (const auto& entry : node) {
      const std::string name = read_text(entry.first, fields.path_of("depends_on"), errors_);
      const YAML::Node found = dependencies.take(name);
      if (is_absent(found)) continue;
      YamlFields inner(found, dependencies.path_of(name), errors_);
      constexpr ServiceCondition kConditions[] = {ServiceCondition::Started,
                                                  ServiceCondition::Healthy,
                                                  ServiceCondition::CompletedSuccessfully};
      spec.depends_on.emplace_back(
          name, kConditions[inner.word("condition", {"service_started", "service_healthy",
                                                     "service_completed_successfully"})]);
    }
  }

  void take_healthcheck(const YAML::Node& node, const std::string& path, ReplicaTemplate& replica) {
    YamlFields fields(node, path, errors_);
    Probe probe;
    probe.kind = Probe::Kind::Exec;
    probe.period = time(fields, "interval").value_or(seconds(30));
    probe.timeout = time(fields, "timeout").value_or(seconds(30));
    // A replica is not ready before its first good answer, however long that takes; ends are not
    // counted meanwhile.
    static_cast<void>(time(fields, "start_period"));
    probe.failures = fields.number("retries", 3, 1, 1'000'000);
    const bool disabled = fields.flag("disable", false);
    const YAML::Node test = fields.take("test");
    if (disabled) return;
    if (is_absent(test)) {
      errors_.note(node, fields.path_of("test"), "is missing");
      return;
    }
    if (test.IsScalar()) {
      probe.shell = true;
      probe.command = {value(test.Scalar())};
    } else {
      probe.command = values(read_texts(test, fields.path_of("test"), errors_));
      const std::string kind = probe.command.empty() ? "" : probe.command.front();
      if (kind == "NONE") return;
      if (kind != "CMD" && kind != "CMD-SHELL") {
        errors_.note(test, fields.path_of("test"), "begins with CMD, CMD-SHELL or NONE");
        return;
      }
      probe.shell = kind == "CMD-SHELL";
      probe.command.erase(probe.command.begin());
    }
    replica.readiness = std::move(probe);
  }

  void take_deploy(const YAML::Node& node, const std::string& path, ServiceSpec& spec) {
    YamlFields fields(node, path, errors_);
    spec.replicas = fields.number("replicas", 1, 0, kMaxReplicas);
    const YAML::Node resources = fields.take("resources");
    if (is_absent(resources)) return;
    YamlFields inner(resources, fields.path_of("resources"), errors_);
    for (const char* which : {"limits", "reservations"}) {
      const YAML::Node amounts = inner.take(which);
      if (is_absent(amounts)) continue;
      YamlFields amount(amounts, inner.path_of(which), errors_);
      if (const std::string cpus = value(amount.text("cpus")); !cpus.empty()) {
        const auto millis = parse_cpu_millis(cpus);
        if (!millis)
          errors_.note(amount.take("cpus"), amount.path_of("cpus"), cat(cpus, ": as 0.5 or 2"));
        spec.replica.cpu_millis = std::max(spec.replica.cpu_millis, millis.value_or(0));
      }
      const std::string written = value(amount.text("memory"));
      if (std::string memory = written; !memory.empty()) {
        // Docker's suffixes are powers of 1024, with or without a b.
        if (memory.ends_with('b') || memory.ends_with('B')) memory.pop_back();
        if (!memory.empty() && !(memory.back() >= '0' && memory.back() <= '9')) {
          const char unit = memory.back();
          memory.back() = unit >= 'a' && unit <= 'z' ? static_cast<char>(unit - 'a' + 'A') : unit;
          memory += 'i';
        }
        const auto bytes = parse_quantity(memory);
        if (!bytes) {
          errors_.note(amount.take("memory"), amount.path_of("memory"), cat(written, ": as 512M"));
        }
        spec.replica.memory = std::max(spec.replica.memory, bytes.value_or(Bytes{}));
      }
    }
  }

  void check_dependencies() {
    std::set<std::string> names;
    for (const ServiceSpec& spec : file_.services) names.insert(spec.name);
    for (const ServiceSpec& spec : file_.services) {
      for (const auto& [name, unused] : spec.depends_on) {
        if (names.contains(name)) continue;
        errors_.note(needs_.at(spec.name), cat("services.", spec.name, ".depends_on"),
                     cat("no service is called ", name));
      }
    }
    // What can be started when all before it are; the rest wait for each other.
    std::set<std::string> started;
    for (std::size_t before = names.size() + 1; started.size() != before;) {
      before = started.size();
      for (const ServiceSpec& spec : file_.services) {
        const bool can_start = std::ranges::all_of(spec.depends_on, [&](const auto& need) {
          return started.contains(need.first) || !names.contains(need.first);
        });
        if (can_start) started.insert(spec.name);
      }
    }
    for (const std::string& name : names) {
      if (started.contains(name)) continue;
      errors_.note(needs_.at(name), cat("services.", name, ".depends_on"),
                   "it waits for itself, or for one that does");
    }
  }

  FieldErrors errors_;
  std::string directory_;
  const std::map<std::string, std::string>& variables_;
  std::map<std::string, std::string> expanded_;
  std::map<std::string, YAML::Node> needs_;  // by service: its depends_on
  ServiceFile file_;
};

}  // namespace

ServiceFile parse_compose(std::string_view text,
                          std::string_view directory,
                          const std::map<std::string, std::string>& variables) {
  return ComposeParser(directory, variables).parse(text);
}

}  // namespace gangway::submit
