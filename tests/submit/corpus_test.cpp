// The directive lines of public job scripts, if they are at hand (tests/shared_data.hpp).
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "submit/job_options.hpp"
#include "submit/jobspec_parse.hpp"
#include "submit/script_directives.hpp"
#include "tests/shared_data.hpp"

namespace gangway::submit {
namespace {

std::vector<std::vector<std::string>> read_corpus(const std::string& name) {
  std::vector<std::vector<std::string>> scripts;
  std::ifstream file(test::shared_data("jobscripts/" + name));
  for (std::string line; std::getline(file, line);) {
    scripts.push_back(nlohmann::json::parse(line)["directives"]);
  }
  return scripts;
}

std::string as_script(const std::vector<std::string>& directives) {
  std::string script = "#!/bin/bash\n";
  for (const std::string& line : directives) script += line + "\n";
  return script;
}

// A value that a template or a variable would fill in before anybody submits it.
bool is_template(const std::string& line) {
  return line.find_first_of("$<{%") != std::string::npos && line.find("%j") == std::string::npos;
}

// What was asked for.
constexpr double kLeastUnderstood = 97;

struct Counts {
  int lines = 0;
  int refused = 0;
  std::string messages;
};

Counts try_corpus(const std::vector<std::vector<std::string>>& scripts) {
  Counts counts;
  for (const auto& directives : scripts) {
    for (const std::string& line : directives) {
      if (is_template(line)) continue;
      ++counts.lines;
      JobDraft draft;
      draft.source = OptionSource::Script;
      const Result<void> applied = apply_script(draft, as_script({line}), "job.sh");
      if (applied || applied.error().kind() == ErrorKind::Unsupported) continue;
      ++counts.refused;
      counts.messages += line + "\n    " + applied.error().message() + "\n";
    }
  }
  return counts;
}

TEST(Corpus, EveryDirectiveLineOfPublicScriptsIsSplit) {
  const auto scripts = read_corpus("sbatch_directives_dev.jsonl");
  if (scripts.empty()) GTEST_SKIP() << "no corpus in " << test::shared_data("jobscripts");
  for (const auto& directives : scripts) {
    const ScriptDirectives found = parse_directives(as_script(directives));
    EXPECT_LE(found.directives.size(), directives.size());
  }
  const Counts counts = try_corpus(scripts);
  RecordProperty("lines", counts.lines);
  RecordProperty("refused", counts.refused);
  // What is left are slips and placeholders that sbatch refuses, too.
  EXPECT_LE(counts.refused * 100, counts.lines * 2) << counts.messages;
}

// Fully understood: nothing of it is refused or without effect. Scripts that sbatch refuses, too,
// are not counted: slips, places that a template would fill, and options of some site's plugins.
TEST(Corpus, TheShareOfPublicScriptsThatAreFullyUnderstoodDoesNotFall) {
  const auto scripts = read_corpus("sbatch_directives_dev.jsonl");
  if (scripts.empty()) GTEST_SKIP() << "no corpus in " << test::shared_data("jobscripts");
  int right = 0;
  int understood = 0;
  std::map<std::string, int> others;
  for (const auto& directives : scripts) {
    std::vector<std::string> lines = directives;
    std::erase_if(lines, is_template);
    JobDraft draft;
    draft.source = OptionSource::Script;
    const Result<void> applied = apply_script(draft, as_script(lines), "job.sh");
    if (!applied && applied.error().kind() != ErrorKind::Unsupported) continue;
    constexpr std::string_view kOfPlugins[] = {"--ear", "--ear-policy", "--ear-verbose",
                                               "--quotatype"};
    if (std::ranges::any_of(draft.ignored, [&](const std::string& option) {
          return std::ranges::find(kOfPlugins, option) != std::end(kOfPlugins);
        })) {
      continue;
    }
    ++right;
    if (applied && draft.ignored.empty()) ++understood;
    if (!applied) ++others[applied.error().message().substr(applied.error().message().find(": "))];
    for (const std::string& name : draft.ignored) ++others[name];
  }
  const double percent = 100.0 * understood / right;
  std::cout << "fully understood: " << understood << " of " << right << " right scripts ("
            << percent << " %); scripts with what is not:\n";
  for (const auto& [what, count] : others) std::cout << "  " << count << " " << what << "\n";
  EXPECT_GE(percent, kLeastUnderstood);
}

TEST(Corpus, PbsLinesOfPublicScriptsAreUnderstood) {
  const auto scripts = read_corpus("pbs_directives_dev.jsonl");
  if (scripts.empty()) GTEST_SKIP() << "no corpus in " << test::shared_data("jobscripts");
  const Counts counts = try_corpus(scripts);
  EXPECT_LE(counts.refused * 100, counts.lines * 2) << counts.messages;
}

}  // namespace
}  // namespace gangway::submit
