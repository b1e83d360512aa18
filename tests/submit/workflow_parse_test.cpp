#include "submit/workflow_parse.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway::submit {
namespace {

WorkflowFile parse(const std::string& text,
                   std::vector<std::string> options = {},
                   std::vector<std::string> environment = {"PATH=/bin"},
                   std::map<std::string, std::string> files = {}) {
  const auto parsed = parse_options(job_option_names(), options, Operands::EndTheOptions);
  EXPECT_TRUE(parsed);
  return parse_workflow({.text = text,
                         .file = "heat.yaml",
                         .directory = "/home/ann/heat",
                         .command_line = parsed->options,
                         .around = {.directory = "/home/ann",
                                    .environment = std::move(environment),
                                    .umask = 022,
                                    .now = {}},
                         .read_script = [files](const std::string& path) -> Result<std::string> {
                           const auto found = files.find(path);
                           if (found != files.end()) return found->second;
                           return Error(ErrorKind::NotFound, "cannot read " + path);
                         }});
}

// The errors as the program prints them.
std::string errors_of(const WorkflowFile& file) {
  std::string text;
  for (const WorkflowError& error : file.errors) text += cat(error.line, ": ", error.message, "\n");
  return text;
}

const WorkflowJob& job_of(const WorkflowFile& file, std::string_view name) {
  const auto found = std::ranges::find(file.jobs, name, &WorkflowJob::name);
  CHECK(found != file.jobs.end());
  return *found;
}

TEST(Workflow, HasJobsWithNeedsAndDefaults) {
  const WorkflowFile file = parse(R"(version: 1
name: heat
defaults:
  time: 10
  image: images/mpi.oci:latest
  memory: 256M
jobs:
  prepare:
    command: [./prepare, --size, "100"]
  solve:
    needs: [prepare]
    nodes: 4
    tasks: 8
    memory: 1G
    command: ./solve --steps 1000
  report:
    needs:
      - {job: solve, on: any}
      - job: prepare
    command: ./report
)");
  ASSERT_EQ(errors_of(file), "");
  EXPECT_EQ(file.name, "heat");
  ASSERT_EQ(file.jobs.size(), 3U);
  const WorkflowJob& solve = job_of(file, "solve");
  EXPECT_EQ(solve.line, 10);
  EXPECT_EQ(solve.needs, (std::vector<Need>{{"prepare", NeedOutcome::Success}}));
  EXPECT_EQ(solve.image, "/home/ann/heat/images/mpi.oci:latest");
  EXPECT_EQ(solve.spec.name, "solve");
  EXPECT_EQ(solve.spec.time_limit, minutes(10));
  EXPECT_EQ(solve.spec.components[0].nodes, 4);
  EXPECT_EQ(solve.spec.components[0].tasks, 8);
  EXPECT_EQ(solve.spec.components[0].memory_per_node, gibibytes(1));
  EXPECT_EQ(solve.spec.launch, LaunchMode::Tasks);
  EXPECT_EQ(solve.spec.mpi, MpiMode::Auto);
  EXPECT_EQ(solve.spec.argv, (std::vector<std::string>{"/bin/sh", "-c", "./solve --steps 1000"}));
  EXPECT_EQ(solve.spec.workdir, "/home/ann/heat");
  EXPECT_EQ(job_of(file, "prepare").spec.argv,
            (std::vector<std::string>{"./prepare", "--size", "100"}));
  EXPECT_EQ(job_of(file, "report").needs,
            (std::vector<Need>{{"solve", NeedOutcome::Any}, {"prepare", NeedOutcome::Success}}));
}

TEST(Workflow, ReportsAllErrorsWithTheirLines) {
  const WorkflowFile file = parse(R"(version: 2
name: heat
defaults:
  nodez: 3
  needs: [a]
jobs:
  prepare:
    command: [./prepare]
    memory: lots
  solve:
    needs: [prepre, {job: prepare, on: sucess}]
    commnd: x
  -bad-: {command: "true"}
  both: {command: "true", script: foo.sh}
  none:
  nothing: {nodes: 2}
  missing: {script: gone.sh}
  twice: {command: "true"}
  twice: {command: "true"}
  list: {command: "true", nodes: [1, 2]}
  few: {command: "true", nodes: 2, tasks: 9, tasks_per_node: 2}
jbos: 3
)");
  EXPECT_EQ(errors_of(file),
            R"(1: version: only version 1 exists; write "version: 1"
4: unknown key "nodez" in defaults; did you mean "nodes"?
5: "needs" belongs to a job, not to the defaults
9: memory: "lots" is not an amount of memory; it is written 4000 (MiB), 512M, 4G or 1.5T
11: on: "sucess" is not success, failure, any or each
11: needs: there is no job "prepre"; did you mean "prepare"?
12: unknown key "commnd" in job "solve"; did you mean "command"?
13: "-bad-" is not a job's name: letters, digits, "_", "-" and "." are possible, at most 100, and a letter, digit or "_" first
14: job "both" has a command and a script; one of them is possible
15: job "none" is empty; it has at least a command or a script
16: job "nothing" has neither a command nor a script
17: script: cannot read /home/ann/heat/gone.sh
19: "twice" is given twice in jobs
20: nodes: a single value is expected here, not a list
21: job "few": --ntasks=9 does not fit: --nodes=2 with --ntasks-per-node=2 have room for 4
22: unknown key "jbos" in the workflow; did you mean "jobs"?
)");
}

TEST(Workflow, CycleIsReportedByItsJobsInOrder) {
  const WorkflowFile file = parse(R"(version: 1
jobs:
  a: {command: "true", needs: [c]}
  b: {command: "true", needs: [a]}
  c: {command: "true", needs: [b]}
  d: {command: "true", needs: [c]}
)");
  EXPECT_EQ(errors_of(file),
            "3: the jobs have a cycle: these wait for each other: a -> b -> c -> a\n");
}

TEST(Workflow, JobThatNeedsItselfIsACycle) {
  const WorkflowFile file = parse("version: 1\njobs:\n  a: {command: x, needs: a}\n");
  EXPECT_EQ(errors_of(file), "3: the jobs have a cycle: these wait for each other: a -> a\n");
}

TEST(Workflow, BrokenYamlHasALine) {
  EXPECT_EQ(errors_of(parse("version: 1\njobs:\n  a: [\n")), "4: end of sequence flow not found\n");
  EXPECT_EQ(errors_of(parse("")),
            "0: the file is empty; a workflow has \"version: 1\" and \"jobs:\"\n");
  EXPECT_EQ(errors_of(parse("- a\n")),
            "1: the workflow must be a mapping: lines of \"key: value\"\n");
  EXPECT_EQ(errors_of(parse("name: x\n")),
            "0: \"jobs:\" is missing or empty\n1: \"version: 1\" is missing\n");
}

TEST(Workflow, WrongDefaultIsReportedOnce) {
  const WorkflowFile file = parse(R"(version: 1
defaults: {time: soon}
jobs:
  a: {command: x}
  b: {command: x}
)");
  EXPECT_EQ(file.errors.size(), 1U) << errors_of(file);
  EXPECT_EQ(file.errors[0].line, 2);
}

TEST(Workflow, InlineScriptIsTextOfItsOwn) {
  const WorkflowFile file = parse(R"(version: 1
jobs:
  a:
    arguments: [x, y]
    script: |
      #!/bin/bash
      #JOB --nodes=2
      echo $1
  b:
    script: |
      echo one
      echo two
)");
  ASSERT_EQ(errors_of(file), "");
  EXPECT_EQ(file.jobs[0].spec.script, "#!/bin/bash\n#JOB --nodes=2\necho $1\n");
  EXPECT_EQ(file.jobs[0].spec.components[0].nodes, 2);
  EXPECT_EQ(file.jobs[0].spec.argv, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(file.jobs[1].spec.script, "#!/bin/sh\necho one\necho two\n");
}

TEST(Workflow, KeysWinOverDirectivesOverDefaultsOverEnvironment) {
  const std::string text = R"(version: 1
defaults: {account: defaults, queue: defaults, comment: defaults}
jobs:
  a: {script: a.sh, account: key}
)";
  const WorkflowFile file =
      parse(text, {}, {"SBATCH_ACCOUNT=env", "SBATCH_GRES=gpu:1"},
            {{"/home/ann/heat/a.sh", "#!/bin/sh\n#SBATCH -A script -p script\n"}});
  ASSERT_EQ(errors_of(file), "");
  const JobSpec& spec = file.jobs[0].spec;
  EXPECT_EQ(spec.account.value, "key");
  EXPECT_EQ(spec.queue.value, "script");
  EXPECT_EQ(spec.comment, "defaults");
  EXPECT_EQ(spec.components[0].named_per_node.amount_of("gpu"), 1);
}

TEST(Workflow, CommandLineWinsOverTheFile) {
  const WorkflowFile file =
      parse("version: 1\njobs:\n  a: {command: x, queue: slow}\n", {"-p", "fast", "--hold"});
  ASSERT_EQ(errors_of(file), "");
  EXPECT_EQ(file.jobs[0].spec.queue.value, "fast");
  EXPECT_TRUE(file.jobs[0].spec.held);
}

TEST(Workflow, VariablesAreAddedToTheExported) {
  const WorkflowFile file = parse(R"(version: 1
defaults: {env: {A: "1", B: "2"}}
jobs:
  a: {command: x, env: {B: "3", C: }}
)",
                                  {}, {"PATH=/bin", "A=0"});
  ASSERT_EQ(errors_of(file), "");
  EXPECT_EQ(file.jobs[0].spec.env, (std::vector<std::string>{"PATH=/bin", "A=1", "B=3", "C="}));
}

TEST(Workflow, AJobMayHaveComponents) {
  const WorkflowFile file = parse(R"(version: 1
jobs:
  a:
    command: [x]
    cpus_per_task: 2
    components:
      - {nodes: 1, gres: gpu:1}
      - {nodes: 4, tasks: 8, constraint: ib, exclusive: true}
)");
  ASSERT_EQ(errors_of(file), "");
  const auto& parts = file.jobs[0].spec.components;
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].cpus_per_task, 2);
  EXPECT_EQ(parts[0].named_per_node.amount_of("gpu"), 1);
  EXPECT_EQ(parts[1].tasks, 8);
  EXPECT_EQ(parts[1].constraint, "ib");
  EXPECT_TRUE(parts[1].exclusive);
  EXPECT_EQ(file.jobs[0].spec.launch, LaunchMode::Tasks);
}

TEST(Workflow, KeysOfComponentsAreChecked) {
  const WorkflowFile file = parse(R"(version: 1
jobs:
  a:
    command: [x]
    components:
      - {node: 1}
      - {nodes: none}
  b: {command: [x], components: 3}
)");
  const std::string errors = errors_of(file);
  EXPECT_NE(errors.find("6: unknown key \"node\" in a component; did you mean \"nodes\"?"),
            std::string::npos)
      << errors;
  EXPECT_NE(errors.find("8: components: a list is expected"), std::string::npos) << errors;
}

TEST(Workflow, FlagsAreTrueOrFalse) {
  const WorkflowFile file = parse(R"(version: 1
jobs:
  a: {command: x, exclusive: true, requeue: false}
  b: {command: x, exclusive: maybe}
)");
  EXPECT_EQ(errors_of(file), "4: exclusive: \"maybe\" is not true or false\n");
  EXPECT_TRUE(file.jobs[0].spec.components[0].exclusive);
  EXPECT_FALSE(file.jobs[0].spec.requeue);
}

TEST(Workflow, NameIsTheFilesIfItGivesNone) {
  EXPECT_EQ(parse("version: 1\njobs: {a: {command: x}}\n").name, "heat");
}

// ---- documents ----------------------------------------------------------------------------------

nlohmann::json schema() {
  std::ifstream file(std::string(GANGWAY_SOURCE_DIR) + "/docs/workflow.schema.json");
  return nlohmann::json::parse(file);
}

TEST(WorkflowSchema, NamesTheKeysThatTheParserKnows) {
  const nlohmann::json document = schema();
  std::set<std::string> in_schema;
  for (const auto& [key, value] : document["$defs"]["job"]["properties"].items()) {
    in_schema.insert(key);
  }
  const std::vector<std::string> keys = workflow_job_keys();
  EXPECT_EQ(in_schema, std::set<std::string>(keys.begin(), keys.end()));
}

TEST(WorkflowSchema, DefaultsAreAJobWithoutWhatItRuns) {
  const nlohmann::json document = schema();
  for (const auto& [key, value] : document["$defs"]["job"]["properties"].items()) {
    const bool in_defaults = document["properties"]["defaults"]["properties"].contains(key);
    const bool accepted =
        errors_of(parse(cat("version: 1\ndefaults: {", key, ": }\njobs: {a: {command: x}}\n")))
            .find("belongs to a job") == std::string::npos;
    EXPECT_EQ(in_defaults, accepted) << key;
  }
}

TEST(WorkflowDocument, DescribesEveryKey) {
  std::ifstream file(std::string(GANGWAY_SOURCE_DIR) + "/docs/workflow.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const std::string& key : workflow_job_keys()) {
    EXPECT_NE(text.find("`" + key + "`"), std::string::npos) << key;
  }
}

TEST(WorkflowDocument, ExampleIsRight) {
  std::ifstream file(std::string(GANGWAY_SOURCE_DIR) + "/docs/workflow.md");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::size_t begin = text.find("```yaml\n") + 8;
  text = text.substr(begin, text.find("```", begin) - begin);
  const WorkflowFile workflow = parse(text, {}, {}, {{"/home/ann/heat/frames.sh", "#!/bin/sh\n"}});
  EXPECT_EQ(errors_of(workflow), "");
  EXPECT_EQ(workflow.jobs.size(), 4U);
}

// ---- any text -----------------------------------------------------------------------------------

TEST(Workflow, AnyTextHasAnAnswer) {
  const std::string seed =
      "version: 1\nname: x\ndefaults: {time: 10}\njobs:\n  a: {command: [x], needs: [b]}\n"
      "  b:\n    script: |\n      #!/bin/sh\n    env: {A: 1}\n    needs: [{job: a, on: any}]\n";
  constexpr std::string_view kPieces = ":{}[]-|\n #\"'&*!%@`,ab1\t";
  Rng rng(11);
  for (int round = 0; round < 2000; ++round) {
    std::string text = seed;
    const auto changes = rng.between(1, 6);
    for (int i = 0; i < changes; ++i) {
      const auto at = static_cast<std::size_t>(rng.between(0, std::ssize(text) - 1));
      const char piece = kPieces[static_cast<std::size_t>(rng.between(0, std::ssize(kPieces) - 1))];
      if (rng.chance(300)) {
        text.erase(at, static_cast<std::size_t>(rng.between(1, 5)));
      } else if (rng.chance(500)) {
        text.insert(at, 1, piece);
      } else if (at < text.size()) {
        text[at] = piece;
      }
      if (text.empty()) text = "a";
    }
    const WorkflowFile file = parse(text);
    for (const WorkflowError& error : file.errors) {
      EXPECT_FALSE(error.message.empty());
      EXPECT_GE(error.line, 0);
    }
  }
}

TEST(Workflow, PostWithTwoNodesIsAnError) {
  const auto errors = [](const std::string& keys) {
    return errors_of(parse("version: 1\njobs:\n  a: {command: [x], post: done, " + keys + "}\n"));
  };
  for (const char* const keys :
       {"nodes: 2", "tasks: 2", "tasks_per_node: 2", "nodelist: 'n[1-2]'"}) {
    EXPECT_NE(errors(keys).find("a command of one task, and this one has 2"), std::string::npos)
        << keys << ": " << errors(keys);
  }
  EXPECT_EQ(errors("nodes: 1"), "");
}

TEST(Workflow, AScriptMeansTheSameAsForJsubmit) {
  const std::string text = "version: 1\njobs:\n  a: {script: a.sh}\n";
  const WorkflowFile file =
      parse(text, {}, {}, {{"/home/ann/heat/a.sh", "#!/bin/sh\r\n#SBATCH -n1\r\ntrue\r\n"}});
  ASSERT_EQ(errors_of(file), "");
  EXPECT_EQ(file.jobs[0].spec.script, "#!/bin/sh\n#SBATCH -n1\ntrue\n");
  ASSERT_EQ(file.warnings.size(), 1U);
  EXPECT_NE(file.warnings[0].find("/home/ann/heat/a.sh:1: the lines end with"), std::string::npos);
}

}  // namespace
}  // namespace gangway::submit
