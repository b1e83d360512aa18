// Some hundreds of wrong workflow files, generated from right ones: jsubmit says in one line what
// is wrong and where, ends with 65 (64 for its command line), and nothing reaches the scheduler.
#include <gtest/gtest.h>

#include <algorithm>

#include "queues/base/text.hpp"
#include "submit/workflow_parse.hpp"
#include "tests/submit/counting_programs.hpp"

namespace gangway::submit {
namespace {

struct Wrong {
  std::string text;    // of the whole file
  std::string begins;  // how the message does, with the place
  std::string says{};  // what else is in it
};

// What a key does not take, whatever the cluster; in YAML, so that "" is an empty text.
struct WrongValues {
  std::string_view key, values;
};
constexpr WrongValues kWrongValues[] = {
    {"array", "x 3-1 -1 0-9:0 1,,2"},
    {"begin", "yesterday-ish now+3fortnights 25:61"},
    {"binds", "[\":/x\"] [\"/a:b\"] [\"/a:/b:rx\"] /a"},
    {"command", "\"\" [] {a:1}"},
    {"components", "[] 2 {nodes:1} [{nodes:0}] [{nodse:1}] [{time:5}]"},
    {"constraint", "a& a||b \"[a|b\""},
    {"cpus_per_task", "0 -1 two 1.5 999999999999999 4x"},
    {"deadline", "someday 25:61"},
    {"env", "x [A] {\"A=B\":x} {A:[1]}"},
    {"error", "\"\""},
    {"exclude", "\"n[1-\" \"n[3-1]\""},
    {"exclusive", "perhaps 2 [true]"},
    {"final", "perhaps 2"},
    {"gpus", "two -1 a100:many"},
    {"gpus_per_node", "two -1 a100:many"},
    {"gres", "gpu:a100:two gpu:a:b:c"},
    {"memory", "4Q -1G lots G 1.2.3G"},
    {"memory_per_cpu", "4Q -1G lots G 1.2.3G"},
    {"mpi", "pmx magic"},
    {"needs", "{prepare:1} [prepare,prepare] nobody [{on:any}] [{job:prepare,on:never}]"},
    {"network", "bridge"},
    {"nice", "very 99999999999"},
    {"nodelist", "\"n[1-\" \"n[3-1]\""},
    {"nodes", "0 -1 four 4-2 2- 1.5 999999999"},
    {"output", "\"\""},
    {"read_only", "perhaps 2"},
    {"requeue", "perhaps 2"},
    {"retries", "-1 many 3:soon"},
    {"tasks", "0 -1 two 1.5 999999999999999 4x"},
    {"tasks_per_node", "0 -1 two 1.5 999999999999999 4x"},
    {"time", "soon 1:2:3:4:5 -10 1- 12:xx 10y"},
    {"user", "nobody-else"},
    {"workdir", "\"\""},
};

std::string with_swapped_letters(std::string word, std::size_t at) {
  std::swap(word[at], word[at + 1]);
  return word;
}

// The right file, with `lines` in the second of its jobs, which begins in line 7, or among the
// defaults. The key of a wrong value stands in place of a right one.
std::string yaml_with(std::string_view key, const std::string& line, bool in_defaults = false) {
  const auto unless = [&](std::string_view what, std::string_view text) {
    return key == what && !in_defaults ? std::string_view() : text;
  };
  return cat("version: 1\nname: right\ndefaults:\n  comment: right\n", in_defaults ? "  " : "",
             in_defaults ? line : "", in_defaults ? "\n" : "",
             "jobs:\n  prepare: {command: [echo, a]}\n  solve:\n",
             in_defaults ? "" : cat("    ", line, "\n"), unless("needs", "    needs: [prepare]\n"),
             key == "script" ? "" : unless("command", "    command: [echo, b]\n"),
             "  report: {needs: [{job: solve, on: any}], command: report}\n");
}

std::vector<Wrong> wrong_values_in_yaml() {
  std::vector<Wrong> wrong;
  for (const WrongValues& row : kWrongValues) {
    for (const std::string_view value : split(row.values, ' ')) {
      // A colon in a flow mapping is one only with a blank behind it.
      std::string spaced;
      for (const char c : value)
        spaced.append(1, c).append(
            c == ':' && value[0] != '"' && (value[0] == '{' || value[0] == '[') ? " " : "");
      wrong.push_back({yaml_with(row.key, cat(row.key, ": ", spaced)), "flow.yaml:8: "});
    }
  }
  return wrong;
}

std::vector<Wrong> wrong_keys_in_yaml() {
  std::vector<Wrong> wrong;
  const std::vector<std::string> known = workflow_job_keys();
  for (const std::string& key : known) {
    const std::string typo = with_swapped_letters(key, (key.size() - 1) / 2);
    if (typo != key) {
      wrong.push_back(
          {yaml_with("", cat(typo, ": x")), "flow.yaml:8: ", cat("unknown key \"", typo)});
      wrong.push_back(
          {yaml_with("", cat(typo, ": x"), true), "flow.yaml:5: ", cat("unknown key \"", typo)});
    }
    wrong.push_back(
        {yaml_with("", cat(key, "s_: x")), "flow.yaml:8: ", cat("unknown key \"", key)});
    wrong.push_back({yaml_with("", cat("? [", key, "]\n    : x")), "flow.yaml:8: "});
  }
  return wrong;
}

std::vector<Wrong> wrong_structure_in_yaml() {
  const std::string right = yaml_with("", "time: 5");
  const auto instead = [&](const std::string& what, const std::string& other) {
    std::string text = right;
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), other);
  };
  return {
      {"", "flow.yaml: the file is empty"},
      {"[a, b]\n", "flow.yaml:1: "},
      {"just words\n", "flow.yaml:1: "},
      {instead("version: 1\n", ""), "flow.yaml:1: \"version: 1\" is missing"},
      {instead("version: 1", "version: 2"), "flow.yaml:1: version"},
      {instead("version: 1", "version: [1]"), "flow.yaml:1: version"},
      {instead("name: right", "name: [a]"), "flow.yaml:2: name"},
      {instead("name: right", "nmae: right"), "flow.yaml:2: unknown key \"nmae\""},
      {instead("name: right", "name: right\nname: right"), "flow.yaml:3: \"name\" is given twice"},
      {instead("name: right", "categories: [io]"), "flow.yaml:2: categories"},
      {instead("name: right", "categories: {io: many}"), "flow.yaml:2: categories: io"},
      {instead("name: right", "categories: {io: 0}"), "flow.yaml:2: categories: io"},
      {instead("name: right", "name: \"{{size}}\"\nparameters:\n  sise: 4"), "flow.yaml:2: "},
      {instead("defaults:", "defualts:"), "flow.yaml:3: unknown key \"defualts\""},
      {instead("comment: right", "command: [x]"), "flow.yaml:4: \"command\" belongs to a job"},
      {instead("comment: right", "needs: [x]"), "flow.yaml:4: \"needs\" belongs to a job"},
      {instead("  comment: right\n", "- a\n"), "flow.yaml:4: defaults"},
      {instead("jobs:", "job:"), "flow.yaml:5: unknown key \"job\""},
      {instead("report:", "re port:"), "flow.yaml:"},
      {instead("report:", "-report:"), "flow.yaml:"},
      {instead("prepare: {", "solve: {"), "flow.yaml:"},
      {instead("time: 5", "time: [5"), "flow.yaml:"},
      {instead("time: 5", "time: \"5"), "flow.yaml:"},
      {instead("time: 5", "\ttime: 5"), "flow.yaml:"},
      {instead("time: 5", "time: *five"), "flow.yaml:8: "},
      {instead("time: 5", "time: 5\n    time: 6"), "flow.yaml:9: \"time\" is given twice"},
      {instead("time: 5", "script: |\n      #!/bin/sh\n      true"), "flow.yaml:"},
      {instead("time: 5", "script: nowhere/job.sh"), "flow.yaml:"},
      {instead("time: 5", "arguments: [a]"), "flow.yaml:"},
      {instead("time: 5", "workflow: other.yaml"), "flow.yaml:"},
      {instead("job: solve", "jbo: solve"), "flow.yaml:"},
      {instead("job: solve", "job: sovle"), "flow.yaml:11: needs", "did you mean \"solve\"?"},
      {instead("{command: [echo, a]}", "{command: [echo, a], needs: [report]}"),
       "flow.yaml:6: the jobs have a cycle: "},
      {instead("{command: [echo, a]}", "{}"), "flow.yaml:6: "},
      {instead("{command: [echo, a]}", ""), "flow.yaml:6: job \"prepare\" is empty"},
      {instead("{command: [echo, a]}", "[echo, a]"), "flow.yaml:6: "},
      {instead("{command: [echo, a]}", "{command: [echo, [a]]}"), "flow.yaml:6: command"},
  };
}

constexpr std::string_view kRightDag =
    "JOB a a.sub\nJOB b a.sub\nJOB c {\nexecutable = /bin/true\n}\nFINAL last a.sub\n"
    "SPLICE s s.dag\nSPLICE t s.dag\nPARENT a CHILD b\n";
constexpr std::string_view kRightSubmit = "executable = /bin/echo\narguments = $(what)\n";
constexpr std::string_view kRightSplice = "JOB x a.sub\nPIN_IN x 1\nPIN_OUT x 1\n";

std::vector<Wrong> wrong_dags() {
  std::vector<Wrong> wrong;
  // One line more than the right ones, which are nine.
  const auto add = [&](std::string_view line, std::string_view says = {}) {
    wrong.push_back({cat(kRightDag, line, "\n"), "flow.dag:10: ", std::string(says)});
  };
  for (const std::string_view keyword :
       {"JOB", "NODE", "FINAL", "PARENT", "VARS", "SCRIPT", "RETRY", "PRIORITY", "CATEGORY",
        "MAXJOBS", "PIN_IN", "PIN_OUT", "CONNECT", "SPLICE", "SUBDAG", "INCLUDE"}) {
    add(keyword, keyword);
    if (keyword != "INCLUDE") add(cat(keyword, " a"), keyword);
    const std::string typo = with_swapped_letters(std::string(keyword), (keyword.size() - 1) / 2);
    add(cat(typo, " a 1"), typo);
    add(cat(keyword, "x a 1"), keyword);
  }
  for (const std::string_view of_node :
       {"VARS ? x=\"1\"", "SCRIPT PRE ? true", "SCRIPT POST ? true", "RETRY ? 3", "PRIORITY ? 3",
        "CATEGORY ? io", "PIN_IN ? 1", "PIN_OUT ? 1", "PARENT ? CHILD a", "PARENT a CHILD ?"}) {
    for (const std::string_view name : {"nobody", "A", "s+y", "u+x"}) {
      std::string line(of_node);
      add(line.replace(line.find('?'), 1, name), cat("there is no node \"", name, "\""));
    }
  }
  for (const std::string_view value : {"many", "-1", "1.5", "3x", "99999999999999999999"}) {
    for (const std::string_view keyword : {"RETRY a ", "MAXJOBS io ", "PIN_IN a ", "PIN_OUT a "}) {
      add(cat(keyword, value), value);
    }
    if (value != "-1") add(cat("PRIORITY a ", value), value);
    add(cat("JOB new a.sub ", value), value);
  }
  for (const std::string_view line : {"JOB a a.sub",
                                      "JOB b a.sub NOOP",
                                      "PARENT a",
                                      "PARENT CHILD b",
                                      "PARENT a CHILD",
                                      "VARS a x",
                                      "VARS a x=1",
                                      "CONNECT s nobody",
                                      "CONNECT nobody s",
                                      "CONNECT a b",
                                      "SPLICE v nowhere.dag",
                                      "SUBDAG EXTERNAL v nowhere.dag",
                                      "INCLUDE nowhere.dag",
                                      "JOB new nowhere.sub",
                                      "JOB new empty.sub",
                                      "JOB new words.sub",
                                      "JOB new memory.sub",
                                      "JOB new cores.sub",
                                      "SUBMIT-DESCRIPTION",
                                      "FINALLY a"}) {
    add(line);
  }
  for (const std::string_view line :
       {"ABORT-DAG-ON a 3", "PROVISIONER p a.sub", "SERVICE p a.sub", "RETRY a 3 UNLESS-EXIT 2",
        "SCRIPT HOLD a true", "SCRIPT PRE a true $DAG_STATUS", "VARS a PREPEND x=\"1\"",
        "JOB new three.sub", "JOB new java.sub"}) {
    add(line, "cannot be honoured here");
  }
  wrong.push_back(
      {cat(kRightDag, "PARENT b CHILD a\n"), "flow.dag:9: ", "the nodes have a cycle: "});
  wrong.push_back({"", "flow.dag: it has no node"});
  return wrong;
}

constexpr std::string_view kRightTasks =
    R"({"name": "right", "workflow": {"tasks": [
{"name": "a", "id": "a1", "runtimeInSeconds": 1.5, "parents": [], "children": ["b1"]},
{"name": "b", "id": "b1", "runtimeInSeconds": 2, "parents": ["a1"], "children": []},
{"name": "c", "id": "c1", "runtimeInSeconds": 0, "parents": [], "children": []}]}})";

std::vector<Wrong> wrong_tasks() {
  std::vector<Wrong> wrong;
  for (std::size_t end = 0; end < kRightTasks.size(); end += 3) {
    wrong.push_back({std::string(kRightTasks.substr(0, end)), "flow.json: "});
  }
  const auto instead = [&](std::string_view what, std::string_view other, std::string_view says) {
    std::string text(kRightTasks);
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    wrong.push_back({text.replace(at, what.size(), other), "flow.json: ", std::string(says)});
  };
  for (const std::string_view value : {"-1", "\"soon\"", "[]", "{}", "true"}) {
    instead("1.5", value, "task a1: its run time");
    instead("[\"a1\"]", value == "[]" ? "\"a1\"" : value, "task b1: parents is no list");
    instead("[\"b1\"]", value == "[]" ? "\"b1\"" : value, "task a1: children is no list");
  }
  for (const std::string_view value : {"1", "null", "[\"a1\"]", "{}"}) {
    instead("[\"a1\"]", cat("[", value, "]"), "task b1: something in parents is no name");
  }
  for (const std::string_view name : {"d1", "A1", "a", ""}) {
    instead("[\"a1\"]", cat("[\"", name, "\"]"), "an edge from");
  }
  instead("\"id\": \"c1\"", "\"id\": \"a1\"", "there are two tasks \"a1\"");
  instead("[\"a1\"], \"children\": []", "[\"a1\"], \"children\": [\"a1\"]",
          "the tasks have a cycle");
  instead("\"workflow\"", "\"worfklow\"", "it has no \"workflow\"");
  instead("\"tasks\"", "\"taks\"", "its workflow has no list of tasks");
  for (const std::string_view all :
       {"[]", "{}", "null", "\"x\"", "3", "{\"workflow\": []}", "{\"workflow\": {\"tasks\": {}}}",
        "{\"workflow\": {\"tasks\": []}}", "{\"workflow\": {\"tasks\": [3]}}"}) {
    wrong.push_back({std::string(all), "flow.json: "});
  }
  return wrong;
}

class WrongWorkflows : public CountingPrograms {
 protected:
  void SetUp() override {
    CountingPrograms::SetUp();
    write("a.sub", std::string(kRightSubmit));
    write("s.dag", std::string(kRightSplice));
    write("empty.sub", "\n");
    write("words.sub", cat(kRightSubmit, "and more\n"));
    write("memory.sub", cat(kRightSubmit, "request_memory = lots\n"));
    write("cores.sub", cat(kRightSubmit, "request_cpus = 0\n"));
    write("three.sub", cat(kRightSubmit, "queue 3\n"));
    write("java.sub", cat(kRightSubmit, "universe = java\n"));
  }
  // Requires: nothing is wrong with what `all` were made from.
  void expect_one_line_each(const std::vector<Wrong>& all,
                            const std::string& file,
                            const std::vector<std::string>& options) {
    for (const Wrong& wrong : all) {
      SCOPED_TRACE(wrong.text);
      write(file, wrong.text);
      std::vector<std::string> words = {"jsubmit", "--retry=0"};
      words.insert(words.end(), options.begin(), options.end());
      words.push_back(file);
      const Ended ended = run(words);
      expect_one_line(ended, 65);
      EXPECT_TRUE(ended.err.starts_with(cat("jsubmit: ", wrong.begins))) << ended.err;
      EXPECT_NE(ended.err.find(wrong.says), std::string::npos)
          << ended.err << "does not say: " << wrong.says;
    }
    EXPECT_EQ(requests_, 0);
  }
  // With what is right there is nothing to complain about, so that it asks the scheduler.
  void expect_sent(const std::string& file,
                   std::string_view text,
                   const std::vector<std::string>& options) {
    write(file, std::string(text));
    std::vector<std::string> words = {"jsubmit", "--retry=0"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(file);
    const Ended ended = run(words);
    EXPECT_GT(requests_.exchange(0), 0) << ended.err;
  }
};

TEST_F(WrongWorkflows, OfYamlAreBadDataInOneLineAndNothingIsSent) {
  expect_sent("flow.yaml", yaml_with("", "time: 5"), {});
  std::vector<Wrong> all = wrong_values_in_yaml();
  for (const auto& more : {wrong_keys_in_yaml(), wrong_structure_in_yaml()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  EXPECT_GE(all.size(), 300U);
  expect_one_line_each(all, "flow.yaml", {});
}

TEST_F(WrongWorkflows, OfDagmanAreBadDataInOneLineAndNothingIsSent) {
  expect_sent("flow.dag", kRightDag, {"--format=dagman"});
  const std::vector<Wrong> all = wrong_dags();
  EXPECT_GE(all.size(), 150U);
  expect_one_line_each(all, "flow.dag", {"--format=dagman"});
}

TEST_F(WrongWorkflows, OfWfFormatAreBadDataInOneLineAndNothingIsSent) {
  expect_sent("flow.json", kRightTasks, {"--format=wfcommons"});
  const std::vector<Wrong> all = wrong_tasks();
  EXPECT_GE(all.size(), 100U);
  expect_one_line_each(all, "flow.json", {"--format=wfcommons"});
}

}  // namespace
}  // namespace gangway::submit
