// Scripts written for Slurm, and jobs for Kubernetes, as they are, on a real cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class JobScripts : public OnCluster<JobScripts> {
 public:
  static ClusterOptions options() { return {.nodes = 2, .cores = 4}; }

 protected:
  std::string script(const std::string& name, const std::string& text) {
    write_as_user(cluster(), cat(directory(), "/", name), text);
    return name;
  }
};

TEST_F(JobScripts, AScriptGetsWhatItsDirectivesAskFor) {
  const std::string name =
      script("job.sh",
             "#!/bin/bash\r\n"
             "#SBATCH --job-n=\"my run\"  # a comment\r\n"
             "#SBATCH -N 1 --ntasks-per-node=2 -c2 --exclusive\r\n"
             "#SBATCH --mem=100M --time=0-00:05:00 -w n02\r\n"
             "#SBATCH -o out-%4j-%x.txt --get-user-env --hint=nomultithread\r\n"
             "echo \"$1 $SLURM_JOB_NAME $SLURM_JOB_NODELIST $SLURM_NTASKS \\\r\n"
             "$SLURM_CPUS_PER_TASK\"\r\n"
             "#SBATCH --nonsense-after-the-first-command\r\n");
  const Ran ran = user({"jsubmit", "--wait", "--parsable", name, "hello"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.err,
            "jsubmit: job.sh:1: the lines end with a carriage return (DOS); submitted "
            "without\n");
  std::string id = ran.out.substr(0, ran.out.find('\n'));
  while (id.size() < 4) id.insert(0, "0");
  EXPECT_EQ(content(cat(directory(), "/out-", id, "-my run.txt")), "hello my run n02 2 2\n");
}

TEST_F(JobScripts, WrapAndStandardInputAreScripts) {
  EXPECT_EQ(user({"jsubmit", "--wait", "-o", "w", "--wrap", "echo a; echo b"}).exit_code, 0);
  EXPECT_EQ(content(cat(directory(), "/w")), "a\nb\n");
  const Ran ran = cluster().as_user({"jsubmit", "--wait"}, directory(),
                                    "#!/bin/sh\n#SBATCH -o piped\necho piped\n");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(content(cat(directory(), "/piped")), "piped\n");
}

TEST_F(JobScripts, OutputsAreMadeWithTheMaskOfTheSubmission) {
  const auto mode_of = [&](const std::string& name) {
    struct stat file {};
    EXPECT_EQ(::stat(cat(directory(), "/", name).c_str(), &file), 0) << name;
    return file.st_mode & 07777U;
  };
  const Ran ran =
      user({"bash", "-c", "umask 077; exec jsubmit --wait -o secret -e errors -- true"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(mode_of("secret"), 0600U);
  EXPECT_EQ(mode_of("errors"), 0600U);
  const std::string name =
      script("pbs.sh", "#!/bin/sh\n#PBS -W umask=027\n#PBS -j oe\n#PBS -o for-the-group\numask\n");
  EXPECT_EQ(user({"jsubmit", "--wait", name}).exit_code, 0);
  EXPECT_EQ(mode_of("for-the-group"), 0640U);
  EXPECT_EQ(content(cat(directory(), "/for-the-group")), "0027\n");
}

TEST_F(JobScripts, AMisspeltDirectiveIsNamedWithItsLineAndNothingIsQueued) {
  const Ran ran = user({"jsubmit", script("bad.sh", "#!/bin/sh\n#SBATCH --ntsaks=2\ntrue\n")});
  EXPECT_EQ(ran.exit_code, 65);
  EXPECT_EQ(ran.err, "jsubmit: bad.sh:2: unknown option --ntsaks; did you mean --ntasks?\n");
  EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
}

TEST_F(JobScripts, TasksThatNoNodeHasRoomForGoToAsFewAsHave) {
  const std::string name = script("wide.sh",
                                  "#!/bin/sh\n"
                                  "#SBATCH -n 6 --mem-per-cpu=8M\n"
                                  "echo $SLURM_JOB_NUM_NODES $SLURM_NTASKS $SLURM_MEM_PER_CPU\n");
  const Ran ran = user({"jsubmit", "--wait", "--parsable", name});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const std::string id = ran.out.substr(0, ran.out.find('\n'));
  EXPECT_EQ(content(cat(directory(), "/slurm-", id, ".out")), "2 6 8\n");
}

TEST_F(JobScripts, OvercommittedTasksShareTheCoresOfOne) {
  const std::string name = script("over.sh",
                                  "#!/bin/sh\n"
                                  "#SBATCH -N 1 -n 6 --overcommit -o over.txt\n"
                                  "echo $SLURM_NTASKS $SLURM_CPUS_ON_NODE $SLURM_OVERCOMMIT\n"
                                  "jrun sh -c 'echo task'\n");
  const Ran ran = user({"jsubmit", "--wait", "--parsable", name});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  const std::string text = content(cat(directory(), "/over.txt"));
  EXPECT_THAT(text, testing::StartsWith("6 1 1\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), 'k'), 6) << text;
}

TEST_F(JobScripts, TasksOfStepsAreDealtOutAsTheScriptSays) {
  const std::string name = script("dist.sh",
                                  "#!/bin/sh\n"
                                  "#SBATCH -N 2 --ntasks-per-node=2 -m cyclic -o dist.txt\n"
                                  "jrun -l sh -c 'echo $SLURMD_NODENAME'\n"
                                  "jrun -l -m block sh -c 'echo block $SLURMD_NODENAME'\n");
  const Ran ran = user({"jsubmit", "--wait", "--parsable", name});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  const std::string text = content(cat(directory(), "/dist.txt"));
  EXPECT_THAT(text, HasSubstr("1: n02\n"));
  EXPECT_THAT(text, HasSubstr("2: n01\n"));
  EXPECT_THAT(text, HasSubstr("1: block n01\n"));
}

TEST_F(JobScripts, WhatASiteCallsItsClusterIsChecked) {
  const std::string elsewhere =
      script("away.sh", "#!/bin/sh\n#SBATCH --clusters=galaxy,wice\ntrue\n");
  const Ran ran = user({"jsubmit", elsewhere});
  EXPECT_EQ(ran.exit_code, 65);
  EXPECT_THAT(ran.err, HasSubstr("option --clusters: there is no way to galaxy,wice from here"));
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1);
  EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
  EXPECT_EQ(user({"jsubmit", "-M", "all", "--wait", "--", "true"}).exit_code, 0);
}

TEST_F(JobScripts, AJobOfKubernetesIsAnArray) {
  const std::string busybox = find_image("busybox.tar");
  if (busybox.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  script("job.yaml", cat(R"(apiVersion: batch/v1
kind: Job
metadata: {name: count}
spec:
  completions: 3
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: count
        image: )",
                         busybox, R"(
        command: [sh, -c, "echo $JOB_ARRAY_TASK_ID $WHAT"]
        env: [{name: WHAT, value: counted}]
)"));
  const Ran ran = user({"jsubmit", "--format", "k8s", "--parsable", "-o", "out-%a", "job.yaml"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  ASSERT_EQ(user({"jwait", std::string(trim(ran.out))}).exit_code, 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(content(cat(directory(), "/out-", i)), cat(i, " counted\n"));
  }
}

TEST_F(JobScripts, AFieldOfKubernetesThatIsNotCarriedOutIsRefusedWithItsLine) {
  script("job.yaml",
         "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec:\n  completion: 2\n"
         "  suspend: true\n  template: {spec: {containers: [{image: x}]}}\n");
  const Ran ran = user({"jsubmit", "--format", "k8s", "job.yaml"});
  EXPECT_EQ(ran.exit_code, 65);
  EXPECT_EQ(ran.err,
            "jsubmit: job.yaml:5: spec.completion: no such field is known here; did you mean "
            "completions?\njsubmit: job.yaml:6: spec.suspend: no such field is known here\n");
}

}  // namespace
}  // namespace gangway::e2e
