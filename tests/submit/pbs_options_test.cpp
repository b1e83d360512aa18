#include "submit/pbs_options.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "submit/jobspec_parse.hpp"

namespace gangway::submit {
namespace {

Result<ParsedJob> parse(const std::string& directives) {
  return parse_job(
      {}, {.script = "#!/bin/sh\n" + directives + "\n", .argv = {}, .default_name = "j"}, "job.pbs",
      {.directory = "/home/ann", .environment = {}, .umask = 022, .now = {}});
}

Component component_of(const Result<ParsedJob>& job) {
  EXPECT_TRUE(job) << (job ? "" : job.error().message());
  return job ? job->spec.components.at(0) : Component{};
}

TEST(PbsOptions, NodesAndProcessorsMakeTasks) {
  const Component component = component_of(parse("#PBS -l nodes=2:ppn=16,walltime=1:30:00"));
  EXPECT_EQ(component.nodes, 2);
  EXPECT_EQ(component.tasks, 32);
}

TEST(PbsOptions, SelectMakesNodesTasksCoresAndMemory) {
  const Component component =
      component_of(parse("#PBS -l select=4:ncpus=8:mpiprocs=2:mem=8gb:ngpus=1"));
  EXPECT_EQ(component.nodes, 4);
  EXPECT_EQ(component.tasks, 8);
  EXPECT_EQ(component.cpus_per_task, 4);
  EXPECT_EQ(component.memory_per_node, gibibytes(8));
  EXPECT_EQ(component.named_per_node.amount_of("gpu"), 1);
}

TEST(PbsOptions, ChunksOfDifferentShapeAreComponents) {
  const auto job =
      parse("#PBS -l select=1:ncpus=2:ngpus=1+2:ncpus=4:mpiprocs=4\n#PBS -l walltime=60");
  ASSERT_TRUE(job) << job.error().message();
  const auto& parts = job->spec.components;
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].named_per_node.amount_of("gpu"), 1);
  EXPECT_EQ(parts[1].nodes, 2);
  EXPECT_EQ(parts[1].tasks, 8);
}

TEST(PbsOptions, PropertiesOfNodesAreFeatures) {
  EXPECT_EQ(component_of(parse("#PBS -l nodes=2:ppn=4:ib:bigmem")).constraint, "ib&bigmem");
  EXPECT_EQ(component_of(parse("#PBS -l feature=ib")).constraint, "ib");
}

TEST(PbsOptions, VariablesOfSeveralLinesAddUpInEitherOrder) {
  for (const char* const lines : {"#PBS -v FOO=1\n#PBS -V\n#PBS -v 'BAR=a b',BAZ=2",
                                  "#PBS -V\n#PBS -v FOO=1,'BAR=a b'\n#PBS -v BAZ=2"}) {
    const auto job = parse(lines);
    ASSERT_TRUE(job) << job.error().message();
    for (const char* const variable : {"FOO=1", "BAR=a b", "BAZ=2"}) {
      EXPECT_NE(std::find(job->spec.env.begin(), job->spec.env.end(), variable),
                job->spec.env.end())
          << variable;
    }
  }
}

TEST(PbsOptions, ADateIsABeginTime) {
  EXPECT_EQ(parse("#PBS -a 203002031415.30")->spec.not_before,
            parse_begin("2030-02-03T14:15:30", {}));
  EXPECT_EQ(parse("#PBS -a 7002031415")->spec.not_before, parse_begin("1970-02-03T14:15:00", {}));
  EXPECT_FALSE(parse("#PBS -a 203002311415"));
  EXPECT_FALSE(parse("#PBS -a tomorrow"));
  const Time now = *parse_begin("2026-11-24T16:30:00", {});
  EXPECT_EQ(parse_pbs_date("12241630", now), parse_begin("2026-12-24T16:30:00", now));
  EXPECT_EQ(parse_pbs_date("01021630", now), parse_begin("2027-01-02T16:30:00", now));
  EXPECT_EQ(parse_pbs_date("1200", now), parse_begin("2026-11-25T12:00:00", now));
  EXPECT_EQ(parse_pbs_date("251200", now), parse_begin("2026-11-25T12:00:00", now));
}

TEST(PbsOptions, NamesOfOutputsAreAsPbsMeansThem) {
  const auto out = [](const std::string& name) { return parse("#PBS -o " + name)->spec.stdio.out; };
  EXPECT_EQ(out("out.$PBS_JOBID"), "out.%j");
  EXPECT_EQ(out("${PBS_JOBNAME}.log"), "%x.log");
  EXPECT_EQ(out("login1:/scratch/ann/out"), "/scratch/ann/out");
  EXPECT_EQ(out("logs/"), "logs/%x.o%j");
  EXPECT_EQ(out("100%"), "100%%");
  EXPECT_EQ(parse("#PBS -t 1-3\n#PBS -o r.$PBS_JOBID")->spec.stdio.out, "r.%A_%a");
}

TEST(PbsOptions, WalltimeHasDaysAndPlainSeconds) {
  EXPECT_EQ(parse("#PBS -l walltime=90")->spec.time_limit, seconds(90));
  EXPECT_EQ(parse("#PBS -l walltime=200:0:0")->spec.time_limit, hours(200));
  EXPECT_EQ(parse("#PBS -l walltime=01:20:00:00")->spec.time_limit, hours(44));
}

TEST(PbsOptions, NamesAndFilesAreOurs) {
  const auto job =
      parse("#PBS -N pde -q gpu -A proj\n#PBS -o out -e err -j oe\n#PBS -r n\n#PBS -W umask=027");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->spec.name, "pde");
  EXPECT_EQ(job->spec.queue.value, "gpu");
  EXPECT_EQ(job->spec.account.value, "proj");
  EXPECT_EQ(job->spec.stdio.out, "out");
  EXPECT_EQ(job->spec.stdio.err, "");
  EXPECT_FALSE(job->spec.requeue);
  EXPECT_EQ(job->spec.umask, 027U);
}

TEST(PbsOptions, DependenciesLoseTheServersName) {
  const auto job = parse("#PBS -W depend=afterok:12.server.example:13.server.example");
  ASSERT_TRUE(job) << job.error().message();
  ASSERT_EQ(job->spec.dependencies.size(), 2U);
  EXPECT_EQ(job->spec.dependencies[1].on, JobId{13});
}

TEST(PbsOptions, WhatHasNoCounterpartIsNamed) {
  const auto job = parse("#PBS -m abe -M ann@example.org\n#PBS -l vmem=4gb,select=1:vnode=x");
  ASSERT_TRUE(job) << job.error().message();
  EXPECT_EQ(job->warnings,
            std::vector<std::string>{"without effect here: -l vmem, -l select:vnode"});
}

TEST(PbsOptions, ErrorsNameTheResource) {
  EXPECT_EQ(
      parse("#PBS -l walltime=soon").error().message(),
      "job.pbs:2: option -l walltime: \"soon\" is not a run time; it is written 1:30:00 or in "
      "seconds");
}

TEST(PbsOptions, ArraysAndMailsAreAsWithSlurm) {
  const auto job = parse("#PBS -J 1-10:3 -m ae -M ann@example.org");
  ASSERT_TRUE(job) << job.error().message();
  EXPECT_EQ(job->spec.array->indexes.count(), 4U);
  EXPECT_TRUE(job->spec.mail.end && job->spec.mail.fail && !job->spec.mail.begin);
  EXPECT_EQ(job->spec.mail.user, "ann@example.org");
}

TEST(PbsOptions, TheScriptFindsTheDirectoryItWasSubmittedIn) {
  const auto job = parse("#PBS -N x");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->spec.env,
            (std::vector<std::string>{"PBS_ENVIRONMENT=PBS_BATCH", "PBS_O_WORKDIR=/home/ann"}));
  EXPECT_TRUE(parse("#SBATCH -N 1")->spec.env.empty());
}

}  // namespace
}  // namespace gangway::submit
