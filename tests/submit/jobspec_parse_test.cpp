#include "submit/jobspec_parse.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace gangway::submit {
namespace {

Surroundings around(std::vector<std::string> environment = {"HOME=/home/ann", "PATH=/bin"}) {
  return {
      .directory = "/home/ann/run", .environment = std::move(environment), .umask = 027, .now = {}};
}

std::vector<GivenOption> options(std::vector<std::string> words) {
  auto parsed = parse_command_line(job_option_names(), words);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message());
  return parsed ? parsed->options : std::vector<GivenOption>{};
}

// A command with these options.
Result<ParsedJob> command(std::vector<std::string> words,
                          std::vector<std::string> environment = {"HOME=/home/ann"}) {
  return parse_job(options(std::move(words)),
                   {.script = "", .argv = {"solver"}, .default_name = "s"}, "",
                   around(std::move(environment)));
}

Result<ParsedJob> script(const std::string& directives,
                         std::vector<std::string> words = {},
                         std::vector<std::string> environment = {"HOME=/home/ann"}) {
  return parse_job(
      options(std::move(words)),
      {.script = "#!/bin/sh\n" + directives + "\necho\n", .argv = {}, .default_name = "job.sh"},
      "job.sh", around(std::move(environment)));
}

std::string message_of(const Result<ParsedJob>& job) {
  return job ? "no error" : job.error().message();
}

Component component_of(const Result<ParsedJob>& job) {
  EXPECT_TRUE(job) << message_of(job);
  return job ? job->spec.components.at(0) : Component{};
}

// ---- counts -------------------------------------------------------------------------------------

struct CountCase {
  std::vector<std::string> words;
  int nodes;
  int tasks;
};
class TaskCounts : public testing::TestWithParam<CountCase> {};

TEST_P(TaskCounts, FollowFromWhatIsGiven) {
  const Component component = component_of(command(GetParam().words));
  EXPECT_EQ(component.nodes, GetParam().nodes);
  EXPECT_EQ(component.tasks, GetParam().tasks);
}

INSTANTIATE_TEST_SUITE_P(Slurm,
                         TaskCounts,
                         testing::Values(CountCase{{}, 1, 1},
                                         CountCase{{"-N4"}, 4, 4},
                                         CountCase{{"-n8"}, 1, 8},
                                         CountCase{{"-N4", "-n8"}, 4, 8},
                                         CountCase{{"-N4", "--ntasks-per-node=2"}, 4, 8},
                                         CountCase{{"-n7", "--ntasks-per-node=2"}, 4, 7},
                                         CountCase{{"--ntasks-per-node=3"}, 1, 3},
                                         CountCase{{"-N2-4"}, 2, 2},
                                         CountCase{{"-w", "n[1-3]"}, 3, 3},
                                         CountCase{{"-w", "n[1-3]", "-N2"}, 2, 2},
                                         CountCase{{"-N8", "-n3"}, 3, 3}));

TEST(JobspecParse, TasksThatDoNotFitAreRefused) {
  EXPECT_EQ(message_of(command({"-N2", "-n9", "--ntasks-per-node=4"})),
            "--ntasks=9 does not fit: --nodes=2 with --ntasks-per-node=4 have room for 8");
}

TEST(JobspecParse, FewerTasksThanNodesAreAWarning) {
  const auto job = command({"-N8", "-n3"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->warnings,
            std::vector<std::string>{"--ntasks=3 on --nodes=8 leaves nodes idle; using 3"});
}

// ---- features and components ----

TEST(JobspecParse, AConstraintIsKeptAndItsCountsMakeNodes) {
  EXPECT_EQ(component_of(command({"-C", " ib&ssd "})).constraint, "ib&ssd");
  const Component counted = component_of(command({"-C", "a*2&b*1"}));
  EXPECT_EQ(counted.nodes, 3);
  EXPECT_EQ(component_of(script("#SBATCH -C a100 -N 2")).constraint, "a100");
  EXPECT_EQ(message_of(command({"-C", "a&"})),
            "option -C: \"a&\": the name of a feature is missing at its end");
  EXPECT_EQ(message_of(command({"-N2", "-C", "a*3"})),
            "--constraint=\"a*3\" asks for 3 nodes, --nodes=2 are fewer");
}

// Tasks without a number of nodes take as many as they need of those there are.
Result<ParsedJob> command_where(std::vector<Resources> nodes, std::vector<std::string> words) {
  Surroundings here = around({});
  here.nodes = std::move(nodes);
  return parse_job(options(std::move(words)),
                   {.script = "", .argv = {"solver"}, .default_name = "s"}, "", here);
}
Resources machine(std::int64_t cores, std::int64_t gpus = 0) {
  Resources r{.cores = cores, .memory = gibibytes(16), .named = {}};
  if (gpus > 0) r.set_named("gpu", gpus);
  return r;
}

TEST(JobspecParse, TasksWithoutANumberOfNodesTakeAsManyAsTheyNeed) {
  const std::vector<Resources> two = {machine(2), machine(2)};
  const auto nodes_of = [](const Result<ParsedJob>& job) { return component_of(job).nodes; };
  EXPECT_EQ(nodes_of(command({"-n3"})), 1);
  EXPECT_TRUE(command({"-n3"})->nodes_are_open);
  EXPECT_EQ(nodes_of(command_where(two, {"-n2"})), 1);
  EXPECT_EQ(nodes_of(command_where(two, {"-n3"})), 2);
  EXPECT_EQ(nodes_of(command_where(two, {"-n4", "-N1-2"})), 2);
  EXPECT_EQ(nodes_of(command_where({machine(8), machine(4), machine(4)}, {"-n12"})), 3);
  EXPECT_EQ(nodes_of(command_where({machine(8, 1), machine(8, 1)}, {"-n4", "-G2"})), 2);
  EXPECT_EQ(component_of(command_where(two, {"-n4", "--mem-per-cpu=1G"})).memory_per_node,
            gibibytes(2));
}

TEST(JobspecParse, ANumberOfNodesThatWasGivenStays) {
  const std::vector<Resources> two = {machine(2), machine(2)};
  EXPECT_EQ(component_of(command_where(two, {"-n4", "-N1"})).nodes, 1);
  EXPECT_FALSE(command({"-n4", "-N1"})->nodes_are_open);
  EXPECT_FALSE(command({"-n4", "-w", "n[1-2]"})->nodes_are_open);
  EXPECT_FALSE(command({"-c4"})->nodes_are_open);
  EXPECT_EQ(component_of(command_where(two, {"-n5"})).nodes, 1) << "there is never room";
}

TEST(JobspecParse, LinesOfAScriptThatContradictEachOtherAreNamed) {
  EXPECT_EQ(
      message_of(script("#SBATCH -N 2 -n 5\n#SBATCH --ntasks-per-node=2")),
      "job.sh:3: --ntasks=5 does not fit: --nodes=2 with --ntasks-per-node=2 have room for 4");
  EXPECT_EQ(message_of(script("#SBATCH -G 1 --cpus-per-gpu=2 -c 2")),
            "job.sh:2: --cpus-per-gpu excludes --cpus-per-task");
  EXPECT_EQ(message_of(script("#SBATCH -N 2 --ntasks-per-node=2", {"-n5"})),
            "--ntasks=5 does not fit: --nodes=2 with --ntasks-per-node=2 have room for 4");
}

TEST(JobspecParse, ACommaInQuotesBelongsToTheValue) {
  EXPECT_EQ(command({"--export=ARG='a,b',HOME,X=\"1,2\""})->spec.env,
            (std::vector<std::string>{"ARG=a,b", "HOME=/home/ann", "X=1,2"}));
  EXPECT_EQ(command({"--export=SAY=don't,Y=1"})->spec.env,
            (std::vector<std::string>{"SAY=don't", "Y=1"}));
}

TEST(JobspecParse, EveryInputVariableOfSbatchIsKnown) {
  const std::vector<std::string_view> known = option_variables();
  for (const std::string_view suffix : {"ACCOUNT",
                                        "ACCTG_FREQ",
                                        "ARRAY_INX",
                                        "BATCH",
                                        "CLUSTERS",
                                        "CONSTRAINT",
                                        "CONTAINER",
                                        "CONTAINER_ID",
                                        "CORE_SPEC",
                                        "CPUS_PER_GPU",
                                        "DEBUG",
                                        "DELAY_BOOT",
                                        "DISTRIBUTION",
                                        "ERROR",
                                        "EXCLUSIVE",
                                        "EXPORT",
                                        "GET_USER_ENV",
                                        "GPU_BIND",
                                        "GPU_FREQ",
                                        "GPUS",
                                        "GPUS_PER_NODE",
                                        "GPUS_PER_TASK",
                                        "GRES",
                                        "GRES_FLAGS",
                                        "HINT",
                                        "IGNORE_PBS",
                                        "INPUT",
                                        "JOB_NAME",
                                        "MEM_BIND",
                                        "MEM_PER_CPU",
                                        "MEM_PER_GPU",
                                        "MEM_PER_NODE",
                                        "NETWORK",
                                        "NO_KILL",
                                        "NO_REQUEUE",
                                        "OPEN_MODE",
                                        "OUTPUT",
                                        "OVERCOMMIT",
                                        "PARTITION",
                                        "POWER",
                                        "PROFILE",
                                        "QOS",
                                        "REQ_SWITCH",
                                        "REQUEUE",
                                        "RESERVATION",
                                        "SIGNAL",
                                        "SPREAD_JOB",
                                        "THREAD_SPEC",
                                        "THREADS_PER_CORE",
                                        "TIMELIMIT",
                                        "TRES_BIND",
                                        "TRES_PER_TASK",
                                        "USE_MIN_NODES",
                                        "WAIT",
                                        "WAIT4SWITCH",
                                        "WAIT_ALL_NODES",
                                        "WCKEY"}) {
    EXPECT_NE(std::ranges::find(known, suffix), known.end()) << suffix;
  }
  EXPECT_EQ(command({}, {"SBATCH_ARRAY_INX=0-3"})->spec.array->indexes.count(), 4U);
  EXPECT_NE(message_of(command({}, {"SBATCH_CONTAINER=/x"})).find("--container: not supported"),
            std::string::npos);
}

TEST(JobspecParse, AListOfQueuesIsTriedInItsOrder) {
  const auto job = command({"-p", "short,long,all"});
  ASSERT_TRUE(job) << message_of(job);
  EXPECT_EQ(job->spec.queue.value, "short");
  EXPECT_EQ(job->choices.other_queues, (std::vector<std::string>{"long", "all"}));
  EXPECT_FALSE(command({"-p", "short,"}));
}

TEST(JobspecParse, MoreNodesThanAreListedAreRefusedInWords) {
  EXPECT_EQ(message_of(command({"-N2", "-w", "n01"})),
            "--nodes=2 with --nodelist of 1: a job runs on the listed nodes and no others; list as "
            "many as it needs");
}

TEST(JobspecParse, AScriptForSlurmWritesWhereSlurmWould) {
  EXPECT_EQ(script("#SBATCH -n1")->spec.stdio.out, "slurm-%j.out");
  EXPECT_EQ(script("#SBATCH --array=1-2")->spec.stdio.out, "slurm-%A_%a.out");
  EXPECT_EQ(script("#SBATCH -o mine")->spec.stdio.out, "mine");
  EXPECT_EQ(script("#JOB -n1")->spec.stdio.out, "");
}

TEST(JobspecParse, AByteOrderMarkIsNamed) {
  const Result<void> checked = check_script("\xEF\xBB\xBF#!/bin/sh\ntrue\n", "job.sh");
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message().find("byte order mark"), std::string::npos);
}

TEST(JobspecParse, VariablesOfTheSubmissionAreThisJobs) {
  const auto job = command({"--ntasks-per-node=2", "--mem-per-cpu=512M"},
                           {"SLURM_MEM_PER_NODE=9", "SLURM_NTASKS_PER_NODE=9"});
  EXPECT_EQ(job->spec.env,
            (std::vector<std::string>{"SLURM_NTASKS_PER_NODE=2", "SLURM_MEM_PER_CPU=512"}));
}

TEST(JobspecParse, ColonsPartTheComponentsOfAGang) {
  const auto job =
      command({"-t5", "-N1", "--gres=gpu:1", ":", "-N4", "-n8", "-c2", ":", "--mem=1G"});
  ASSERT_TRUE(job) << message_of(job);
  const auto& parts = job->spec.components;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].nodes, 1);
  EXPECT_EQ(parts[0].named_per_node.amount_of("gpu"), 1);
  EXPECT_EQ(parts[1].nodes, 4);
  EXPECT_EQ(parts[1].tasks, 8);
  EXPECT_EQ(parts[1].cpus_per_task, 2);
  EXPECT_TRUE(parts[1].named_per_node.is_zero());
  EXPECT_EQ(parts[2].memory_per_node, gibibytes(1));
  EXPECT_EQ(job->spec.time_limit, minutes(5));
  EXPECT_EQ(job->spec.launch, LaunchMode::Tasks);
}

TEST(JobspecParse, AScriptPartsItsComponentsByHetjob) {
  const auto job =
      script("#SBATCH -N1 -p fat -t 10\n#SBATCH hetjob\n#SBATCH -N3 -p fat\n#SBATCH -t 10",
             {"-c3", ":", "-c4"}, {"HOME=/home/ann", "SBATCH_GRES=nic:1"});
  ASSERT_TRUE(job) << message_of(job);
  const auto& parts = job->spec.components;
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].nodes, 1);
  EXPECT_EQ(parts[0].cpus_per_task, 3);
  EXPECT_EQ(parts[1].nodes, 3);
  EXPECT_EQ(parts[1].cpus_per_task, 4);
  for (const Component& part : parts) EXPECT_EQ(part.named_per_node.amount_of("nic"), 1);
  EXPECT_EQ(job->spec.queue, QueueName("fat"));
}

TEST(JobspecParse, WhatIsOfTheWholeJobIsSaidOnce) {
  EXPECT_EQ(message_of(command({"-N1", "-t5", ":", "-N2", "-t6"})),
            "option -t: is of the whole job, and said with another value before");
  const auto late = command({"-N1", ":", "-N2", "-t6", "-J", "two"});
  ASSERT_TRUE(late) << message_of(late);
  EXPECT_EQ(late->spec.time_limit, minutes(6));
  EXPECT_EQ(late->spec.name, "two");
  EXPECT_EQ(
      message_of(command({":", "-n9", "-N2", "--ntasks-per-node=4"})),
      "component 1: --ntasks=9 does not fit: --nodes=2 with --ntasks-per-node=4 have room for 8");
}

// ---- memory and named resources -----------------------------------------------------------------

TEST(JobspecParse, MemoryIsInMebibytesWithoutUnit) {
  EXPECT_EQ(component_of(command({"--mem=4000"})).memory_per_node, mebibytes(4000));
  EXPECT_EQ(component_of(command({"--mem=12gb"})).memory_per_node, gibibytes(12));
}

TEST(JobspecParse, MemoryPerCpuCountsTheFullestNode) {
  const Component component = component_of(command({"-N2", "-n5", "-c4", "--mem-per-cpu=1G"}));
  EXPECT_EQ(component.memory_per_node, gibibytes(12));  // three tasks of four cores
}

TEST(JobspecParse, AllOfANodesMemoryIsTheWholeNode) {
  const Component component = component_of(command({"--mem=0"}));
  EXPECT_TRUE(component.exclusive);
  EXPECT_EQ(component.memory_per_node, Bytes{});
}

TEST(JobspecParse, MemoryOptionsOfOneSourceExcludeEachOther) {
  EXPECT_EQ(message_of(command({"--mem=1G", "--mem-per-cpu=1G"})),
            "option --mem-per-cpu: excludes --mem; give one of them");
  EXPECT_EQ(message_of(script("#SBATCH --mem=1G\n#SBATCH --mem-per-cpu=1G")),
            "job.sh:3: option --mem-per-cpu: excludes job.sh:2: --mem; give one of them");
}

TEST(JobspecParse, StrongerSourceReplacesAnotherKindOfMemory) {
  const Component component =
      component_of(script("#SBATCH --mem=64G", {"--mem-per-cpu=1G", "-c2"}));
  EXPECT_EQ(component.memory_per_node, gibibytes(2));
}

TEST(JobspecParse, MemoryThatNoNumberHoldsIsRefused) {
  EXPECT_FALSE(command({"--mem-per-cpu=8000000T", "-c", "1000000", "-n", "1000000"}));
}

TEST(JobspecParse, GpusAreCountedForEachNode) {
  const auto gpus = [](std::vector<std::string> words) {
    return component_of(command(std::move(words))).named_per_node.amount_of("gpu");
  };
  EXPECT_EQ(gpus({"--gres=gpu:2"}), 2);
  EXPECT_EQ(gpus({"--gpus-per-node=a100:2"}), 2);
  EXPECT_EQ(gpus({"-N2", "--gpus=5"}), 3);
  EXPECT_EQ(gpus({"-N2", "-n6", "--gpus-per-task=1"}), 3);
  EXPECT_EQ(gpus({"--gres=none"}), 0);
}

TEST(JobspecParse, TypesOfGpusCountForTheirKindToo) {
  using Amounts = std::vector<std::pair<std::string, std::int64_t>>;
  const auto named = [](std::vector<std::string> words) {
    return component_of(command(std::move(words))).named_per_node.named;
  };
  EXPECT_EQ(named({"--gres=gpu:a100:2"}), (Amounts{{"gpu", 2}, {"gpu:a100", 2}}));
  EXPECT_EQ(named({"-N2", "--gpus=a100:3,h100:2"}),
            (Amounts{{"gpu", 3}, {"gpu:a100", 2}, {"gpu:h100", 1}}));
}

// ---- sources ------------------------------------------------------------------------------------

TEST(JobspecParse, CommandLineWinsOverEnvironmentOverScript) {
  const std::string directive = "#SBATCH -J script -p script -A script";
  const auto job =
      script(directive, {"-J", "line"}, {"SBATCH_JOB_NAME=env", "SBATCH_PARTITION=env"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->spec.name, "line");
  EXPECT_EQ(job->spec.queue.value, "env");
  EXPECT_EQ(job->spec.account.value, "script");
}

TEST(JobspecParse, OurVariablesWinOverSlurms) {
  const auto job = command({}, {"GANGWAY_QUEUE=ours", "SBATCH_PARTITION=slurms"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->spec.queue.value, "ours");
}

TEST(JobspecParse, VariableOfAFlagNeedsNoValue) {
  const auto job = command({}, {"SBATCH_EXCLUSIVE=", "SBATCH_NO_REQUEUE=1"});
  ASSERT_TRUE(job) << message_of(job);
  EXPECT_TRUE(job->spec.components[0].exclusive);
  EXPECT_FALSE(job->spec.requeue);
}

TEST(JobspecParse, LaterDirectiveWins) {
  EXPECT_EQ(component_of(script("#SBATCH -N 2\n#JOB -N 3")).nodes, 3);
}

TEST(JobspecParse, ErrorsNamePlaceOptionAndValue) {
  EXPECT_EQ(message_of(script("#SBATCH --mail-type=ALL\n#SBATCH --time=soon")),
            "job.sh:3: option --time: \"soon\" is not a time limit; it is written 30 (minutes), "
            "1:30:00, 2-12:00:00, 90s or 1h30m");
  EXPECT_EQ(message_of(command({}, {"SBATCH_TIMELIMIT=soon"})).substr(0, 60),
            "SBATCH_TIMELIMIT in the environment: option --time: \"soon\" i");
  EXPECT_EQ(message_of(command({"--nodes=four"})),
            "option --nodes: \"four\" is not a number of nodes; for example --nodes=4, or "
            "--nodes=2-4 for at least 2");
  EXPECT_EQ(message_of(script("#SBATCH --nodes 4 hosts")),
            "job.sh:2: \"hosts\" is not an option; a value with blanks needs quotes, and a comment "
            "begins with #");
  EXPECT_EQ(message_of(script("#SBATCH --tiem=4")),
            "job.sh:2: unknown option --tiem; did you mean --time?");
}

TEST(JobspecParse, OptionsWithoutEffectAreNamedOnceInOneLine) {
  const auto job = script("#SBATCH --quotatype=spot\n#SBATCH --wckey=high --quotatype=auto -L knl");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->warnings,
            std::vector<std::string>{"without effect here: --quotatype, --wckey, -L"});
}

TEST(JobspecParse, OptionsWhoseLossChangesTheJobAreRefused) {
  const auto job = script("#SBATCH --export-file=x");
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().kind(), ErrorKind::Unsupported);
}

TEST(JobspecParse, KeyBelongsOnTheCommandLine) {
  EXPECT_EQ(message_of(script("#JOB --key=0123456789abcdef")),
            "job.sh:2: option --key: belongs on the command line only");
  const auto job = command({"--key=0123456789abcdef"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->choices.key, "0123456789abcdef");
}

// ---- how it is launched -------------------------------------------------------------------------

TEST(JobspecParse, ScriptRunsOnce) {
  const auto job = script("#SBATCH -N2 -n8");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->spec.launch, LaunchMode::Batch);
  EXPECT_EQ(job->spec.mpi, MpiMode::None);
}

TEST(JobspecParse, CommandWithSeveralTasksIsStartedAsEachWithMpi) {
  const auto job = command({"-n8"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->spec.launch, LaunchMode::Tasks);
  EXPECT_EQ(job->spec.mpi, MpiMode::Auto);
}

TEST(JobspecParse, MpiCanBeSwitchedOffAndOn) {
  EXPECT_EQ(command({"-n8", "--mpi=none"})->spec.mpi, MpiMode::None);
  EXPECT_EQ(command({"-n8", "--mpi=none"})->spec.launch, LaunchMode::Tasks);
  EXPECT_EQ(command({"--mpi=pmix"})->spec.launch, LaunchMode::Tasks);
  EXPECT_EQ(command({"--mpi=none"})->spec.launch, LaunchMode::Batch);
  EXPECT_EQ(command({})->spec.launch, LaunchMode::Batch);
  EXPECT_EQ(command({"--mpi=pmi1"})->spec.mpi, MpiMode::Pmi1);
  EXPECT_EQ(command({"--mpi=pmix_v4"})->spec.mpi, MpiMode::Pmix);
  EXPECT_EQ(message_of(command({"--mpi=openmpi"})),
            "option --mpi: \"openmpi\" is not a way to start MPI programs; there are auto, pmix, "
            "pmi2, pmi1 and none");
}

TEST(JobspecParse, PathsAreSeenFromTheSubmissionDirectory) {
  const auto job = command({"-D", "sub", "--bind", "in:/in:ro", "-o", "out/%j"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->spec.workdir, "/home/ann/run/sub");
  EXPECT_EQ(job->spec.binds, (std::vector<BindSpec>{{"/home/ann/run/in", "/in", true}}));
  EXPECT_EQ(job->spec.stdio.out, "out/%j");
  EXPECT_EQ(command({})->spec.workdir, "/home/ann/run");
  EXPECT_EQ(command({})->spec.umask, 027U);
}

TEST(JobspecParse, ExportChoosesVariables) {
  const std::vector<std::string> env = {"A=1", "B=2", "C=3"};
  const auto exported = [&](const std::string& list) {
    return command({"--export=" + list}, env)->spec.env;
  };
  EXPECT_EQ(exported("ALL"), env);
  EXPECT_TRUE(exported("NONE").empty());
  EXPECT_EQ(exported("B,D"), std::vector<std::string>{"B=2"});
  EXPECT_EQ(exported("ALL,B=9"), (std::vector<std::string>{"A=1", "C=3", "B=9"}));
  EXPECT_EQ(exported("X=5"), std::vector<std::string>{"X=5"});
}

TEST(JobspecParse, AnImageGetsWhatIsNamedAndScriptsForSlurmGetAll) {
  using Strings = std::vector<std::string>;
  const auto in_image =
      command({"--image", "/i", "--env", "PATH=/opt/bin", "--env=B"}, {"A=1", "PATH=/here", "B=2"});
  ASSERT_TRUE(in_image) << message_of(in_image);
  EXPECT_TRUE(in_image->spec.env.empty());
  EXPECT_EQ(in_image->spec.container.env, (Strings{"PATH=/opt/bin", "B=2"}));
  const auto asked = command({"--image", "/i", "--export=ALL,A"}, {"A=1", "PATH=/here", "B=2"});
  EXPECT_EQ(asked->spec.env, (Strings{"PATH=/here", "B=2"}));
  EXPECT_EQ(asked->spec.container.env, Strings{"A=1"});
  const auto for_slurm = script("#SBATCH -n 1", {"--image", "/i"}, {"A=1", "PATH=/here"});
  EXPECT_EQ(for_slurm->spec.env, (Strings{"A=1", "PATH=/here"}));
  const auto ours = script("#JOB -n 1", {"--image", "/i"}, {"A=1", "PATH=/here"});
  EXPECT_TRUE(ours->spec.env.empty());
}

TEST(JobspecParse, VariablesOfTheCommandLineReplaceOthers) {
  const auto job = command({"--env", "A=9", "--env", "NOT_SET"}, {"A=1", "B=2"});
  ASSERT_TRUE(job) << message_of(job);
  EXPECT_EQ(job->spec.env, (std::vector<std::string>{"B=2", "A=9"}));
  EXPECT_EQ(message_of(command({"--env", "=x"})),
            "option --env: \"=x\" is not a variable; it is written NAME=VALUE");
}

TEST(JobspecParse, ContainersAreStartedAsAsked) {
  const auto job =
      command({"--image", "/i", "--entrypoint", "/bin/sh", "--workdir=/app", "--read-only"});
  ASSERT_TRUE(job) << message_of(job);
  EXPECT_EQ(job->spec.container, (ContainerSpec{.own_command = false,
                                                .entrypoint = "/bin/sh",
                                                .env = {},
                                                .workdir = "/app",
                                                .read_only = true}));
  EXPECT_EQ(job->spec.workdir, "/home/ann/run");
  EXPECT_EQ(command({"--workdir", "there"})->spec.workdir, "/home/ann/run/there");
  EXPECT_EQ(message_of(command({"--entrypoint", "x"})),
            "--entrypoint: it is for a container image, and there is no --image");
  EXPECT_EQ(message_of(command({"--read-only"})),
            "--read-only: it is for a container image, and there is no --image");
}

TEST(JobspecParse, AnImageWithoutACommandRunsItsOwn) {
  const auto job = parse_job(options({"--image", "/i"}),
                             {.script = "", .argv = {}, .default_name = "i"}, "", around());
  ASSERT_TRUE(job) << message_of(job);
  EXPECT_TRUE(job->spec.container.own_command);
}

TEST(JobspecParse, UnlimitedTimeIsTheQueues) {
  EXPECT_EQ(command({"-t", "90"})->spec.time_limit, minutes(90));
  EXPECT_EQ(command({"-t", "UNLIMITED"})->spec.time_limit, std::nullopt);
  EXPECT_EQ(command({"-t", "0"})->spec.time_limit, std::nullopt);
}

// ---- scripts ------------------------------------------------------------------------------------

TEST(Script, MustBeginWithItsInterpreter) {
  EXPECT_TRUE(check_script("#!/bin/sh\n", "job.sh"));
  EXPECT_EQ(check_script("echo\n", "job.sh").error().message(),
            "job.sh:1: a job script begins with \"#!\" and the path of its interpreter, such as "
            "#!/bin/sh");
  EXPECT_EQ(check_script(" \n", "job.sh").error().message(), "job.sh: the script is empty");
}

TEST(Script, WithDosLineEndsThroughoutIsRepaired) {
  std::string script = "#!/bin/sh\r\n#SBATCH -n 2\r\necho\r\n";
  EXPECT_TRUE(repair_line_ends(script));
  EXPECT_EQ(script, "#!/bin/sh\n#SBATCH -n 2\necho\n");
  EXPECT_FALSE(repair_line_ends(script));
}

TEST(Script, WithSomeDosLineEndsIsRefusedWithTheRepair) {
  EXPECT_EQ(check_script("#!/bin/sh\necho\r\n", "job.sh").error().message(),
            "job.sh:2: the line ends with a carriage return (DOS); repair the file with: sed -i "
            "'s/\\r$//' job.sh");
}

// ---- cores --------------------------------------------------------------------------------------

TEST(Cores, AreAtLeastMincpus) {
  EXPECT_EQ(component_of(command({"-n2", "--mincpus=6"})).per_node().cores, 6);
  EXPECT_EQ(component_of(command({"-n8", "--mincpus=6"})).per_node().cores, 8);
}

TEST(Cores, OfAnOvercommittedNodeAreThoseOfOneTask) {
  const Component shared = component_of(command({"-n8", "-N2", "-c3", "--overcommit"}));
  EXPECT_EQ(shared.per_node().cores, 3);
  EXPECT_EQ(shared.total_cores(), 6);
  EXPECT_EQ(component_of(command({"-n8", "-O", "--mem-per-cpu=1G"})).memory_per_node,
            Bytes{std::int64_t{1} << 30});
  EXPECT_EQ(component_of(command({"-n8", "-O", "--mincpus=2"})).per_node().cores, 2);
}

TEST(Cores, VolumesAreBinds) {
  const auto job = script("#SBATCH --volume=\"/data:/in:ro;/scratch:/out\"");
  ASSERT_TRUE(job);
  ASSERT_EQ(job->spec.binds.size(), 2U);
  EXPECT_EQ(job->spec.binds[0].source, "/data");
  EXPECT_TRUE(job->spec.binds[0].read_only);
  EXPECT_EQ(job->spec.binds[1].destination, "/out");
}

// As sbatch hands it to srun.
TEST(Environment, HasTheDistributionThatStepsAreToHave) {
  const auto has = [](const Result<ParsedJob>& job, std::string_view variable) {
    return std::ranges::find(job->spec.env, variable) != job->spec.env.end();
  };
  EXPECT_TRUE(has(script("#SBATCH -m cyclic:block,NoPack"), "SLURM_DISTRIBUTION=cyclic:block"));
  const auto planes = script("#SBATCH --distribution=plane=4");
  EXPECT_TRUE(has(planes, "SLURM_DISTRIBUTION=plane"));
  EXPECT_TRUE(has(planes, "SLURM_DIST_PLANESIZE=4"));
  EXPECT_TRUE(planes->warnings.empty());
  EXPECT_EQ(script("#SBATCH -m arbitrary")->warnings.front(), "without effect here: -m");
  EXPECT_EQ(command({"-n4", "-m", "cyclic"})->warnings.front(),
            "without effect here: --distribution");
}

TEST(Cores, ForEachGpuAreSharedByTheTasks) {
  EXPECT_EQ(component_of(command({"-n2", "--gres=gpu:2", "--cpus-per-gpu=6"})).cpus_per_task, 6);
  EXPECT_EQ(message_of(command({"--cpus-per-gpu=6"})), "--cpus-per-gpu: the job asks for no GPUs");
}

TEST(Cores, MoreTasksThanASocketMayHaveAreWarnedOf) {
  EXPECT_TRUE(script("#SBATCH -n 2 --ntasks-per-socket=2")->warnings.empty());
  EXPECT_EQ(script("#SBATCH -n 2 --ntasks-per-socket=1")->warnings.front(),
            "without effect here: --ntasks-per-socket");
}

TEST(Environment, OfTheLoginShellComesBehindTheOneHere) {
  Surroundings here = around({"A=here"});
  here.login_environment = []() -> Result<std::vector<std::string>> {
    return std::vector<std::string>{"A=login", "B=login"};
  };
  const auto job = parse_job(options({"--get-user-env"}),
                             {.script = "", .argv = {"solver"}, .default_name = "s"}, "", here);
  EXPECT_EQ(job->spec.env, (std::vector<std::string>{"A=here", "B=login"}));
}

}  // namespace
}  // namespace gangway::submit
