#include "submit/script_directives.hpp"

#include <gtest/gtest.h>

#include <string>

#include "queues/base/rng.hpp"

namespace gangway::submit {
namespace {

using Words = std::vector<std::string>;

std::vector<Words> words_in(std::string_view script) {
  std::vector<Words> words;
  for (const Directive& directive : parse_directives(script).directives) {
    words.push_back(directive.words);
  }
  return words;
}

TEST(ScriptDirectives, KnowTheirLineAndDialect) {
  const auto found = parse_directives("#!/bin/sh\n\n#JOB --nodes=2\n# text\n#SBATCH -t 10\n");
  EXPECT_EQ(found.directives, (std::vector<Directive>{{Dialect::Native, 3, {"--nodes=2"}},
                                                      {Dialect::Sbatch, 5, {"-t", "10"}}}));
}

TEST(ScriptDirectives, EndAtTheFirstCommand) {
  EXPECT_EQ(words_in("#!/bin/sh\n#JOB -N2\necho\n#JOB -N4\n"), (std::vector<Words>{{"-N2"}}));
  EXPECT_EQ(words_in("#!/bin/sh\n   \n\t\n#JOB -N2\n"), (std::vector<Words>{{"-N2"}}));
}

TEST(ScriptDirectives, NeedABlankAfterTheMarkerAndNoneBefore) {
  EXPECT_TRUE(words_in("#JOBS -N2\n #JOB -N2\n##JOB -N2\n#SBATCHX\n#JOB\n").empty());
  EXPECT_EQ(words_in("#JOB\t-N2\n"), (std::vector<Words>{{"-N2"}}));
}

TEST(ScriptDirectives, MayHoldSeveralOptions) {
  EXPECT_EQ(words_in("#SBATCH -C gpu --gres=gpu:4\n"),
            (std::vector<Words>{{"-C", "gpu", "--gres=gpu:4"}}));
}

TEST(ScriptDirectives, CommentBeginsAtTheStartOfAWord) {
  EXPECT_EQ(words_in("#SBATCH --mem=32G   # RAM (don't exceed it)\n"),
            (std::vector<Words>{{"--mem=32G"}}));
  EXPECT_EQ(words_in("#SBATCH --job-name=a#b\n"), (std::vector<Words>{{"--job-name=a#b"}}));
  EXPECT_TRUE(words_in("#SBATCH # nothing\n").empty());
}

TEST(ScriptDirectives, QuotesHoldBlanksAndComments) {
  EXPECT_EQ(words_in("#SBATCH -J 'CUT&Tag # 1' ### Job Name\n"),
            (std::vector<Words>{{"-J", "CUT&Tag # 1"}}));
  EXPECT_EQ(words_in("#SBATCH --comment=\"a \\\"b\\\" c\"\n"),
            (std::vector<Words>{{"--comment=a \"b\" c"}}));
  EXPECT_EQ(words_in("#SBATCH -o parpl.\"%j\".out\n"),
            (std::vector<Words>{{"-o", "parpl.%j.out"}}));
  EXPECT_EQ(words_in("#SBATCH -J a\\ b\n"), (std::vector<Words>{{"-J", "a b"}}));
}

TEST(ScriptDirectives, QuoteThatIsNotClosedIsALetterAndAWarning) {
  const auto found = parse_directives("#SBATCH -p x=\"snb|hsw -N 2 # c\n");
  ASSERT_EQ(found.directives.size(), 1U);
  EXPECT_EQ(found.directives[0].words, (Words{"-p", "x=\"snb|hsw", "-N", "2"}));
  ASSERT_EQ(found.warnings.size(), 1U);
  EXPECT_EQ(found.warnings[0].line, 1);
}

TEST(ScriptDirectives, LinesMayEndAsDosEndsThem) {
  EXPECT_EQ(words_in("#!/bin/sh\r\n#SBATCH -N 2\r\n\r\n#SBATCH -n 4\r\necho\r\n#SBATCH -N9\r\n"),
            (std::vector<Words>{{"-N", "2"}, {"-n", "4"}}));
}

TEST(ScriptDirectives, PbsLinesCountOnlyWithoutOurs) {
  EXPECT_EQ(words_in("#PBS -l nodes=2\n#PBS -N x\n"),
            (std::vector<Words>{{"-l", "nodes=2"}, {"-N", "x"}}));
  EXPECT_EQ(words_in("#PBS -l nodes=2\n#SBATCH -N 3\n"), (std::vector<Words>{{"-N", "3"}}));
}

TEST(ScriptDirectives, AnyTextHasAnAnswer) {
  constexpr std::string_view kPieces[] = {"#JOB ", "#SBATCH ", "#PBS ", "\n", "\r\n", "'", "\"",
                                          "\\",    "#",        " ",     "-N", "=",    "x", "\t"};
  Rng rng(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const auto length = rng.between(0, 30);
    for (int i = 0; i < length; ++i) {
      text += kPieces[static_cast<std::size_t>(rng.between(0, std::size(kPieces) - 1))];
    }
    for (const Directive& directive : parse_directives(text).directives) {
      EXPECT_FALSE(directive.words.empty());
      EXPECT_GT(directive.line, 0);
    }
  }
}

}  // namespace
}  // namespace gangway::submit
