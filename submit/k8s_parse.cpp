#include <algorithm>
#include <functional>

#include "queues/base/text.hpp"
#include "queues/model/ingress_rule.hpp"
#include "submit/service_parse.hpp"
#include "submit/yaml_fields.hpp"

namespace gangway::submit {
namespace {

constexpr std::int32_t kMaxPort = 65535;
constexpr std::int32_t kMaxSeconds = 1'000'000'000;

class K8sParser {
 public:
  ServiceFile parse(std::string_view text) {
    for (const YAML::Node& document : load_yaml(text, errors_)) take_document(document);
    file_.errors = errors_.take();
    return std::move(file_);
  }

 private:
  void take_document(const YAML::Node& document) {
    errors_before_ = errors_.size();
    YamlFields fields(document, "", errors_);
    const std::string version = fields.need_text("apiVersion");
    const std::string kind = fields.need_text("kind");
    const std::string both = cat(version, " ", kind);
    if (both == "apps/v1 Deployment") {
      deployment(fields);
    } else if (both == "v1 Service") {
      service(fields);
    } else if (both == "networking.k8s.io/v1 Ingress") {
      ingress(fields);
    } else if (both == "batch/v1 Job") {
      job(fields);
    } else {
      for (const auto& entry : document) fields.accept(entry.first.Scalar());
      errors_.note(document, "kind",
                   cat(both,
                       ": is none of apps/v1 Deployment, v1 Service, networking.k8s.io/v1 "
                       "Ingress, batch/v1 Job"));
    }
  }

  struct Metadata {
    std::string name;
    Labels labels;
  };
  Metadata metadata(YamlFields& fields, bool needs_name) {
    Metadata out;
    const YAML::Node node = needs_name ? fields.need("metadata") : fields.take("metadata");
    if (is_absent(node)) return out;
    YamlFields inner(node, fields.path_of("metadata"), errors_);
    out.name = needs_name ? inner.need_text("name") : inner.text("name");
    out.labels = labels(inner, "labels");
    inner.accept("annotations");  // say nothing to whoever runs it
    if (const YAML::Node space = inner.take("namespace");
        !is_absent(space) && (!space.IsScalar() || space.Scalar() != "default")) {
      errors_.note(space, inner.path_of("namespace"), "there are no namespaces but default");
    }
    return out;
  }

  static Labels labels(YamlFields& fields, std::string_view key) {
    Labels out;
    fields.entries(key,
                   [&](const std::string& name, const std::string& value) { out[name] = value; });
    return out;
  }

  void deployment(YamlFields& fields) {
    ServiceSpec spec;
    const Metadata meta = metadata(fields, true);
    spec.name = meta.name;
    spec.labels = meta.labels;
    const YAML::Node node = fields.need("spec");
    if (is_absent(node)) return;
    YamlFields inner(node, "spec", errors_);
    spec.replicas = inner.number("replicas", 1, 0, kMaxReplicas);
    spec.update.min_ready = seconds(inner.number("minReadySeconds", 0, 0, kMaxSeconds));
    spec.update.progress_deadline =
        seconds(inner.number("progressDeadlineSeconds", 600, 1, kMaxSeconds));
    spec.revisions_kept = inner.number("revisionHistoryLimit", 10, 0, 1000);
    if (const YAML::Node selector = inner.need("selector"); !is_absent(selector)) {
      YamlFields chosen(selector, inner.path_of("selector"), errors_);
      spec.selector = labels(chosen, "matchLabels");
      chosen.refuse("matchExpressions", "only matchLabels are understood");
    }
    if (const YAML::Node strategy = inner.take("strategy"); !is_absent(strategy)) {
      take_strategy(strategy, inner.path_of("strategy"), spec.update);
    }
    spec.replica = pod(inner.need("template"), inner.path_of("template"), Runs::Always, nullptr);
    for (const auto& [key, value] : spec.selector) {
      const auto found = spec.replica.labels.find(key);
      if (found == spec.replica.labels.end() || found->second != value) {
        errors_.note(node, "spec.selector",
                     cat(key, ": ", value, " is not among the labels of the template"));
      }
    }
    note_if_bad(node, validate(spec));
    file_.services.push_back(std::move(spec));
  }

  // What is said of a whole, if nothing has been said of its parts.
  void note_if_bad(const YAML::Node& node, const Result<void>& good) {
    if (!good && errors_.size() == errors_before_) {
      errors_.note(node, "spec", good.error().message());
    }
  }

  void take_strategy(const YAML::Node& node, const std::string& path, UpdatePolicy& update) {
    YamlFields fields(node, path, errors_);
    update.recreate = fields.word("type", {"RollingUpdate", "Recreate"}) == 1;
    const YAML::Node rolling = fields.take("rollingUpdate");
    if (is_absent(rolling)) return;
    if (update.recreate) {
      errors_.note(rolling, fields.path_of("rollingUpdate"), "says nothing beside Recreate");
    }
    YamlFields bounds(rolling, fields.path_of("rollingUpdate"), errors_);
    share(bounds, "maxSurge", update.max_surge);
    share(bounds, "maxUnavailable", update.max_unavailable);
    if (update.max_surge.value == 0 && update.max_unavailable.value == 0) {
      errors_.note(rolling, bounds.path_of("maxSurge"), "and maxUnavailable cannot both be 0");
    }
  }

  void share(YamlFields& fields, std::string_view key, ReplicaShare& out) {
    const YAML::Node node = fields.take(key);
    if (is_absent(node)) return;
    std::string text = node.IsScalar() ? node.Scalar() : "";
    out.is_percent = text.ends_with('%');
    if (out.is_percent) text.pop_back();
    const auto value = parse_integer<std::int32_t>(text);
    if (value && *value >= 0 && *value <= kMaxReplicas) {
      out.value = *value;
    } else {
      errors_.note(node, fields.path_of(key), "must be a number or a percentage");
    }
  }

  // What restartPolicy says of one that runs to its end goes to `restart`: OnFailure, Never.
  enum class Runs { Always, ToItsEnd };
  ReplicaTemplate pod(const YAML::Node& node,
                      const std::string& path,
                      Runs runs,
                      std::size_t* restart) {
    ReplicaTemplate out;
    if (is_absent(node)) return out;
    YamlFields fields(node, path, errors_);
    out.labels = metadata(fields, false).labels;
    const YAML::Node spec = fields.need("spec");
    if (is_absent(spec)) return out;
    YamlFields inner(spec, fields.path_of("spec"), errors_);
    const std::size_t policy = inner.word(
        "restartPolicy", runs == Runs::Always ? std::vector<std::string>{"Always"}
                                              : std::vector<std::string>{"OnFailure", "Never"});
    if (restart != nullptr) *restart = policy;
    if (runs == Runs::ToItsEnd) {
      inner.refuse("terminationGracePeriodSeconds", "is the cluster's for jobs (kill_grace)");
    }
    out.kill_grace = seconds(inner.number("terminationGracePeriodSeconds", 30, 0, 86400));
    std::map<std::string, std::string> volumes;
    inner.each("volumes", [&](const YAML::Node& item, const std::string& item_path) {
      YamlFields volume(item, item_path, errors_);
      const std::string name = volume.need_text("name");
      const YAML::Node host = volume.need("hostPath");
      if (is_absent(host)) return;
      YamlFields host_path(host, volume.path_of("hostPath"), errors_);
      volumes[name] = host_path.need_text("path");
      host_path.refuse("type", "nothing is made or looked at before it is mounted");
    });
    int containers = 0;
    inner.each("containers", [&](const YAML::Node& item, const std::string& item_path) {
      if (++containers > 1) {
        errors_.note(item, item_path, "a replica has one container");
        return;
      }
      container(item, item_path, volumes, out);
      if (runs == Runs::ToItsEnd && !out.ports.empty()) {
        errors_.note(item, cat(item_path, ".ports"), "nobody leads to a job's ports");
      }
    });
    if (containers == 0) errors_.note(spec, inner.path_of("containers"), "is missing");
    return out;
  }

  void container(const YAML::Node& node,
                 const std::string& path,
                 const std::map<std::string, std::string>& volumes,
                 ReplicaTemplate& out) {
    YamlFields fields(node, path, errors_);
    fields.accept("name");
    out.image = fields.need_text("image");
    fields.word("imagePullPolicy", {"IfNotPresent", "Never"});
    if (const auto command = fields.texts("command"); !command.empty()) out.entrypoint = command;
    out.arguments = fields.texts("args");
    out.workdir = fields.text("workingDir");
    fields.each("env", [&](const YAML::Node& item, const std::string& item_path) {
      YamlFields variable(item, item_path, errors_);
      std::string name = variable.need_text("name");
      std::string value = expand(variable.text("value"), out.env);
      out.env.emplace_back(std::move(name), std::move(value));
      variable.refuse("valueFrom", "a value must be given as it is");
    });
    fields.each("ports", [&](const YAML::Node& item, const std::string& item_path) {
      YamlFields port(item, item_path, errors_);
      ContainerPort container_port;
      container_port.name = port.text("name");
      static_cast<void>(port.need("containerPort"));
      container_port.port = port.number("containerPort", 0, 1, kMaxPort);
      port.word("protocol", {"TCP"});
      out.ports.push_back(std::move(container_port));
    });
    if (const YAML::Node resources = fields.take("resources"); !is_absent(resources)) {
      YamlFields inner(resources, fields.path_of("resources"), errors_);
      // What is asked for is reserved, and is also the limit: a request without a limit would be
      // one on paper.
      for (const char* which : {"limits", "requests"}) amounts(inner, which, out);
    }
    fields.each("volumeMounts", [&](const YAML::Node& item, const std::string& item_path) {
      YamlFields mount(item, item_path, errors_);
      const std::string name = mount.need_text("name");
      const auto volume = volumes.find(name);
      if (volume == volumes.end()) {
        errors_.note(item, mount.path_of("name"), cat("no volume is called ", name));
      }
      std::string target = mount.need_text("mountPath");
      const bool read_only = mount.flag("readOnly", false);
      if (volume != volumes.end()) {
        out.mounts.push_back({volume->second, std::move(target), read_only});
      }
    });
    if (out.entrypoint) {
      for (std::string& word : *out.entrypoint) word = expand(word, out.env);
    }
    for (std::string& word : out.arguments) word = expand(word, out.env);
    out.startup = probe(fields, "startupProbe");
    out.readiness = probe(fields, "readinessProbe");
    out.liveness = probe(fields, "livenessProbe");
  }

  // $(NAME) of the variables given before; "$$" is one '$'; what is not known stays, as Kubernetes
  // has it, for the shell that may be meant.
  static std::string expand(const std::string& text,
                            const std::vector<std::pair<std::string, std::string>>& known) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
      const char next = at + 1 < text.size() ? text[at + 1] : '\0';
      if (text[at] == '$' && next == '$') {
        out += '$';
        ++at;
        continue;
      }
      const std::size_t close = text[at] == '$' && next == '(' ? text.find(')', at) : text.npos;
      if (close != text.npos) {
        const std::string name = text.substr(at + 2, close - at - 2);
        // The last of that name counts, as it does for the program.
        const auto found = std::find_if(known.rbegin(), known.rend(),
                                        [&](const auto& one) { return one.first == name; });
        if (found != known.rend()) {
          out += found->second;
          at = close;
          continue;
        }
      }
      out += text[at];
    }
    return out;
  }

  void amounts(YamlFields& fields, std::string_view which, ReplicaTemplate& out) {
    const YAML::Node node = fields.take(which);
    if (is_absent(node)) return;
    YamlFields inner(node, fields.path_of(which), errors_);
    if (const std::string cpu = inner.text("cpu"); !cpu.empty()) {
      const auto millis = parse_cpu_millis(cpu);
      if (!millis)
        errors_.note(inner.take("cpu"), inner.path_of("cpu"), cat(cpu, ": as 500m or 2"));
      out.cpu_millis = std::max(out.cpu_millis, millis.value_or(0));
    }
    if (const std::string memory = inner.text("memory"); !memory.empty()) {
      const auto bytes = parse_quantity(memory);
      if (!bytes)
        errors_.note(inner.take("memory"), inner.path_of("memory"),
                     cat(memory, ": as 512Mi or 1G"));
      out.memory = std::max(out.memory, bytes.value_or(Bytes{}));
    }
  }

  std::optional<Probe> probe(YamlFields& fields, std::string_view which) {
    const YAML::Node node = fields.take(which);
    if (is_absent(node)) return std::nullopt;
    YamlFields inner(node, fields.path_of(which), errors_);
    Probe probe;
    probe.initial_delay = seconds(inner.number("initialDelaySeconds", 0, 0, kMaxSeconds));
    probe.period = seconds(inner.number("periodSeconds", 10, 1, kMaxSeconds));
    probe.timeout = seconds(inner.number("timeoutSeconds", 1, 1, kMaxSeconds));
    probe.successes = inner.number("successThreshold", 1, 1, 1000);
    probe.failures = inner.number("failureThreshold", 3, 1, 1'000'000);
    int kinds = 0;
    if (const YAML::Node exec = inner.take("exec"); !is_absent(exec)) {
      ++kinds;
      YamlFields command(exec, inner.path_of("exec"), errors_);
      probe.kind = Probe::Kind::Exec;
      probe.command = command.texts("command");
    }
    if (const YAML::Node http = inner.take("httpGet"); !is_absent(http)) {
      ++kinds;
      YamlFields get(http, inner.path_of("httpGet"), errors_);
      probe.kind = Probe::Kind::Http;
      if (const std::string path = get.text("path"); !path.empty()) probe.path = path;
      probe.port = get.need_text("port");
      get.word("scheme", {"HTTP"});
    }
    if (const YAML::Node tcp = inner.take("tcpSocket"); !is_absent(tcp)) {
      ++kinds;
      YamlFields socket(tcp, inner.path_of("tcpSocket"), errors_);
      probe.kind = Probe::Kind::Tcp;
      probe.port = socket.need_text("port");
    }
    if (kinds != 1) {
      errors_.note(node, fields.path_of(which), "needs one of exec, httpGet, tcpSocket");
    }
    return probe;
  }

  void service(YamlFields& fields) {
    Endpoint endpoint;
    const Metadata meta = metadata(fields, true);
    endpoint.name = meta.name;
    endpoint.labels = meta.labels;
    const YAML::Node node = fields.need("spec");
    if (is_absent(node)) return;
    YamlFields inner(node, "spec", errors_);
    constexpr Endpoint::Reach kReach[] = {Endpoint::Reach::Cluster, Endpoint::Reach::Node,
                                          Endpoint::Reach::LoadBalancer};
    endpoint.reach = kReach[inner.word("type", {"ClusterIP", "NodePort", "LoadBalancer"})];
    endpoint.selector = labels(inner, "selector");
    if (endpoint.selector.empty()) errors_.note(node, "spec.selector", "is missing");
    inner.each("ports", [&](const YAML::Node& item, const std::string& path) {
      YamlFields port(item, path, errors_);
      Endpoint::Port out;
      out.name = port.text("name");
      static_cast<void>(port.need("port"));
      out.port = port.number("port", 0, 1, kMaxPort);
      out.target = port.text("targetPort");
      if (out.target.empty()) out.target = cat(out.port);
      if (endpoint.reach == Endpoint::Reach::Node) {
        out.node_port = port.number("nodePort", 0, 1, kMaxPort);
      } else {
        port.refuse("nodePort", "is of type NodePort alone; others listen at their port");
      }
      port.word("protocol", {"TCP"});
      endpoint.ports.push_back(std::move(out));
    });
    if (endpoint.ports.empty()) errors_.note(node, "spec.ports", "is missing");
    note_if_bad(node, validate(endpoint));
    file_.endpoints.push_back(std::move(endpoint));
  }

  void ingress(YamlFields& fields) {
    static_cast<void>(metadata(fields, true));
    const YAML::Node node = fields.need("spec");
    if (is_absent(node)) return;
    YamlFields inner(node, "spec", errors_);
    inner.accept("ingressClassName");  // there is one
    inner.refuse("defaultBackend", "rules alone are understood");
    Secrets secrets;
    inner.each("tls", [&](const YAML::Node& item, const std::string& path) {
      YamlFields tls(item, path, errors_);
      const std::string secret = tls.need_text("secretName");
      const std::vector<std::string> hosts = tls.texts("hosts");
      // Without hosts it is for all.
      if (hosts.empty()) secrets.emplace_back("", Secret{secret, item, true});
      for (const std::string& host : hosts) secrets.emplace_back(host, Secret{secret, item, false});
    });
    std::size_t rules = 0;
    inner.each("rules", [&](const YAML::Node& item, const std::string& path) {
      YamlFields rule(item, path, errors_);
      const std::string host = rule.text("host");
      const YAML::Node http = rule.need("http");
      if (is_absent(http)) return;
      YamlFields paths(http, rule.path_of("http"), errors_);
      std::size_t leading = 0;
      paths.each("paths", [&](const YAML::Node& entry, const std::string& entry_path) {
        ++leading;
        ingress_path(entry, entry_path, host, secrets);
      });
      rules += leading;
      if (leading == 0) errors_.note(http, paths.path_of("paths"), "is missing");
    });
    if (rules == 0) errors_.note(node, inner.path_of("rules"), "leads nowhere");
    for (const auto& [host, secret] : secrets) {
      if (secret.is_used) continue;
      errors_.note(secret.node, inner.path_of("tls"), cat("no rule is for host ", host));
    }
  }

  struct Secret {
    std::string name;
    YAML::Node node;
    bool is_used = false;
  };
  using Secrets = std::vector<std::pair<std::string, Secret>>;  // by host; "": any

  // The host's own before that of a wildcard before that of all.
  static std::string secret_of(const std::string& host, Secrets& secrets) {
    const std::string wildcard = cat("*", host.substr(std::min(host.find('.'), host.size())));
    for (const std::string& wanted : {host, wildcard, std::string()}) {
      for (auto& [of, secret] : secrets) {
        if (of != wanted) continue;
        secret.is_used = true;
        return secret.name;
      }
    }
    return "";
  }

  void ingress_path(const YAML::Node& node,
                    const std::string& path,
                    const std::string& host,
                    Secrets& secrets) {
    YamlFields fields(node, path, errors_);
    IngressRule rule;
    rule.host = host;
    if (const std::string text = fields.text("path"); !text.empty()) rule.path = text;
    rule.exact = fields.word("pathType", {"Prefix", "Exact"}) == 1;
    rule.tls_secret = secret_of(host, secrets);
    const YAML::Node backend = fields.need("backend");
    if (is_absent(backend)) return;
    YamlFields inner(backend, fields.path_of("backend"), errors_);
    const YAML::Node service = inner.need("service");
    if (is_absent(service)) return;
    YamlFields target(service, inner.path_of("service"), errors_);
    rule.endpoint = target.need_text("name");
    const YAML::Node port = target.need("port");
    if (is_absent(port)) return;
    YamlFields port_fields(port, target.path_of("port"), errors_);
    const std::string name = port_fields.text("name");
    const std::int32_t number = port_fields.number("number", 0, 1, kMaxPort);
    rule.port = name.empty() ? cat(number) : name;
    if (name.empty() == (number == 0)) {
      errors_.note(port, target.path_of("port"), "needs a name or a number");
    }
    const IngressRule place = in_normal_form(rule);
    note_if_bad(node, validate(place));
    note_if_bad(node, check_place(place));
    file_.ingress.push_back(std::move(rule));
  }

  void job(YamlFields& fields) {
    BatchTemplate out;
    const Metadata meta = metadata(fields, true);
    out.name = meta.name;
    out.labels = meta.labels;
    const YAML::Node node = fields.need("spec");
    if (is_absent(node)) return;
    YamlFields inner(node, "spec", errors_);
    out.completions = inner.number("completions", 1, 1, kMaxReplicas);
    out.parallelism = inner.number("parallelism", 1, 1, kMaxReplicas);
    out.retries = inner.number("backoffLimit", 6, 0, 1000);
    std::size_t restart = 0;
    out.replica = pod(inner.need("template"), inner.path_of("template"), Runs::ToItsEnd, &restart);
    out.restart = restart == 0 ? RestartPolicy::OnFailure : RestartPolicy::No;
    file_.jobs.push_back(std::move(out));
  }

  FieldErrors errors_;
  std::size_t errors_before_ = 0;  // of this document
  ServiceFile file_;
};

}  // namespace

ServiceFile parse_k8s(std::string_view text) { return K8sParser().parse(text); }

}  // namespace gangway::submit
