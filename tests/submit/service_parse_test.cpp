// Services out of manifests and Compose files: what is understood, and what is refused where.
#include "submit/service_parse.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "queues/base/text.hpp"
#include "submit/yaml_fields.hpp"
#include "tests/shared_data.hpp"

namespace gangway::submit {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

// As jsubmit says it: the first error, with how many there are beside it.
std::string first_error(const ServiceFile& file) {
  if (file.errors.empty()) return "accepted";
  std::string out = cat(file.errors[0].line, ": ", file.errors[0].message);
  if (file.errors.size() > 1) out += cat(" (and ", file.errors.size() - 1, " more)");
  return out;
}

ServiceFile k8s(std::string_view text) {
  ServiceFile file = parse_k8s(text);
  EXPECT_TRUE(file.errors.empty()) << first_error(file);
  return file;
}
std::string k8s_error(std::string_view text) { return first_error(parse_k8s(text)); }

ServiceFile compose(std::string_view text) {
  ServiceFile file = parse_compose(text, "/d", {{"SET", "value"}, {"EMPTY", ""}});
  EXPECT_TRUE(file.errors.empty()) << first_error(file);
  return file;
}
std::string compose_error(std::string_view text) {
  return first_error(parse_compose(text, "/d", {}));
}

constexpr std::string_view kDeployment = R"(apiVersion: apps/v1
kind: Deployment
metadata:
  name: data-processor
spec:
  replicas: 3
  selector:
    matchLabels:
      app: data-processor
  template:
    metadata:
      labels:
        app: data-processor
    spec:
      containers:
      - name: data-processor
        image: data-processor:latest
        ports:
        - containerPort: 8080
)";

TEST(K8sParse, TheDescriptionsDeploymentAndServiceAreUnderstood) {
  const ServiceFile file = k8s(std::string(kDeployment) + R"(---
apiVersion: v1
kind: Service
metadata:
  name: data-processor
spec:
  type: LoadBalancer
  selector:
    app: data-processor
  ports:
  - port: 80
    targetPort: 8080
)");
  ASSERT_EQ(file.services.size(), 1U);
  const ServiceSpec& spec = file.services[0];
  EXPECT_EQ(spec.name, "data-processor");
  EXPECT_EQ(spec.replicas, 3);
  EXPECT_EQ(spec.replica.image, "data-processor:latest");
  EXPECT_EQ(spec.replica.ports, (std::vector<ContainerPort>{{"", 8080, "TCP"}}));
  EXPECT_EQ(spec.update, UpdatePolicy());
  ASSERT_EQ(file.endpoints.size(), 1U);
  EXPECT_EQ(file.endpoints[0].reach, Endpoint::Reach::LoadBalancer);
  EXPECT_EQ(file.endpoints[0].ports, (std::vector<Endpoint::Port>{{"", 80, "8080", 0}}));
}

TEST(K8sParse, AnUnknownFieldIsAnErrorWithItsLine) {
  std::string text(kDeployment);
  text.replace(text.find("replicas"), 8, "replica");
  EXPECT_EQ(k8s_error(text),
            "6: spec.replica: no such field is known here; did you mean replicas?");
  EXPECT_EQ(k8s_error(std::string(kDeployment) + "        tty: true\n"),
            "20: spec.template.spec.containers[0].tty: no such field is known here");
  EXPECT_EQ(k8s_error("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
            "1: kind: v1 ConfigMap: is none of apps/v1 Deployment, v1 Service, "
            "networking.k8s.io/v1 Ingress, batch/v1 Job");
  EXPECT_EQ(k8s_error(std::string(kDeployment) + "      - name: second\n        image: b\n"),
            "20: spec.template.spec.containers[1]: a replica has one container");
}

TEST(K8sParse, ValuesOfAnotherKindAreErrorsWithTheirLine) {
  std::string text(kDeployment);
  text.replace(text.find("3\n"), 1, "many");
  EXPECT_EQ(k8s_error(text), "6: spec.replicas: must be a number from 0 to 10000");
  text = kDeployment;
  text.replace(text.find("8080"), 4, "80800");
  EXPECT_EQ(k8s_error(text),
            "19: spec.template.spec.containers[0].ports[0].containerPort: must be a number "
            "from 1 to 65535");
  text = kDeployment;
  text.replace(text.rfind("app: data-processor"), 19, "app: other");
  EXPECT_EQ(k8s_error(text),
            "6: spec.selector: app: data-processor is not among the labels of the template");
  EXPECT_EQ(k8s_error("a: [1\n"), "2: end of sequence flow not found");
  EXPECT_EQ(k8s_error("# nothing\n"), "0: is empty");
}

TEST(K8sParse, ProbesUpdatesAndResourcesHaveTheirNumbers) {
  std::string text(kDeployment);
  text.insert(text.find("  selector"),
              "  minReadySeconds: 5\n  progressDeadlineSeconds: 60\n  strategy:\n"
              "    rollingUpdate: {maxSurge: 1, maxUnavailable: 50%}\n");
  text += R"(        resources:
          requests: {cpu: 250m, memory: 64Mi}
          limits: {cpu: 1.5}
        readinessProbe:
          httpGet: {path: /ready, port: 8080}
          periodSeconds: 2
        livenessProbe:
          exec: {command: [cat, /tmp/x]}
          failureThreshold: 5
        env:
        - name: A
          value: b
)";
  const ServiceSpec spec = k8s(text).services.at(0);
  EXPECT_EQ(spec.update.max_surge, (ReplicaShare{1, false}));
  EXPECT_EQ(spec.update.max_unavailable, (ReplicaShare{50, true}));
  EXPECT_EQ(spec.update.min_ready, seconds(5));
  EXPECT_EQ(spec.update.progress_deadline, seconds(60));
  EXPECT_EQ(spec.replica.cpu_millis, 1500);
  EXPECT_EQ(spec.replica.memory, Bytes{64 << 20});
  ASSERT_TRUE(spec.replica.readiness && spec.replica.liveness);
  EXPECT_EQ(spec.replica.readiness->kind, Probe::Kind::Http);
  EXPECT_EQ(spec.replica.readiness->path, "/ready");
  EXPECT_EQ(spec.replica.readiness->period, seconds(2));
  EXPECT_EQ(spec.replica.liveness->command, (std::vector<std::string>{"cat", "/tmp/x"}));
  EXPECT_EQ(spec.replica.liveness->failures, 5);
  EXPECT_EQ(spec.replica.env.at(0).second, "b");
}

TEST(K8sParse, IngressesAndJobsAreUnderstood) {
  const ServiceFile file = k8s(R"(apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  tls:
  - hosts: [a.example.org]
    secretName: cert
  rules:
  - host: a.example.org
    http:
      paths:
      - path: /api
        pathType: Exact
        backend: {service: {name: api, port: {number: 80}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: pi}
spec:
  completions: 4
  parallelism: 2
  backoffLimit: 1
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: pi, image: perl, command: [perl, -e, print 1]}
)");
  ASSERT_EQ(file.ingress.size(), 1U);
  EXPECT_EQ(file.ingress[0], (IngressRule{"a.example.org", "/api", true, "api", "80", "cert"}));
  ASSERT_EQ(file.jobs.size(), 1U);
  EXPECT_EQ(file.jobs[0].completions, 4);
  EXPECT_EQ(file.jobs[0].restart, RestartPolicy::No);
  EXPECT_EQ(file.jobs[0].replica.entrypoint->at(2), "print 1");
}

TEST(ComposeParse, AServiceIsUnderstood) {
  const ServiceFile file = compose(R"(services:
  web:
    build: {context: ./web, target: builder, args: {A: "1"}}
    image: web
    command: sh -c 'echo "a b"; sleep 1'
    entrypoint: [tini, --]
    environment: [A=1, SET, NONE, "B=${SET}$$x${NONE:-d}"]
    ports: ["80:8080", 9000, {target: 1, published: 2}]
    volumes:
      - ./conf:/etc/conf:ro
      - {type: bind, source: /data, target: /d}
    depends_on:
      db: {condition: service_healthy}
    healthcheck: {test: curl -f localhost, interval: 1m30s, retries: 5}
    restart: unless-stopped
    stop_signal: SIGINT
    deploy:
      replicas: 3
      resources: {limits: {cpus: "0.5", memory: 50M}}
  db:
    image: postgres
)");
  ASSERT_EQ(file.services.size(), 2U);
  const ServiceSpec& web = file.services[0];
  EXPECT_EQ(web.replica.build->context, "/d/web");
  EXPECT_EQ(web.replica.build->args.at("A"), "1");
  EXPECT_EQ(web.replica.arguments, (std::vector<std::string>{"sh", "-c", "echo \"a b\"; sleep 1"}));
  EXPECT_EQ(web.replica.entrypoint->size(), 2U);
  EXPECT_EQ(web.replica.env, (std::vector<std::pair<std::string, std::string>>{
                                 {"A", "1"}, {"SET", "value"}, {"B", "value$xd"}}));
  EXPECT_EQ(web.replica.mounts,
            (std::vector<ServiceMount>{{"/d/conf", "/etc/conf", true}, {"/data", "/d", false}}));
  EXPECT_EQ(web.depends_on.at(0).second, ServiceCondition::Healthy);
  EXPECT_EQ(web.replica.readiness->period, seconds(90));
  EXPECT_TRUE(web.replica.readiness->shell);
  EXPECT_EQ(web.restart, RestartPolicy::Always);
  EXPECT_EQ(web.replicas, 3);
  EXPECT_EQ(web.replica.cpu_millis, 500);
  EXPECT_EQ(web.replica.memory, Bytes{50 << 20});
  EXPECT_EQ(file.endpoints.at(0).ports.size(), 3U);
  EXPECT_EQ(file.services[1].restart, RestartPolicy::No);
}

TEST(ComposeParse, WhatIsNotUnderstoodIsRefusedByItsField) {
  EXPECT_EQ(compose_error("services:\n  a:\n    image: b\n    privileged: true\n"),
            "4: services.a.privileged: no such field is known here");
  EXPECT_EQ(compose_error("services:\n  a:\n    image: b\n    volumes:\n      - data:/x\n"),
            "5: services.a.volumes[0]: data:/x: volumes are directories or files of this "
            "machine: ./PATH:/PATH");
  EXPECT_EQ(compose_error("services:\n  a:\n    image: b\n    depends_on: [c]\n"),
            "4: services.a.depends_on: no service is called c");
  EXPECT_EQ(compose_error("services:\n  a:\n    image: $WHICH\n"),
            "3: the variable WHICH is not set");
  EXPECT_EQ(compose_error("services:\n  a:\n    command: b\n"),
            "3: services.a: needs an image or a build");
}

TEST(ComposeParse, ServicesThatWaitForEachOtherAreRefused) {
  EXPECT_EQ(compose_error("services:\n  a: {image: x, depends_on: [b]}\n"
                          "  b: {image: x, depends_on: [a]}\n  c: {image: x}\n"),
            "2: services.a.depends_on: it waits for itself, or for one that does (and 1 more)");
}

TEST(ComposeParse, AVariableWithoutAValueIsPassedOnIfItIsSet) {
  const ServiceFile file = compose(
      "services:\n  a: {image: x, environment: {SET: , NONE: , B: \"\"}}\n"
      "  b: {image: x, environment: [SET, NONE]}\n");
  const std::vector<std::pair<std::string, std::string>> passed = {{"SET", "value"}};
  EXPECT_EQ(file.services.at(0).replica.env,
            (std::vector<std::pair<std::string, std::string>>{{"SET", "value"}, {"B", ""}}));
  EXPECT_EQ(file.services.at(1).replica.env, passed);
}

TEST(ComposeParse, ExtensionsArePlacesForAnchors) {
  const ServiceFile file = compose("x-image: &image postgres\nservices: {db: {image: *image}}\n");
  EXPECT_EQ(file.services.at(0).replica.image, "postgres");
}

TEST(ServiceParse, AliasesThatMultiplyOrNeverEndAreRefused) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    laughs += cat("a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) laughs += cat(j == 0 ? "" : ", ", "*a", i - 1);
    laughs += "]\n";
  }
  constexpr const char* kTooMuch = "1: holds more than 100000 values, or some deeper than 64";
  EXPECT_EQ(k8s_error(laughs), kTooMuch);
  EXPECT_EQ(compose_error("a: &a [*a]\n"), kTooMuch);
}

TEST(ServiceParse, AllErrorsOfAFileAreSaidInTheOrderOfTheirLines) {
  const ServiceFile file = parse_compose(
      "services:\n  a:\n    image: b\n    tty: true\n    init: true\nvolumes: {v: }\n", "/d", {});
  ASSERT_EQ(file.errors.size(), 3U);
  EXPECT_EQ(file.errors[0].line, 4);
  EXPECT_EQ(file.errors[1].line, 5);
  EXPECT_EQ(file.errors[2].line, 6);
}

constexpr std::string_view kIngress = R"(apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  tls: TLS
  rules:
  - host: a.org
    http: {paths: [{path: /, backend: {service: {name: web, port: {number: 80}}}}]}
  - host: x.b.org
    http: {paths: [{path: /, backend: {service: {name: web, port: {number: 80}}}}]}
)";
std::string ingress(std::string_view tls) {
  std::string text(kIngress);
  return text.replace(text.find("TLS"), 3, tls);
}

TEST(K8sParse, ASecretWithoutHostsIsForAllRules) {
  ServiceFile file = k8s(ingress("[{secretName: all}, {secretName: one, hosts: [a.org]}]"));
  EXPECT_EQ(file.ingress.at(0).tls_secret, "one");
  EXPECT_EQ(file.ingress.at(1).tls_secret, "all");
  file = k8s(ingress("[{secretName: wide, hosts: ['*.b.org']}]"));
  EXPECT_EQ(file.ingress.at(0).tls_secret, "");
  EXPECT_EQ(file.ingress.at(1).tls_secret, "wide");
  EXPECT_EQ(k8s_error(ingress("[{secretName: s, hosts: [a.org, c.org]}]")),
            "5: spec.tls: no rule is for host c.org");
}

TEST(K8sParse, AFieldWithoutEffectIsRefused) {
  std::string text(kDeployment);
  text.insert(text.find("  selector"),
              "  strategy:\n    type: Recreate\n    rollingUpdate: {maxSurge: 1}\n");
  EXPECT_EQ(k8s_error(text), "9: spec.strategy.rollingUpdate: says nothing beside Recreate");
  EXPECT_EQ(k8s_error(R"(apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  selector: {a: b}
  ports:
  - {port: 80, nodePort: 30001}
)"),
            "8: spec.ports[0].nodePort: is of type NodePort alone; others listen at their port");
  EXPECT_EQ(k8s_error(R"(apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules: []
)"),
            "5: spec.rules: leads nowhere");
  EXPECT_EQ(k8s_error(R"(apiVersion: batch/v1
kind: Job
metadata: {name: pi}
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 5
      containers:
      - {name: pi, image: perl}
)"),
            "8: spec.template.spec.terminationGracePeriodSeconds: is the cluster's for jobs "
            "(kill_grace)");
}

TEST(K8sParse, AVariableInArgumentsIsExpanded) {
  std::string text(kDeployment);
  text += R"yaml(        env:
        - {name: A, value: a}
        - {name: B, value: "$(A)b $(LATER)"}
        args: ["$(B)/$$(A)", "echo $(date) $x"]
)yaml";
  const ReplicaTemplate replica = k8s(text).services.at(0).replica;
  EXPECT_EQ(replica.env.at(1).second, "ab $(LATER)");
  EXPECT_EQ(replica.arguments, (std::vector<std::string>{"ab $(LATER)/$(A)", "echo $(date) $x"}));
}

TEST(ServiceParse, WhatTheModelRefusesHasItsLine) {
  EXPECT_EQ(compose_error("services:\n  a: {image: x}\n  A_b:\n    image: x\n"),
            "4: services.A_b: name A_b: 1 to 63 lower-case letters, digits and dashes are "
            "possible, "
            "as in names of hosts");
  EXPECT_EQ(compose_error("services:\n  a:\n    image: x\n    deploy:\n      resources:\n"
                          "        limits:\n          cpus: '1'\n          memory: zz\n"),
            "8: services.a.deploy.resources.limits.memory: zz: as 512M");
  EXPECT_EQ(compose_error("services:\n  a:\n    image: x\n    hostname: b\n"),
            "4: services.a.hostname: a replica has the name of its node");
  EXPECT_EQ(compose_error("services:\n  a:\n    image: x\n    stop_signal: SIGNONSENSE\n"),
            "4: services.a.stop_signal: there is no signal SIGNONSENSE");
  std::string text(kDeployment);
  text.replace(text.find("data-processor"), 14, "Data");
  EXPECT_TRUE(k8s_error(text).starts_with("6: spec: name Data: ")) << k8s_error(text);
}

TEST(ServiceParse, AKeyThatIsThereTwiceIsAnErrorWhereverItIs) {
  EXPECT_EQ(compose_error("services:\n  a:\n    image: x\n    environment:\n      A: 1\n"
                          "      A: 2\n"),
            "6: services.a.environment.A: is there twice");
  std::string text(kDeployment);
  text.insert(text.find("  template"), "      app: data-processor\n");
  EXPECT_TRUE(k8s_error(text).starts_with("10: spec.selector.matchLabels.app: is there twice"))
      << k8s_error(text);
  EXPECT_EQ(compose_error("x-a: &a {image: x}\nservices:\n  a:\n    <<: *a\n    image: y\n"),
            "4: services.a.<<: merge keys are not read; write the fields where they count");
}

TEST(ServiceParse, NumbersThatMayBeOctalAreRefused) {
  for (const char* const number : {"010", "0x10", "1_000", "00"}) {
    std::string text(kDeployment);
    text.replace(text.find("8080"), 4, number);
    EXPECT_TRUE(k8s_error(text).starts_with("19: ")) << number;
    EXPECT_NE(compose_error(cat("services: {a: {image: x, expose: [", number, "]}}\n")),
              "accepted");
  }
}

TEST(ComposeParse, VariablesStandWhereNumbersDo) {
  const ServiceFile file = parse_compose(
      "services:\n  a:\n    image: x\n    restart: ${R}\n    deploy: {replicas: '${N}'}\n", "/d",
      {{"N", "4"}, {"R", "always"}});
  ASSERT_EQ(first_error(file), "accepted");
  EXPECT_EQ(file.services.at(0).replicas, 4);
  EXPECT_EQ(file.services.at(0).restart, RestartPolicy::Always);
  EXPECT_EQ(compose_error("services: {a: {image: '${A:-${B:-x}}'}}\n"),
            "1: ${A:-${B:-x}}: a default holds no other variable");
}

TEST(ComposeParse, WhatIsExposedIsNotReachedFromOutside) {
  ServiceFile file =
      compose("services: {a: {image: x, ports: ['8080:80'], expose: [80, 90, 90]}}\n");
  ASSERT_EQ(file.endpoints.size(), 2U);
  EXPECT_EQ(file.endpoints[0].ports, (std::vector<Endpoint::Port>{{"", 8080, "80", 0}}));
  EXPECT_EQ(file.endpoints[1].name, "a-inside");
  EXPECT_EQ(file.endpoints[1].reach, Endpoint::Reach::Cluster);
  EXPECT_EQ(file.endpoints[1].ports.size(), 2U);
  file = compose("services: {a: {image: x, ports: ['80:80'], expose: [80]}}\n");
  EXPECT_EQ(file.endpoints.size(), 1U);
  file = compose("services: {a: {image: x, expose: [80]}}\n");
  EXPECT_EQ(file.endpoints.at(0).name, "a");
  EXPECT_EQ(file.endpoints.at(0).reach, Endpoint::Reach::Cluster);
}

TEST(ComposeParse, ATimeBeyondAllBoundsIsNone) {
  const auto grace = [](const std::string& time) {
    return compose_error(cat("services: {a: {image: x, stop_grace_period: ", time, "}}\n"));
  };
  EXPECT_EQ(grace("1m30s"), "accepted");
  for (const char* const time : {"9999999h", "1000000h1000000h1000000h", "8785h", "9e9s"}) {
    EXPECT_EQ(grace(time), "1: services.a.stop_grace_period: must be a time, as 30s") << time;
  }
}

TEST(ServiceParse, AmountsAreThoseOfKubernetes) {
  const std::pair<std::string, std::int64_t> memory[] = {
      {"1048576", 1 << 20},
      {"1.5Gi", 3LL << 29},
      {"1e3", 1000},
      {"1Ei", 1LL << 60},
      {"1.5G", 1500000000},
      {".5k", 500},
      {"0.5Ki", 512},
      {"1E", 1000000000000000000},
      {"100k", 100000},
      {"1.0001", 2},
      {"12E0", 12},
      {"-0.5", -1},
      {"1K", -1},
      {"1.5g", -1},
      {"100m", -1},
      {"", -1},
      {".", -1},
      {"1.2.3", -1},
      {"9Ei", -1},
      {"1ki", -1},
      {"010", -1},
      {"1e99", -1},
      {"1Gib", -1},
  };
  for (const auto& [text, bytes] : memory) {
    EXPECT_EQ(parse_quantity(text).value_or(Bytes{-1}).value, bytes) << text;
  }
  const std::pair<std::string, std::int64_t> cpu[] = {
      {"100m", 100}, {"0.5", 500}, {".5", 500}, {"2", 2000},      {"1e1", 10000}, {"0.0001", 1},
      {"-0.5", -1},  {"-1", -1},   {"1k", -1},  {"99999999", -1}, {"m", -1},      {"", -1},
  };
  for (const auto& [text, millis] : cpu) {
    EXPECT_EQ(parse_cpu_millis(text).value_or(-1), millis) << text;
  }
}

TEST(ServiceCorpus, FilesOfOthersAreUnderstoodOrRefusedByTheirField) {
  const fs::path folder = test::shared_data("services");
  if (!fs::exists(folder)) GTEST_SKIP() << "no services/ in the shared data";
  for (const auto& entry : fs::directory_iterator(folder / "k8s")) {
    const ServiceFile file = parse_k8s(read_file(entry.path()));
    EXPECT_TRUE(file.errors.empty()) << entry.path() << ":" << first_error(file);
  }
  const std::map<std::string, std::string> refused = {
      {"nginx-flask-mysql.compose.yaml", "14: services.db.secrets: "},
      {"nginx-nodejs-redis.compose.yaml", "10: services.web1.hostname: "},
      {"prometheus-grafana.compose.yaml", "12: services.prometheus.volumes[1]: "},
      {"react-express-mongodb.compose.yaml", "8: services.frontend.stdin_open: "},
      {"wordpress-mysql.compose.yaml", "9: services.db.volumes[0]: "},
  };
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(folder / "compose")) {
    const std::string name = entry.path().filename().string();
    const ServiceFile file = parse_compose(read_file(entry.path()), "/d", {});
    ++seen;
    const auto why = refused.find(name);
    if (why == refused.end()) {
      EXPECT_TRUE(file.errors.empty()) << name << ":" << first_error(file);
    } else {
      EXPECT_TRUE(first_error(file).starts_with(why->second)) << name << ":" << first_error(file);
    }
  }
  EXPECT_GE(seen, 10);
}

}  // namespace
}  // namespace gangway::submit
