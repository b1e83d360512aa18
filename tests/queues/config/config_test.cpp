// The configuration file: what it says, and everything that is wrong with it at once.
#include "queues/config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// "<line>: <message>" of all errors.
std::vector<std::string> errors_of(std::string_view yaml) {
  std::vector<std::string> lines;
  for (const ConfigError& error : parse_config(yaml).errors) {
    lines.push_back(cat(error.line, ": ", error.message));
  }
  return lines;
}

Config read(std::string_view yaml) {
  ParsedConfig parsed = parse_config(yaml);
  for (const ConfigError& error : parsed.errors) {
    ADD_FAILURE() << error.line << ": " << error.message;
  }
  return parsed.config;
}

TEST(Config, EmptyFileGivesTheDefaultsAndOneQueue) {
  for (const char* text : {"", "# nothing\n", "---\n", "{}"}) {
    const Config config = read(text);
    EXPECT_EQ(config.cluster, "gangway");
    EXPECT_EQ(config.lease, minutes(10));
    ASSERT_EQ(config.queues.size(), 1u);
    EXPECT_EQ(config.queues.front().name, QueueName("batch"));
    EXPECT_TRUE(config.queues.front().is_default);
  }
}

TEST(Config, EveryKeyIsRead) {
  const Config config = read(R"(
cluster: alpha
key_file: /etc/alpha.key
lease: 2m
heartbeat: 1s500ms
prepare_timeout: 1h30m
kill_grace: 0s
backfill: easy-sjbf
starvation_bound: 2d
allow_root_jobs: true
operators: [root, grace]
service_ports: 21000-21009
endpoint_ports: 31000
scheduler:
  socket: /run/alpha.sock
  listen: 0.0.0.0:7000
  spool: /srv/alpha
executor:
  scheduler: head:7000
  spool: /srv/node
  images: /srv/images
  scratch: /scratch
  address: 10.0.0.7
  cores: 16
  memory: 64G
  resources: {gpu: 2, fpga: 1}
  cgroup: alpha/jobs
  waivers: [cgroup-memory, proc-mount]
  shared_machine: true
mpi:
  tcp_networks: 10.0.0.0/24,lo
balancer:
  enabled: true
  address: 10.0.0.1
  network: outside
  inside: "::1"
  ingress: 8000
  ingress_tls: 0
  ports: {80: 8080, 443: 8443}
  certificates: /srv/certificates
  spool: /srv/balancer
  drain: 5s
priority:
  age: 100
  max_age: 14d
  fair_share: 5
  size: 6
  queue: 7
  qos: 8
  resources: {memory: 9, gpu: 10}
fair_share:
  algorithm: classic
  half_life: never
  weights: {cores: 0.5, gpu: 4, memory: 0.125}
qos: {normal: 0, urgent: 100}
queues:
  - name: short
    nodes: n[01-03]
    priority: -5
    default_limit: 10m
    max_limit: 1h
    memory_per_core: 1536M
    time_slicing: {gangs: 3, slice: 45s}
  - name: long
    nodes: [n04, "n[05-06]"]
    max_limit: unlimited
    default: true
)");
  EXPECT_EQ(config.cluster, "alpha");
  EXPECT_EQ(config.key_file, "/etc/alpha.key");
  EXPECT_EQ(config.service_ports, (PortRange{21000, 21009}));
  EXPECT_EQ(config.endpoint_ports, (PortRange{31000, 31000}));
  EXPECT_EQ(config.lease, minutes(2));
  EXPECT_EQ(config.heartbeat, milliseconds(1500));
  EXPECT_EQ(config.prepare_timeout, minutes(90));
  EXPECT_EQ(config.kill_grace, Duration{});
  EXPECT_TRUE(config.backfill.shortest_first);
  EXPECT_EQ(config.backfill.starvation_bound, hours(48));
  EXPECT_TRUE(config.allow_root_jobs);
  EXPECT_THAT(config.operators, ElementsAre("root", "grace"));
  EXPECT_EQ(config.scheduler.socket, "/run/alpha.sock");
  EXPECT_EQ(config.scheduler.listen, "0.0.0.0:7000");
  EXPECT_EQ(config.scheduler.spool, "/srv/alpha");
  EXPECT_EQ(config.executor.scheduler, "head:7000");
  EXPECT_EQ(config.executor.images, "/srv/images");
  EXPECT_EQ(config.executor.scratch, "/scratch");
  EXPECT_EQ(config.executor.address, "10.0.0.7");
  EXPECT_EQ(config.executor.cores, 16);
  EXPECT_EQ(config.executor.memory, gibibytes(64));
  EXPECT_THAT(config.executor.named, ElementsAre(std::pair("fpga", 1), std::pair("gpu", 2)));
  EXPECT_EQ(config.executor.cgroup, "alpha/jobs");
  EXPECT_THAT(config.executor.waivers, ElementsAre(Waiver::CgroupMemory, Waiver::ProcMount));
  EXPECT_TRUE(config.executor.shared_machine);
  EXPECT_EQ(config.mpi.tcp_networks, "10.0.0.0/24,lo");
  EXPECT_EQ(config.balancer, (BalancerConfig{.enabled = true,
                                             .address = "10.0.0.1",
                                             .network = "outside",
                                             .inside = "::1",
                                             .ingress = 8000,
                                             .ingress_tls = 0,
                                             .ports = {{"443", 8443}, {"80", 8080}},
                                             .certificates = "/srv/certificates",
                                             .spool = "/srv/balancer",
                                             .drain = seconds(5)}));
  EXPECT_EQ(config.priority, (PriorityConfig{.age = 100,
                                             .max_age = hours(336),
                                             .fair_share = 5,
                                             .size = 6,
                                             .queue = 7,
                                             .qos = 8,
                                             .resources = {{"gpu", 10}, {"memory", 9}}}));
  EXPECT_EQ(config.fair_share, (FairShareConfig{.classic = true,
                                                .half_life = {},
                                                .core_weight = 0.5,
                                                .memory_weight = 0.125,
                                                .named_weights = {{"gpu", 4}}}));
  EXPECT_THAT(config.qos, ElementsAre(std::pair("normal", 0), std::pair("urgent", 100)));
  ASSERT_EQ(config.queues.size(), 2u);
  const Queue& first = config.queues[0];
  EXPECT_THAT(first.nodes, ElementsAre(NodeName("n01"), NodeName("n02"), NodeName("n03")));
  EXPECT_EQ(first.priority, -5);
  EXPECT_EQ(first.default_limit, minutes(10));
  EXPECT_EQ(first.max_limit, hours(1));
  EXPECT_EQ(first.default_memory_per_core, mebibytes(1536));
  EXPECT_EQ(first.time_slicing, (TimeSlicing{3, seconds(45)}));
  EXPECT_EQ(config.queues[1].time_slicing, std::nullopt);
  EXPECT_FALSE(first.is_default);
  EXPECT_EQ(config.queues[1].nodes.size(), 3u);
  EXPECT_EQ(config.queues[1].max_limit, std::nullopt);
  EXPECT_TRUE(config.queues[1].is_default);
}

TEST(Config, AllErrorsComeAtOnceWithTheirLines) {
  EXPECT_THAT(errors_of(R"(leese: 10m
heartbeat: 5
allow_root_jobs: perhaps
key_file: relative
scheduler:
  listen: nowhere
  waivers: []
executor:
  cores: 0
  memory: 4
  waivers: [cgroup-memry]
queues:
  - name: a b
)"),
              ElementsAre("1: unknown key \"leese\"; did you mean \"lease\"?",
                          "2: heartbeat \"5\": is no time with a unit, as 45s, 10m, 1h30m or 2d",
                          "3: allow_root_jobs \"perhaps\": must be true or false",
                          "4: key_file \"relative\": must be an absolute path",
                          "6: listen \"nowhere\": must be <address>:<port>, as 10.0.0.1:6810",
                          "7: unknown key \"waivers\"; it belongs to executor:",
                          "9: cores \"0\": must be a whole number from 1 to 1000000",
                          "10: memory \"4\": is no size with a unit, as 512M or 4G",
                          "11: waivers \"cgroup-memry\": is no waiver; did you mean "
                          "\"cgroup-memory\"?",
                          "13: name \"a b\": names have 1 to 64 letters, digits, dots, dashes and "
                          "underscores"));
}

TEST(Config, TimeSlicesAreCheckedWithTheirLines) {
  EXPECT_THAT(errors_of("queues:\n"
                        "  - name: q\n"
                        "    time_slicing:\n"
                        "      gangs: 1\n"
                        "      slice: 10ms\n"
                        "      slices: 2\n"),
              ElementsAre("4: time_slicing: gangs \"1\": must be a whole number from 2 to 16",
                          "5: time_slicing: slice \"10ms\": must be at least 500ms",
                          "6: time_slicing: slices \"2\": time_slicing has gangs and slice"));
  EXPECT_THAT(
      errors_of("queues: [{name: q, time_slicing: yes}]"),
      ElementsAre("1: time_slicing \"yes\": must be {gangs: 2, slice: 30s}, or a part of that"));
}

TEST(Config, BrokenYamlIsOneErrorWithItsLine) {
  const auto errors = parse_config("cluster: a\nexecutor: [1, 2\n").errors;
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_GE(errors.front().line, 2);
}

TEST(Config, OtherShapesThanKeysWithValuesAreRefused) {
  EXPECT_THAT(errors_of("just words"),
              ElementsAre("1: the configuration: must be keys with values"));
  EXPECT_THAT(errors_of("cluster: a\nscheduler: 5"),
              ElementsAre("2: scheduler: must be keys with values"));
  EXPECT_THAT(errors_of("queues: {name: a}"), ElementsAre("1: queues: must be a list of queues"));
  EXPECT_THAT(errors_of("cluster: [a]"), ElementsAre("1: cluster: must be a text"));
  EXPECT_THAT(errors_of("operators:\n  - [a]"),
              ElementsAre("2: operators: must be a list of texts"));
  EXPECT_THAT(errors_of("cluster: a\n---\ncluster: b"),
              ElementsAre("0: the file has more than one document"));
}

TEST(Config, KeyWithoutAValueOrSetTwiceIsAnError) {
  EXPECT_THAT(errors_of("cluster:\nlease: 10m\nlease: 20m"),
              ElementsAre("1: cluster: has no value", "3: lease: is set already in line 2"));
}

TEST(Config, LeaseMustOutlastSeveralHeartbeats) {
  EXPECT_THAT(errors_of("lease: 10s\nheartbeat: 5s"),
              ElementsAre("2: lease 10s: must be at least three heartbeats of 5s"));
  EXPECT_THAT(errors_of("lease: 15s\nheartbeat: 5s"), IsEmpty());
}

TEST(Config, TimesAndSizesHaveAnEnd) {
  EXPECT_THAT(errors_of("queues:\n- {name: a, default_limit: 99999d}"),
              ElementsAre("2: default_limit \"99999d\": must be at most 3650d"));
  EXPECT_THAT(errors_of("kill_grace: 4000d"),
              ElementsAre("1: kill_grace \"4000d\": must be at most 3650d"));
  EXPECT_THAT(errors_of("queues:\n- {name: a, memory_per_core: 2000000T}"),
              ElementsAre("2: memory_per_core \"2000000T\": must be at most 1048576T"));
  EXPECT_THAT(errors_of("queues:\n- {name: a, default_limit: 3650d}"), IsEmpty());
}

TEST(Config, QueuesAreCheckedAgainstEachOther) {
  EXPECT_THAT(errors_of(R"(queues:
  - name: a
    default: true
  - name: a
  - name: b
    default: true
  - priority: 1
  - name: c
    default_limit: 2h
    max_limit: 1h
    nodes: n[1-
)"),
              ElementsAre("4: queue a: is there already in line 2",
                          "5: queue b: the default is already that of line 2",
                          "7: a queue needs a name", "8: queue c: default_limit is above max_limit",
                          HasSubstr("11: nodes \"n[1-\":")));
}

TEST(Config, FirstQueueIsTheDefaultIfNoneIsMarked) {
  const Config config = read("queues: [{name: a}, {name: b}]");
  EXPECT_TRUE(config.queues[0].is_default);
  EXPECT_FALSE(config.queues[1].is_default);
}

TEST(Config, ResourcesHaveNamesAndAmounts) {
  EXPECT_THAT(errors_of("executor:\n  resources: gpu"),
              ElementsAre("2: resources \"gpu\": must be names with amounts, as {gpu: 2}"));
  EXPECT_THAT(
      errors_of("executor:\n  resources:\n    gpu: none"),
      ElementsAre("3: resources: gpu \"none\": must be a whole number from 1 to 1000000000"));
}

// All values away from their defaults, some of them awkward.
Config unusual() {
  Config c;
  c.cluster = "null";
  c.key_file = "/etc/a file: with \"quotes\"\\ and #\n";
  c.lease = milliseconds(90'061'001);
  c.heartbeat = milliseconds(250);
  c.prepare_timeout = hours(49);
  c.kill_grace = Duration{};
  c.backfill = *parse_backfill_policy("easy:12");
  c.backfill.starvation_bound = hours(3);
  c.allow_root_jobs = true;
  c.operators = {"root", "true", "~", "Grace Hopper"};
  c.service_ports = {1, 2};
  c.endpoint_ports = {65535, 65535};
  c.scheduler = {"/run/x.sock", "[::]:6811", "/s"};
  c.executor.scheduler = "head.cluster:6811";
  c.executor.images = "/i";
  c.executor.scratch = "/sc";
  c.executor.address = "fe80::1";
  c.executor.cores = 3;
  c.executor.memory = Bytes{1234567};
  c.executor.named = {{"fpga", 1}, {"gpu", 8}};
  c.executor.cgroup = "a/b";
  c.executor.waivers = {Waiver::Seccomp, Waiver::OverlayFs};
  c.executor.shared_machine = true;
  c.mpi.tcp_networks = "10.77.0.0/24";
  c.balancer = {true, "10.0.0.1", "x",       "::1", 8000, 0, {{"443", 1}, {"80", 2}},
                "/c", "/b",       seconds(5)};
  c.priority = {1, hours(3), 2, 3, 4, 5, {{"cores", 6}, {"x", 7}}};
  c.fair_share = {true, Duration{}, 0.1, 1.0 / 3, {{"gpu", 1e5}}};
  c.qos = {{"high", 9}, {"low", -3}};
  Queue queue;
  queue.name = QueueName("q");
  queue.nodes = {NodeName("n01"), NodeName("n02"), NodeName("x")};
  queue.priority = 7;
  queue.default_limit = minutes(5);
  queue.max_limit = hours(30);
  queue.default_memory_per_core = gibibytes(3);
  queue.time_slicing = TimeSlicing{4, milliseconds(1500)};
  queue.is_default = true;
  c.queues = {queue, queue};
  c.queues[1].name = QueueName("r");
  c.queues[1].is_default = false;
  c.queues[1].nodes.clear();
  c.queues[1].max_limit.reset();
  return c;
}

TEST(Config, ANodeHasWhatAllEntriesThatNameItSay) {
  const Config config = read(
      "executor: {cores: 2, features: [ib], resources: {fpga: 1, gpu: 1}}\n"
      "nodes:\n"
      "  - {names: 'n[01-02]', features: [skylake, ib], cores: 4}\n"
      "  - {names: [n02, n09], features: big, resources: {gpu: 3}, memory: 8G}\n");
  using Named = std::vector<std::pair<std::string, std::int64_t>>;
  using Features = std::vector<std::string>;
  const ExecutorConfig both = executor_of(config, NodeName("n02"));
  EXPECT_EQ(both.features, (Features{"big", "ib", "skylake"}));
  EXPECT_EQ(both.named, (Named{{"fpga", 1}, {"gpu", 3}}));
  EXPECT_EQ(both.cores, 4);
  EXPECT_EQ(both.memory, gibibytes(8));
  const ExecutorConfig none = executor_of(config, NodeName("n03"));
  EXPECT_EQ(none.features, Features{"ib"});
  EXPECT_EQ(none.cores, 2);
}

TEST(Config, EntriesOfNodesAreChecked) {
  const ParsedConfig parsed = parse_config(
      "nodes:\n"
      "  - {features: [ib]}\n"
      "  - {names: 'n[1', features: ['a b']}\n"
      "  - {names: n1, feature: [ib]}\n");
  std::vector<int> lines;
  for (const ConfigError& error : parsed.errors) lines.push_back(error.line);
  EXPECT_EQ(lines, (std::vector<int>{2, 3, 3, 3, 4}));
  EXPECT_EQ(parsed.errors[0].message, "an entry of nodes needs names");
  EXPECT_THAT(parsed.errors.back().message, HasSubstr("did you mean \"features\"?"));
}

TEST(Config, WhatIsWrittenReadsBackTheSame) {
  Config defaults = read("");
  for (const Config& config : {defaults, unusual()}) {
    const std::string text = render_config(config);
    const ParsedConfig again = parse_config(text);
    for (const ConfigError& error : again.errors) {
      ADD_FAILURE() << error.line << ": " << error.message << "\n" << text;
    }
    EXPECT_EQ(render_config(again.config), text);
    EXPECT_EQ(again.config.cluster, config.cluster);
    EXPECT_EQ(again.config.key_file, config.key_file);
    EXPECT_EQ(again.config.lease, config.lease);
    EXPECT_EQ(again.config.heartbeat, config.heartbeat);
    EXPECT_EQ(again.config.prepare_timeout, config.prepare_timeout);
    EXPECT_EQ(again.config.kill_grace, config.kill_grace);
    EXPECT_EQ(again.config.backfill, config.backfill);
    EXPECT_EQ(again.config.allow_root_jobs, config.allow_root_jobs);
    EXPECT_EQ(again.config.operators, config.operators);
    EXPECT_EQ(again.config.scheduler.socket, config.scheduler.socket);
    EXPECT_EQ(again.config.scheduler.listen, config.scheduler.listen);
    EXPECT_EQ(again.config.scheduler.spool, config.scheduler.spool);
    EXPECT_EQ(again.config.executor.scheduler, config.executor.scheduler);
    EXPECT_EQ(again.config.executor.images, config.executor.images);
    EXPECT_EQ(again.config.executor.scratch, config.executor.scratch);
    EXPECT_EQ(again.config.executor.address, config.executor.address);
    EXPECT_EQ(again.config.executor.cores, config.executor.cores);
    EXPECT_EQ(again.config.executor.memory, config.executor.memory);
    EXPECT_EQ(again.config.executor.named, config.executor.named);
    EXPECT_EQ(again.config.executor.cgroup, config.executor.cgroup);
    EXPECT_EQ(again.config.executor.waivers, config.executor.waivers);
    EXPECT_EQ(again.config.executor.shared_machine, config.executor.shared_machine);
    EXPECT_EQ(again.config.mpi.tcp_networks, config.mpi.tcp_networks);
    EXPECT_EQ(again.config.balancer, config.balancer);
    EXPECT_EQ(again.config.priority, config.priority);
    EXPECT_EQ(again.config.fair_share, config.fair_share);
    EXPECT_EQ(again.config.qos, config.qos);
    EXPECT_EQ(again.config.nodes, config.nodes);
    EXPECT_EQ(again.config.executor.features, config.executor.features);
    EXPECT_EQ(again.config.queues, config.queues);
  }
}

TEST(Config, FairSharesAndPrioritiesAreCheckedToo) {
  EXPECT_THAT(errors_of("priority: {age: -1}\n"),
              ElementsAre("1: age \"-1\": must be a whole number from 0 to 10000000"));
  EXPECT_THAT(errors_of("fair_share: {weights: {gpu: -2}}\n"),
              ElementsAre("1: weights: gpu \"-2\": must be a number from 0 to 1000000"));
  EXPECT_THAT(errors_of("fair_share: {algorithm: best}\n"),
              ElementsAre("1: algorithm \"best\": must be tree or classic"));
}

TEST(Config, LoadingNamesTheFileTheLineAndHowManyMoreErrorsThereAre) {
  char name[] = "/tmp/gangway_config_XXXXXX";
  const int fd = ::mkstemp(name);
  CHECK(fd >= 0);
  ::close(fd);
  { std::ofstream(name) << "cluster: a\nleese: 1m\nheartbeat: x\n"; }
  const auto broken = load_config(name);
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().kind(), ErrorKind::Invalid);
  EXPECT_EQ(broken.error().message(),
            cat(name, ":2: unknown key \"leese\"; did you mean \"lease\"? (and 1 more; jctl check ",
                name, " shows all)"));
  { std::ofstream(name) << "cluster: a\n"; }
  EXPECT_EQ(load_config(name)->cluster, "a");
  ::unlink(name);
  EXPECT_EQ(load_config(name).error().kind(), ErrorKind::NotFound);
}

// The keys are those that a written file has, set or in a comment.
TEST(Config, DocumentAndManualPageHaveEveryKey) {
  std::ifstream file(GANGWAY_SOURCE_DIR "/docs/configuration.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  std::ifstream page_file(GANGWAY_SOURCE_DIR "/docs/man/gangway.yaml.5");
  const std::string page{std::istreambuf_iterator<char>(page_file), {}};
  std::istringstream rendered(render_config(Config{unusual()}) + render_config(read("")));
  int keys = 0;
  for (std::string line; std::getline(rendered, line);) {
    const std::size_t begin = line.find_first_not_of(" -#");
    const std::size_t end = line.find(':');
    if (begin == std::string::npos || end == std::string::npos) continue;
    const std::string key = line.substr(begin, end - begin);
    if (key.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") != std::string::npos) continue;
    ++keys;
    EXPECT_THAT(document, HasSubstr("`" + key + "`"));
    EXPECT_THAT(page, testing::ContainsRegex("\n\\.B (.*, )?" + key + "(,|\n)"));
  }
  EXPECT_GT(keys, 50);
}

}  // namespace
}  // namespace gangway::config
