// Some hundreds of wrong inputs, generated from right ones: jsubmit says in one line what is wrong,
// ends with 64 (the command line) or 65 (a script), and nothing reaches the scheduler.
#include <gtest/gtest.h>

#include <algorithm>

#include "queues/base/text.hpp"
#include "submit/job_options.hpp"
#include "tests/submit/counting_programs.hpp"

namespace gangway::submit {
namespace {

struct Wrong {
  std::vector<std::string> words;  // of the command line, or of one directive
  std::string names;               // what the message has to name
};

// What such an option does not take, whatever the cluster; "" is an empty value.
struct WrongValues {
  std::string_view option, values;
};
constexpr WrongValues kWrongValues[] = {
    {"nodes", "0 -1 four 4-2 2- 1.5 999999999"},
    {"ntasks", "0 -1 two 1.5 999999999999999 4x"},
    {"ntasks-per-node", "0 -1 two 1.5 999999999999999 4x"},
    {"tasks-per-node", "0 -1 two 1.5 999999999999999 4x"},
    {"cpus-per-task", "0 -1 two 1.5 999999999999999 4x"},
    {"cpus-per-gpu", "0 -1 two 1.5 999999999999999 4x"},
    {"mincpus", "0 -1 two 1.5 999999999999999 4x"},
    {"ntasks-per-core", "0 -1 two 1.5 999999999999999 4x"},
    {"ntasks-per-socket", "0 -1 two 1.5 999999999999999 4x"},
    {"threads-per-core", "0 -1 two 1.5 999999999999999 4x"},
    {"cores-per-socket", "0 -1 two 1.5 999999999999999 4x"},
    {"sockets-per-node", "0 -1 two 1.5 999999999999999 4x"},
    {"core-spec", "-1 two 1.5"},
    {"mem", "4Q -1G lots G 1.2.3G"},
    {"mem-per-cpu", "4Q -1G lots G 1.2.3G"},
    {"mem-per-gpu", "4Q -1G lots G 1.2.3G"},
    {"tmp", "4Q -1G lots G 1.2.3G"},
    {"time", "soon 1:2:3:4:5 -10 1- 12:xx 10y"},
    {"time-min", "soon -10 12:xx"},
    {"gpus", "two -1 a100:many"},
    {"gpus-per-node", "two -1 a100:many"},
    {"gpus-per-task", "two -1 a100:many"},
    {"gres", ":2 gpu:a100:two gpu:a:b:c"},
    {"nodelist", "n[1- n[3-1] /etc/nodes"},
    {"exclude", "n[1- n[3-1] /etc/nodes"},
    {"constraint", "a& (a a||b [a|b"},
    {"exclusive", "users yes"},
    {"hint", "nomultithreads fast"},
    {"distribution", "blok cyclic:fast plane plane=x block:block:block:block"},
    {"mem-bind", "locale map_mem"},
    {"gpu-bind", "closets map_gpu single:"},
    {"clusters", "a,,b"},
    {"volume", ":/x /a:b"},
    {"open-mode", "appned w"},
    {"mpi", "pmx magic"},
    {"nice", "very 99999999999"},
    {"begin", "yesterday-ish now+3fortnights 25:61"},
    {"dependency", "afterok afterok:x afterwards:42 after:1+x"},
    {"kill-on-invalid-dep", "perhaps"},
    {"signal", "USR9@10 @10 X:USR1@10 USR1@soon"},
    {"switches", "few 1@soon"},
    {"wait-all-nodes", "2 yes"},
    {"gres-flags", "disable-bindings"},
    {"propagate", "ALLES NOFILES"},
    {"no-kill", "on"},
    {"get-user-env", "long"},
    {"bind", ":/x /a:b /a:/b:rx"},
    {"env", "=x"},
    {"job-name", "\"\""},
    {"output", "\"\""},
    {"error", "\"\""},
    {"chdir", "\"\""},
};

std::string with_swapped_letters(std::string name, std::size_t at) {
  std::swap(name[at], name[at + 1]);
  return name;
}

// Neither an option nor the beginning of one.
bool is_unknown(std::string_view name) {
  return std::ranges::none_of(
      job_option_names(), [&](const OptionName& option) { return option.name.starts_with(name); });
}

std::vector<Wrong> generate() {
  std::vector<Wrong> wrong;
  for (const OptionName& option : job_option_names()) {
    const std::string name(option.name);
    const std::string spelled = cat("--", name);
    for (const WrongValues& row : kWrongValues) {
      if (row.option != option.name) continue;
      for (const std::string_view listed : split(row.values, ' ')) {
        const std::string value(listed == "\"\"" ? std::string_view() : listed);
        wrong.push_back({{cat(spelled, "=", value)}, spelled});
        if (option.letter != 0 && option.takes == Takes::Value) {
          wrong.push_back({{cat('-', option.letter), value}, cat('-', option.letter)});
        }
      }
    }
    if (option.takes == Takes::Value) wrong.push_back({{spelled}, spelled});
    if (option.takes == Takes::Nothing) wrong.push_back({{cat(spelled, "=5")}, spelled});
    if (const std::string typo = with_swapped_letters(name, (name.size() - 1) / 2);
        is_unknown(typo)) {
      wrong.push_back({{cat("--", typo, "=1")}, cat("--", typo)});
    }
  }
  return wrong;
}

class WrongInputs : public CountingPrograms {
 protected:
  void expect_one_line(const Ended& ended, int code, const Wrong& wrong) {
    SCOPED_TRACE(join(wrong.words, " "));
    CountingPrograms::expect_one_line(ended, code);
    EXPECT_NE(ended.err.find(wrong.names), std::string::npos) << ended.err;
  }
};

TEST_F(WrongInputs, OnTheCommandLineAreUsageInOneLineAndNothingIsSent) {
  const std::vector<Wrong> all = generate();
  EXPECT_GE(all.size(), 300U);
  for (const Wrong& wrong : all) {
    std::vector<std::string> words = {"jsubmit"};
    words.insert(words.end(), wrong.words.begin(), wrong.words.end());
    // Without the dashes a missing value would be "true".
    if (!wrong.words.back().starts_with("--") ||
        wrong.words.back().find('=') != std::string::npos) {
      words.insert(words.end(), {"--", "true"});
    }
    expect_one_line(run(words), 64, wrong);
  }
  EXPECT_EQ(requests_, 0);
}

TEST_F(WrongInputs, InAScriptAreBadDataWithFileAndLineAndNothingIsSent) {
  for (Wrong wrong : generate()) {
    if (wrong.words.back().empty()) wrong.words.back() = "\"\"";
    if (wrong.words.back().find_first_of("(|&") != std::string::npos) continue;
    write("job.sh",
          cat("#!/bin/sh\n#SBATCH --ntasks=1\n#SBATCH ", join(wrong.words, " "), "\ntrue\n"));
    const Ended ended = run({"jsubmit", "job.sh"});
    expect_one_line(ended, 65, wrong);
    EXPECT_NE(ended.err.find("job.sh:3: "), std::string::npos) << ended.err;
  }
  EXPECT_EQ(requests_, 0);
}

}  // namespace
}  // namespace gangway::submit
