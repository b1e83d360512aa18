#include "queues/model/job_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace gangway {
namespace {

using testing::HasSubstr;

JobSpec good_spec() {
  JobSpec spec;
  spec.name = "solve";
  spec.components = {Component{.nodes = 2, .tasks = 4, .cpus_per_task = 2}};
  spec.argv = {"./solve", ""};
  spec.launch = LaunchMode::Tasks;
  spec.mpi = MpiMode::Pmix;
  spec.env = {"PATH=/bin", "EMPTY="};
  spec.workdir = "/home/ada";
  spec.time_limit = hours(1);
  spec.image = ImageSpec{.kind = ImageKind::OciLayout,
                         .path = "/images/debian",
                         .reference = "12",
                         .manifest_digest = "sha256:" + std::string(64, 'a')};
  spec.binds = {{.source = "/data", .destination = "/data", .read_only = true}};
  spec.dependencies = {{.kind = DependencyKind::AfterOk, .on = JobId{7}},
                       {.kind = DependencyKind::Singleton}};
  return spec;
}

TEST(JobSpec, GoodOneIsValid) {
  const auto valid = validate(good_spec());
  EXPECT_TRUE(valid) << valid.error().message();
}

struct Broken {
  std::string says;
  std::function<void(JobSpec&)> by;
};

class BrokenSpec : public testing::TestWithParam<Broken> {};

TEST_P(BrokenSpec, IsRefusedNamingOptionAndValue) {
  JobSpec spec = good_spec();
  GetParam().by(spec);
  const auto valid = validate(spec);
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().kind(), ErrorKind::Invalid);
  EXPECT_THAT(valid.error().message(), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All,
    BrokenSpec,
    testing::Values(
        Broken{"at least one component", [](JobSpec& s) { s.components.clear(); }},
        Broken{"--nodes=0", [](JobSpec& s) { s.components[0].nodes = 0; }},
        Broken{"--nodes=-1", [](JobSpec& s) { s.components[0].nodes = -1; }},
        Broken{"--nodes=100001", [](JobSpec& s) { s.components[0].nodes = 100'001; }},
        Broken{"--ntasks=1 is less than --nodes=2", [](JobSpec& s) { s.components[0].tasks = 1; }},
        Broken{"--cpus-per-task=0", [](JobSpec& s) { s.components[0].cpus_per_task = 0; }},
        Broken{"--mem=-1", [](JobSpec& s) { s.components[0].memory_per_node = {-1}; }},
        Broken{"--mem=128T",
               [](JobSpec& s) { s.components[0].memory_per_node = gibibytes(128 << 10); }},
        Broken{"--gres=gpu:-1",
               [](JobSpec& s) {
                 s.components[0].named_per_node.named = {{"gpu", -1}};
               }},
        Broken{"--gres: \"gpu:1, tpu\" is no name",
               [](JobSpec& s) {
                 s.components[0].named_per_node.named = {{"gpu:1, tpu", 1}};
               }},
        Broken{"--gres: \"gpu:a:b\" is no name",
               [](JobSpec& s) {
                 s.components[0].named_per_node.named = {{"gpu:a:b", 1}};
               }},
        Broken{"--nodelist leaves only 1",
               [](JobSpec& s) {
                 s.components[0].only_nodes = {NodeName{"a"}, NodeName{"b"}};
                 s.components[0].not_nodes = {NodeName{"b"}};
               }},
        Broken{"--nodes: 120000 in all",
               [](JobSpec& s) {
                 s.components.assign(2, Component{.nodes = 60'000, .tasks = 60'000});
               }},
        Broken{"nothing to run", [](JobSpec& s) { s.argv.clear(); }},
        Broken{"the command is empty", [](JobSpec& s) { s.argv[0].clear(); }},
        Broken{"the script is empty",
               [](JobSpec& s) {
                 s.script = " \n";
                 s.launch = LaunchMode::Batch;
                 s.mpi = MpiMode::None;
               }},
        Broken{"the script has 4194305 bytes",
               [](JobSpec& s) { s.script.assign(kMaxScriptBytes + 1, 'x'); }},
        Broken{"not a text",
               [](JobSpec& s) {
                 s.script = std::string(
                     "\x7f"
                     "ELF\0",
                     5);
               }},
        Broken{"started once", [](JobSpec& s) { s.script = "#!/bin/sh\n"; }},
        Broken{"--mpi", [](JobSpec& s) { s.launch = LaunchMode::Batch; }},
        Broken{"has a zero byte", [](JobSpec& s) { s.argv[1] = std::string("a\0b", 3); }},
        Broken{"at most 131071", [](JobSpec& s) { s.argv[1].assign(200'000, 'x'); }},
        Broken{"command: 1100", [](JobSpec& s) { s.argv.assign(11, std::string(100'000, 'x')); }},
        Broken{"\"PATH\" is not NAME=value", [](JobSpec& s) { s.env = {"PATH"}; }},
        Broken{"\"=x\" is not NAME=value", [](JobSpec& s) { s.env = {"=x"}; }},
        Broken{"--chdir: \"tmp\" is not an absolute path", [](JobSpec& s) { s.workdir = "tmp"; }},
        Broken{"--chdir: \"\"", [](JobSpec& s) { s.workdir = ""; }},
        Broken{"--output", [](JobSpec& s) { s.stdio.out.assign(5000, 'x'); }},
        Broken{"umask", [](JobSpec& s) { s.umask = 01000; }},
        Broken{"--image: \"debian\"", [](JobSpec& s) { s.image->path = "debian"; }},
        Broken{"sha256:", [](JobSpec& s) { s.image->manifest_digest = "sha256:abc"; }},
        Broken{"sha256:", [](JobSpec& s) { s.image->manifest_digest.back() = 'G'; }},
        Broken{"--bind", [](JobSpec& s) { s.binds[0].source = "data"; }},
        Broken{"\"..\"", [](JobSpec& s) { s.binds[0].destination = "/a/../../etc"; }},
        Broken{"root directory", [](JobSpec& s) { s.binds[0].destination = "//"; }},
        Broken{"--dependency=afterok: the job is missing",
               [](JobSpec& s) { s.dependencies[0].on = JobId{}; }},
        Broken{"only \"after\" takes a delay",
               [](JobSpec& s) { s.dependencies[0].delay = seconds(1); }},
        Broken{"--time=0:00", [](JobSpec& s) { s.time_limit = Duration{}; }},
        Broken{"146 years", [](JobSpec& s) { s.time_limit = kMaxDuration + seconds(1); }},
        Broken{"--begin", [](JobSpec& s) { s.not_before = Time{-1}; }},
        Broken{"--job-name", [](JobSpec& s) { s.name.assign(300, 'x'); }},
        Broken{"--job-name: \"a?b\" has a control character", [](JobSpec& s) { s.name = "a\nb"; }},
        Broken{"is not UTF-8", [](JobSpec& s) { s.comment = "\xe4"; }}));

TEST(Component, AsksEachNodeForTheFullestNodesShare) {
  Component c{.nodes = 3, .tasks = 7, .cpus_per_task = 2, .memory_per_node = gibibytes(1)};
  c.named_per_node.set_named("gpu", 1);
  Resources expected{.cores = 6, .memory = gibibytes(1)};
  expected.set_named("gpu", 1);
  EXPECT_EQ(c.per_node(), expected);
}

TEST(JobSpec, TotalsAreOverAllComponents) {
  JobSpec spec;
  spec.components = {Component{.nodes = 1, .tasks = 2}, Component{.nodes = 3, .tasks = 3}};
  EXPECT_EQ(spec.total_nodes(), 4);
  EXPECT_EQ(spec.total_tasks(), 5);
}

}  // namespace
}  // namespace gangway
