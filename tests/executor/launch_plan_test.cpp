#include "executor/launch_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "executor/environment.hpp"
#include "executor/mpi_plan.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

// Four nodes with two ranks each, seen from n1; an image; user alice.
StepOrder mpi_order() {
  StepOrder order;
  order.key = {JobId{42}};
  order.attempt = 1;
  order.node_index = 1;
  JobSpec& spec = order.spec;
  spec.name = "heat";
  spec.queue = QueueName("batch");
  spec.components = {Component{}};
  spec.components[0].nodes = 4;
  spec.components[0].tasks = 8;
  spec.launch = LaunchMode::Tasks;
  spec.mpi = MpiMode::Pmix;
  spec.argv = {"solve", "--steps=10"};
  spec.env = {"LANG=C.UTF-8", "PATH=/opt/host/bin", "LD_LIBRARY_PATH=/opt/host/lib", "STEPS=10"};
  spec.workdir = "/home/alice/run";
  spec.image = ImageSpec{ImageKind::OciLayout, "/images/mpi", "latest", "sha256:ab"};
  for (int i = 0; i < 4; ++i) {
    NodeShare share;
    share.node = NodeName("n" + std::to_string(i));
    share.resources.cores = 2;
    share.resources.memory = gibibytes(1);
    share.cores = {2, 3};
    share.first_task = 2 * i;
    share.tasks = 2;
    order.allocation.shares.push_back(share);
  }
  return order;
}

// The first node is a component of its own.
StepOrder two_components() {
  StepOrder order = mpi_order();
  order.spec.components = {Component{}, Component{}};
  order.spec.components[0].tasks = 2;
  order.spec.components[1].nodes = 3;
  order.spec.components[1].tasks = 6;
  order.spec.components[1].cpus_per_task = 4;
  for (std::size_t i = 1; i < 4; ++i) order.allocation.shares[i].component = 1;
  return order;
}

StepOrder batch_order() {
  StepOrder order = mpi_order();
  order.node_index = 0;
  order.spec.launch = LaunchMode::Batch;
  order.spec.mpi = MpiMode::None;
  order.spec.image.reset();
  order.spec.script = "#!/bin/bash\necho hi\n";
  order.spec.argv = {"one", "two words"};
  return order;
}

LaunchFacts facts() {
  LaunchFacts f;
  f.node = NodeName("n1");
  f.sandbox_directory = "/spool/jobs/42.1/sandbox";
  f.user = {1000, 1000, {1000, 27}, "alice", "/home/alice", "/bin/bash"};
  f.usable_cores = {0, 1, 2, 3};
  f.tcp_networks = "10.77.0.0/24";
  f.pmix_server = "/usr/libexec/gangway/jpmixd";
  return f;
}

containers::SandboxReady ready() {
  containers::SandboxReady r;
  r.image_env = {"PATH=/image/bin", "IMAGE=yes"};
  r.image_entrypoint = {"/entry"};
  r.image_cmd = {"default"};
  r.files_directory = "/run/job";
  return r;
}

std::vector<RankEnvironment> ranks() { return {{2, {"PMIX_RANK=2"}}, {3, {"PMIX_RANK=3"}}}; }

std::string value(const containers::ProgramRequest& program, std::string_view name) {
  Environment env;
  env.set_all(program.env);
  const std::string* found = env.find(name);
  return found != nullptr ? *found : "(not set)";
}

// ---- the whole, to be read ---------------------------------------------------------------------

TEST(LaunchPlan, AnMpiTaskInAnImageReadsAsAWhole) {
  const auto programs = plan_programs(mpi_order(), facts(), ready(), ranks());
  ASSERT_EQ(programs.size(), 2U);
  EXPECT_EQ(render(programs[1]), R"(program: 1
argv: /entry solve --steps=10
workdir: /home/alice/run
stdin: /dev/null
stdout: /home/alice/run/job-42.out
stderr: /home/alice/run/job-42.out
cores: 3
env: PATH=/image/bin
env: IMAGE=yes
env: LANG=C.UTF-8
env: STEPS=10
env: HOME=/home/alice
env: USER=alice
env: LOGNAME=alice
env: SHELL=/bin/sh
env: TMPDIR=/tmp
env: HOSTNAME=n1
env: JOB_ID=42
env: SLURM_JOB_ID=42
env: SLURM_JOBID=42
env: JOB_NAME=heat
env: SLURM_JOB_NAME=heat
env: SLURM_JOB_USER=alice
env: SLURM_JOB_UID=1000
env: SLURM_JOB_GID=1000
env: JOB_NODELIST=n[0-3]
env: SLURM_JOB_NODELIST=n[0-3]
env: SLURM_NODELIST=n[0-3]
env: JOB_NUM_NODES=4
env: SLURM_JOB_NUM_NODES=4
env: SLURM_NNODES=4
env: JOB_NTASKS=8
env: SLURM_NTASKS=8
env: SLURM_NPROCS=8
env: JOB_CPUS_PER_TASK=1
env: SLURM_CPUS_PER_TASK=1
env: JOB_CPUS_ON_NODE=2
env: SLURM_CPUS_ON_NODE=2
env: SLURM_JOB_CPUS_PER_NODE=2(x4)
env: SLURM_TASKS_PER_NODE=2(x4)
env: SLURM_MEM_PER_NODE=1024
env: JOB_NODEID=1
env: SLURM_NODEID=1
env: SLURMD_NODENAME=n1
env: JOB_SUBMIT_DIR=/home/alice/run
env: SLURM_SUBMIT_DIR=/home/alice/run
env: JOB_RESTART_COUNT=0
env: SLURM_RESTART_COUNT=0
env: SLURM_JOB_PARTITION=batch
env: JOB_HOSTFILE=/run/job/nodes
env: JOB_MPI=pmix
env: OMPI_MCA_pml=ob1
env: OMPI_MCA_btl=self,vader,tcp
env: OMPI_MCA_osc=^ucx
env: OMPI_MCA_btl_tcp_if_include=10.77.0.0/24
env: OMPI_MCA_schizo=^orte
env: OMPI_MCA_hwloc_base_binding_policy=none
env: OMPI_MCA_orte_externally_bound=1
env: SLURM_STEP_ID=0
env: SLURM_STEPID=0
env: PWD=/home/alice/run
env: JOB_PROCID=3
env: SLURM_PROCID=3
env: JOB_LOCALID=1
env: SLURM_LOCALID=1
env: PMIX_RANK=3
)");
}

TEST(LaunchPlan, ASandboxReadsAsAWhole) {
  StepOrder order = mpi_order();
  order.spec.binds = {{"/data", "/data", true}};
  order.spec.script = "#!/bin/sh\n";
  order.node_index = 0;
  EXPECT_EQ(render(plan_sandbox(order, facts())), R"(sandbox: 42.1
image: /images/mpi sha256:ab
user: alice 1000:1000
hostname: n1
workdir: /home/alice/run
bind: /data -> /data (ro)
cores: 2,3
memory: 1G
file: job_script (10 bytes)
file: nodes (24 bytes)
output: /home/alice/run/job-42.out (new)
)");
}

// ---- environment -------------------------------------------------------------------------------

TEST(LaunchPlan, AnImageBringsItsOwnPath) {
  const auto program = plan_programs(mpi_order(), facts(), ready(), ranks())[0];
  EXPECT_EQ(value(program, "PATH"), "/image/bin");
  EXPECT_EQ(value(program, "LD_LIBRARY_PATH"), "(not set)");
  containers::SandboxReady bare = ready();
  bare.image_env.clear();
  EXPECT_EQ(value(plan_programs(mpi_order(), facts(), bare, ranks())[0], "PATH"),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}
TEST(LaunchPlan, WithoutAnImageTheJobKeepsItsPath) {
  const auto program = plan_programs(batch_order(), facts(), ready(), {})[0];
  EXPECT_EQ(value(program, "PATH"), "/opt/host/bin");
  EXPECT_EQ(value(program, "LD_LIBRARY_PATH"), "/opt/host/lib");
  EXPECT_EQ(value(program, "IMAGE"), "(not set)");
}
TEST(LaunchPlan, RanksOfMpichFindTheirLine) {
  StepOrder order = mpi_order();
  order.spec.mpi = MpiMode::Pmi1;
  const auto program = plan_programs(order, facts(), ready(), {})[1];
  EXPECT_EQ(value(program, "PMI_FD"), "3");
  EXPECT_EQ(value(program, "PMI_RANK"), "3");
  EXPECT_EQ(value(program, "PMI_SIZE"), cat(order.spec.total_tasks()));
  EXPECT_EQ(value(program, "OMPI_MCA_schizo"), "(not set)");
  order.spec.mpi = MpiMode::None;
  EXPECT_EQ(value(plan_programs(order, facts(), ready(), {})[1], "PMI_FD"), "(not set)");
}
TEST(LaunchPlan, SpawnedRanksHaveTheirApplicationsEnvironmentAndNumbersOfTheirOwn) {
  wire::PmixWorld world;
  world.set_first(8);
  world.set_count(2);
  wire::PmixApp& app = *world.add_apps();
  app.add_argv("./child");
  app.add_argv("x");
  app.add_env("OMPI_PARENT_PORT=1");
  app.add_env("PMIX_RANK=7");  // the parent's
  app.set_count(2);
  wire::RankEnv rank;
  rank.set_rank(9);
  rank.add_env("PMIX_RANK=1");
  const auto programs = plan_spawned(mpi_order(), facts(), ready(), world, {rank});
  ASSERT_EQ(programs.size(), 1U);
  EXPECT_EQ(programs[0].argv, (std::vector<std::string>{"./child", "x"}));
  EXPECT_EQ(value(programs[0], "OMPI_PARENT_PORT"), "1");
  EXPECT_EQ(value(programs[0], "PMIX_RANK"), "1");
  EXPECT_EQ(value(programs[0], "JOB_PROCID"), "1");
  EXPECT_EQ(task_of_program(mpi_order(), programs[0].id), 9U);
  EXPECT_EQ(program_of_rank(mpi_order(), 9), programs[0].id);
}
TEST(LaunchPlan, TheUsersSettingsAreNeverOverridden) {
  StepOrder order = mpi_order();
  const std::vector<std::string> settings{"OMPI_MCA_pml=ucx",
                                          "OMPI_MCA_btl=^tcp",
                                          "OMPI_MCA_osc=rdma",
                                          "OMPI_MCA_schizo=slurm",
                                          "OMPI_MCA_hwloc_base_binding_policy=core",
                                          "OMPI_MCA_orte_externally_bound=0",
                                          "OMPI_MCA_btl_tcp_if_include=eth0",
                                          "OMPI_MCA_mpi_yield_when_idle=0",
                                          "HOME=/elsewhere",
                                          "USER=other",
                                          "OMP_NUM_THREADS=4"};
  order.spec.env.insert(order.spec.env.end(), settings.begin(), settings.end());
  LaunchFacts shared = facts();
  shared.shared_machine = true;
  const auto program = plan_programs(order, shared, ready(), ranks())[0];
  for (const std::string& setting : settings) {
    EXPECT_NE(std::find(program.env.begin(), program.env.end(), setting), program.env.end())
        << setting;
  }
}
TEST(LaunchPlan, AnImagesOwnMpiSettingsStand) {
  containers::SandboxReady image = ready();
  image.image_env.push_back("OMPI_MCA_pml=cm");
  EXPECT_EQ(value(plan_programs(mpi_order(), facts(), image, ranks())[0], "OMPI_MCA_pml"), "cm");
}
TEST(LaunchPlan, AnExcludedInterfaceIsTheUsersChoiceToo) {
  StepOrder order = mpi_order();
  order.spec.env.emplace_back("OMPI_MCA_btl_tcp_if_exclude=docker0");
  EXPECT_EQ(
      value(plan_programs(order, facts(), ready(), ranks())[0], "OMPI_MCA_btl_tcp_if_include"),
      "(not set)");
}
TEST(LaunchPlan, AFastNetworkIsLeftToOpenMpi) {
  LaunchFacts fast = facts();
  fast.fast_network = true;
  EXPECT_EQ(value(plan_programs(mpi_order(), fast, ready(), ranks())[0], "OMPI_MCA_pml"),
            "(not set)");
}
TEST(LaunchPlan, RanksYieldWhenTheyAreMoreThanTheCores) {
  const auto yields = [](const LaunchFacts& f, const StepOrder& o) {
    return value(plan_programs(o, f, ready(), ranks())[0], "OMPI_MCA_mpi_yield_when_idle") == "1";
  };
  EXPECT_FALSE(yields(facts(), mpi_order()));
  LaunchFacts one_core = facts();
  one_core.usable_cores = {0};
  EXPECT_TRUE(yields(one_core, mpi_order()));
  LaunchFacts shared = facts();
  shared.shared_machine = true;
  EXPECT_TRUE(yields(shared, mpi_order()));
}
TEST(LaunchPlan, LaunchersInsideOfAScriptFindTheAllocation) {
  LaunchFacts f = facts();
  f.step_tool = "/usr/bin/jrun";
  f.tcp_devices = "eth0,eth1";
  StepOrder order = batch_order();
  order.spec.env.emplace_back("OMPI_MCA_plm_rsh_agent=ssh");
  order.spec.env.emplace_back("HYDRA_IFACE=ib0");
  const auto program = plan_programs(order, f, ready(), {})[0];
  EXPECT_EQ(value(program, "JOB_HOSTFILE"), "/run/job/nodes");
  EXPECT_EQ(value(program, "OMPI_MCA_orte_default_hostfile"), "/run/job/nodes");
  EXPECT_EQ(value(program, "HYDRA_LAUNCHER_EXEC"), "/run/job/bin/jrsh");
  EXPECT_EQ(value(program, "PRTE_MCA_plm_ssh_agent"), "/run/job/bin/jrsh");
  // The user's own stay.
  EXPECT_EQ(value(program, "OMPI_MCA_plm_rsh_agent"), "ssh");
  EXPECT_EQ(value(program, "HYDRA_IFACE"), "ib0");
  // A job of one task has nowhere else to go.
  order.spec.components[0].tasks = 1;
  order.allocation.shares.resize(1);
  EXPECT_EQ(value(plan_programs(order, f, ready(), {})[0], "JOB_HOSTFILE"), "(not set)");
}
TEST(LaunchPlan, PlainJobsHaveNothingOfMpi) {
  const auto program = plan_programs(batch_order(), facts(), ready(), {})[0];
  for (const std::string& variable : program.env) {
    EXPECT_FALSE(variable.starts_with("OMPI_") || variable.starts_with("SLURM_STEP")) << variable;
  }
}
TEST(LaunchPlan, AnOuterJobLeavesNoTrace) {
  StepOrder order = batch_order();
  order.spec.env = {"PMIX_RANK=7",       "OMPI_COMM_WORLD_RANK=7", "SLURM_ARRAY_TASK_ID=3",
                    "SLURM_JOB_ID=1",    "SLURM_STEP_ID=0",        "JOB_WORKFLOW=w1",
                    "SLURM_HINT=compute"};
  const auto program = plan_programs(order, facts(), ready(), {})[0];
  for (const char* gone : {"PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_ARRAY_TASK_ID",
                           "SLURM_STEP_ID", "JOB_WORKFLOW"}) {
    EXPECT_EQ(value(program, gone), "(not set)") << gone;
  }
  EXPECT_EQ(value(program, "SLURM_JOB_ID"), "42");
  EXPECT_EQ(value(program, "SLURM_HINT"), "compute");
}
TEST(LaunchPlan, TheDirectoryOfTheSubmissionIsNotTheWorkingDirectory) {
  StepOrder order = batch_order();
  order.spec.env = {"JOB_SUBMIT_DIR=/home/alice"};
  const auto program = plan_programs(order, facts(), ready(), {})[0];
  EXPECT_EQ(value(program, "SLURM_SUBMIT_DIR"), "/home/alice");
  EXPECT_EQ(value(program, "PWD"), order.spec.workdir);
}
TEST(LaunchPlan, AScriptThatSpeaksPbsFindsItsVariablesAndItsNodes) {
  StepOrder order = batch_order();
  order.spec.env = {"PBS_ENVIRONMENT=PBS_BATCH", "PBS_O_WORKDIR=/home/alice", "PBS_JOBID=1.outer"};
  const auto program = plan_programs(order, facts(), ready(), {})[0];
  EXPECT_EQ(value(program, "PBS_JOBID"), "42");
  EXPECT_EQ(value(program, "PBS_O_WORKDIR"), "/home/alice");
  EXPECT_EQ(value(program, "PBS_NODEFILE"), "/run/job/nodes");
  const auto sandbox = plan_sandbox(order, facts());
  ASSERT_EQ(sandbox.files.size(), 2U);
  std::string lines;
  for (const NodeShare& share : order.allocation.shares) {
    for (int task = 0; task < share.tasks; ++task) lines += share.node.value + "\n";
  }
  EXPECT_EQ(sandbox.files[1].name, "nodes");
  EXPECT_EQ(sandbox.files[1].bytes, lines);
}
TEST(LaunchPlan, OtherScriptsFindNothingOfPbs) {
  StepOrder order = batch_order();
  order.spec.env = {"PBS_JOBID=1.outer", "PBS_NODEFILE=/outer"};
  const auto program = plan_programs(order, facts(), ready(), {})[0];
  EXPECT_EQ(value(program, "PBS_JOBID"), "(not set)");
  EXPECT_EQ(value(program, "PBS_NODEFILE"), "(not set)");
}
TEST(LaunchPlan, AMemberOfAWorkflowKnowsIt) {
  LaunchFacts f = facts();
  f.membership = Membership{WorkflowId{7}, "solve"};
  const auto program = plan_programs(batch_order(), f, ready(), {})[0];
  EXPECT_EQ(value(program, "JOB_WORKFLOW"), "w7");
  EXPECT_EQ(value(program, "JOB_MEMBER"), "solve");
}
TEST(LaunchPlan, AGangOfUnlikeComponentsKnowsItsParts) {
  const auto programs = plan_programs(two_components(), facts(), ready(), ranks());
  const auto& env = programs.at(0).env;
  const auto has = [&](const std::string& variable) {
    return std::find(env.begin(), env.end(), variable) != env.end();
  };
  for (const char* variable :
       {"JOB_COMPONENT=1", "JOB_COMPONENTS=2", "SLURM_HET_SIZE=2", "JOB_COMPONENT_0_NODELIST=n0",
        "SLURM_JOB_NODELIST_HET_GROUP_1=n[1-3]", "JOB_COMPONENT_1_NUM_NODES=3",
        "SLURM_NTASKS_HET_GROUP_0=2", "JOB_COMPONENT_1_TASKS_PER_NODE=2(x3)",
        "SLURM_CPUS_PER_TASK_HET_GROUP_1=4", "JOB_CPUS_PER_TASK=4", "SLURM_NTASKS=8"}) {
    EXPECT_TRUE(has(variable)) << variable;
  }
  const auto plain = plan_programs(mpi_order(), facts(), ready(), ranks());
  for (const std::string& variable : plain.at(0).env) {
    EXPECT_EQ(variable.find("COMPONENT"), std::string::npos) << variable;
  }
}

TEST(LaunchPlan, AnArrayElementKnowsItsIndex) {
  StepOrder order = batch_order();
  order.key.index = 7;
  const auto program = plan_programs(order, facts(), ready(), {})[0];
  EXPECT_EQ(value(program, "SLURM_ARRAY_TASK_ID"), "7");
  EXPECT_EQ(value(program, "JOB_ARRAY_JOB_ID"), "42");
  EXPECT_EQ(program.out.path, "/home/alice/run/job-42_7.out");
}
TEST(LaunchPlan, RestartsAreCounted) {
  StepOrder order = batch_order();
  order.attempt = 3;
  EXPECT_EQ(value(plan_programs(order, facts(), ready(), {})[0], "SLURM_RESTART_COUNT"), "2");
}
TEST(LaunchPlan, BrokenVariablesAreSkipped) {
  StepOrder order = batch_order();
  order.spec.env = {"no_equals", "=value", "", "GOOD=x=y"};
  const auto program = plan_programs(order, facts(), ready(), {})[0];
  EXPECT_EQ(value(program, "GOOD"), "x=y");
  for (const std::string& variable : program.env) {
    EXPECT_TRUE(variable.find('=') != std::string::npos && variable[0] != '=') << variable;
  }
}

// ---- commands ----------------------------------------------------------------------------------

TEST(LaunchPlan, AScriptRunsAsAFileWithItsArguments) {
  const auto program = plan_programs(batch_order(), facts(), ready(), {})[0];
  EXPECT_EQ(program.argv, (std::vector<std::string>{"/run/job/job_script", "one", "two words"}));
  ASSERT_EQ(plan_sandbox(batch_order(), facts()).files.size(), 2U);  // and the host file
  EXPECT_TRUE(plan_sandbox(batch_order(), facts()).files[0].executable);
}
TEST(LaunchPlan, AScriptWithoutAnInterpreterRunsByTheShell) {
  StepOrder order = batch_order();
  order.spec.script = "echo hi\n";
  EXPECT_EQ(plan_programs(order, facts(), ready(), {})[0].argv[0], "/bin/sh");
}
TEST(LaunchPlan, AnImageWithoutACommandRunsItsDefault) {
  StepOrder order = mpi_order();
  order.spec.argv.clear();
  EXPECT_EQ(plan_programs(order, facts(), ready(), ranks())[0].argv,
            (std::vector<std::string>{"/entry", "default"}));
}
TEST(LaunchPlan, AnotherEntryPointTakesTheImagesDefaultCommandWithIt) {
  StepOrder order = mpi_order();
  order.spec.container.entrypoint = "/bin/sh";
  const auto argv = [&] { return plan_programs(order, facts(), ready(), ranks())[0].argv; };
  EXPECT_EQ(argv(), (std::vector<std::string>{"/bin/sh", "solve", "--steps=10"}));
  order.spec.container.entrypoint = "";
  EXPECT_EQ(argv(), (std::vector<std::string>{"solve", "--steps=10"}));
  order.spec.argv.clear();
  order.spec.container.entrypoint = "/bin/sh";
  EXPECT_EQ(argv(), (std::vector<std::string>{"/bin/sh"}));
}

TEST(LaunchPlan, TheImagesOwnCommandStartsInTheImagesDirectory) {
  StepOrder order = mpi_order();
  containers::SandboxReady image = ready();
  image.image_workdir = "/app";
  const auto directory = [&] { return plan_programs(order, facts(), image, ranks())[0].workdir; };
  EXPECT_EQ(directory(), "/home/alice/run");
  order.spec.argv.clear();
  order.spec.container.own_command = true;
  EXPECT_EQ(directory(), "/app");
  order.spec.container.workdir = "/srv";
  EXPECT_EQ(directory(), "/srv");
  EXPECT_EQ(value(plan_programs(order, facts(), image, ranks())[0], "PWD"), "/srv");
}

TEST(LaunchPlan, VariablesGivenByNameWinOverTheImage) {
  StepOrder order = mpi_order();
  order.spec.container.env = {"PATH=/mine", "IMAGE=no"};
  const containers::ProgramRequest program = plan_programs(order, facts(), ready(), ranks())[0];
  EXPECT_EQ(value(program, "PATH"), "/mine");
  EXPECT_EQ(value(program, "IMAGE"), "no");
}

TEST(LaunchPlan, ABatchJobRunsOnItsFirstNodeOnly) {
  EXPECT_EQ(plan_programs(batch_order(), facts(), ready(), {}).size(), 1U);
  StepOrder other = batch_order();
  other.node_index = 1;
  EXPECT_TRUE(plan_programs(other, facts(), ready(), {}).empty());
  EXPECT_TRUE(plan_sandbox(other, facts()).outputs.empty());
}
TEST(LaunchPlan, TheUmaskIsTheUsers) {
  StepOrder order = batch_order();
  order.spec.umask = 077;
  EXPECT_EQ(plan_programs(order, facts(), ready(), {})[0].umask, 077U);
  EXPECT_EQ(plan_sandbox(order, facts()).umask, 077U);
}

// ---- cores -------------------------------------------------------------------------------------

TEST(LaunchPlan, EachTaskHasItsCores) {
  StepOrder order = mpi_order();
  order.spec.components[0].cpus_per_task = 2;
  order.allocation.shares[1].cores = {0, 1, 2, 3};
  const auto programs = plan_programs(order, facts(), ready(), ranks());
  EXPECT_EQ(programs[0].cores, (std::vector<int>{0, 1}));
  EXPECT_EQ(programs[1].cores, (std::vector<int>{2, 3}));
}
TEST(LaunchPlan, ABatchScriptHasAllCoresOfItsNode) {
  EXPECT_EQ(plan_programs(batch_order(), facts(), ready(), {})[0].cores, (std::vector<int>{2, 3}));
}
TEST(LaunchPlan, CoresThatTheMachineHasNotAreNotPinned) {
  LaunchFacts small = facts();
  small.usable_cores = {0, 1};
  EXPECT_TRUE(plan_programs(mpi_order(), small, ready(), ranks())[0].cores.empty());
  EXPECT_TRUE(plan_sandbox(mpi_order(), small).limits.cores.empty());
}
TEST(LaunchPlan, ASharedMachineIsNotPinned) {
  LaunchFacts shared = facts();
  shared.shared_machine = true;
  EXPECT_TRUE(plan_programs(mpi_order(), shared, ready(), ranks())[0].cores.empty());
  EXPECT_TRUE(plan_sandbox(mpi_order(), shared).limits.cores.empty());
}

// ---- files -------------------------------------------------------------------------------------

TEST(LaunchPlan, OutputIsJoinedUnlessAskedFor) {
  StepOrder order = batch_order();
  EXPECT_FALSE(plan_programs(order, facts(), ready(), {})[0].err.has_value());
  order.spec.stdio.err = "err.%j";
  const auto program = plan_programs(order, facts(), ready(), {})[0];
  ASSERT_TRUE(program.err.has_value());
  EXPECT_EQ(program.err->path, "/home/alice/run/err.42");
  order.spec.stdio.err = "job-%j.out";
  EXPECT_FALSE(plan_programs(order, facts(), ready(), {})[0].err.has_value());
}
TEST(LaunchPlan, AnAbsoluteOutputStaysWhereItIs) {
  StepOrder order = batch_order();
  order.spec.stdio.out = "/scratch/%x.log";
  order.spec.stdio.in = "input.dat";
  const auto program = plan_programs(order, facts(), ready(), {})[0];
  EXPECT_EQ(program.out.path, "/scratch/heat.log");
  EXPECT_EQ(program.stdin_path, "/home/alice/run/input.dat");
}
// Programs only append: a file is emptied once, by one node, before any program runs.
TEST(LaunchPlan, ASharedOutputIsMadeByTheFirstNode) {
  StepOrder order = mpi_order();
  EXPECT_TRUE(plan_sandbox(order, facts()).outputs.empty());
  order.node_index = 0;
  ASSERT_EQ(plan_sandbox(order, facts()).outputs.size(), 1U);
  EXPECT_TRUE(plan_sandbox(order, facts()).outputs[0].truncate);
  EXPECT_FALSE(plan_programs(order, facts(), ready(), {})[0].out.truncate);
}
TEST(LaunchPlan, OutputsOfOneNodeAreMadeThere) {
  StepOrder order = mpi_order();
  order.spec.stdio.out = "out-%3t";
  const auto outputs = plan_sandbox(order, facts()).outputs;
  ASSERT_EQ(outputs.size(), 2U);
  EXPECT_EQ(outputs[0].path, "/home/alice/run/out-002");
  EXPECT_EQ(outputs[1].path, "/home/alice/run/out-003");
}
TEST(LaunchPlan, AppendingTruncatesNothing) {
  StepOrder order = batch_order();
  order.spec.stdio.append = true;
  EXPECT_FALSE(plan_sandbox(order, facts()).outputs[0].truncate);
}

// ---- MPI ---------------------------------------------------------------------------------------

TEST(LaunchPlan, ThePmixServerKnowsTheWholeGang) {
  LaunchFacts known = facts();
  known.secret = "known to few";
  const wire::PmixSetup setup = plan_pmix_setup(ranks_of_job(mpi_order()), known);
  EXPECT_EQ(setup.name_space(),
            "gangway.42.1.1b18477ee234e4ea0495fa7672c8eb95d72ce17e78e80a907e708d22fc8ab906");
  ASSERT_EQ(setup.nodes_size(), 4);
  EXPECT_EQ(setup.nodes(3), "n3");
  EXPECT_EQ(setup.ranks_of_node(3), "6-7");
  EXPECT_EQ(setup.node_index(), 1U);
  EXPECT_EQ(setup.tasks(), 8U);
  EXPECT_EQ(setup.uid(), 1000U);
}
TEST(LaunchPlan, ThePmixServerSeesNothingOfTheUsersEnvironment) {
  const auto program = plan_pmix_server(mpi_order(), facts(), 9);
  EXPECT_TRUE(program.host_files);
  EXPECT_EQ(program.inherit_fd, 9);
  EXPECT_EQ(program.argv[0], "/usr/libexec/gangway/jpmixd");
  EXPECT_EQ(value(program, "STEPS"), "(not set)");
}

// ---- orders ------------------------------------------------------------------------------------

TEST(LaunchPlan, ABrokenOrderIsCorrupt) {
  wire::Prepare m;
  m.set_attempt(1);
  EXPECT_FALSE(read_order(m));
}

}  // namespace
}  // namespace gangway::executor
