#include "containers/build/word_expand.hpp"

#include <gtest/gtest.h>

namespace gangway::containers::build {
namespace {

const Variables kVariables = {{"HOME", "/root"}, {"EMPTY", ""},      {"FILE", "/a/b/c.tar.gz"},
                              {"TWO", "x  y"},   {"PRE", "foo-foo"}, {"n", "1"}};

std::string expand(std::string_view word) {
  const auto result = expand_word(word, kVariables, '\\');
  return result ? *result : "error: " + result.error().message();
}

TEST(WordExpand, QuotesComeOffAndVariablesGoIn) {
  EXPECT_EQ(expand("he'll$HOME'o"), "hell$HOMEo");
  EXPECT_EQ(expand("\"a $HOME\"b"), "a /rootb");
  EXPECT_EQ(expand("\\$HOME"), "$HOME");
  EXPECT_EQ(expand("\"\\$HOME \\\" \\x\""), "$HOME \" \\x");
  EXPECT_EQ(expand("a\\b\\ c"), "ab c");
  EXPECT_EQ(expand("$HOME$NONE."), "/root.");
  EXPECT_EQ(expand("${HOME}x$"), "/rootx$");
  EXPECT_EQ(expand("$HOMEx"), "");
}

TEST(WordExpand, DefaultsAndAlternatives) {
  EXPECT_EQ(expand("${NONE:-d}"), "d");
  EXPECT_EQ(expand("${NONE-d}"), "d");
  EXPECT_EQ(expand("${EMPTY:-d}"), "d");
  EXPECT_EQ(expand("${EMPTY-d}"), "");
  EXPECT_EQ(expand("${HOME:+d}"), "d");
  EXPECT_EQ(expand("${EMPTY:+d}"), "");
  EXPECT_EQ(expand("${EMPTY+d}"), "d");
  EXPECT_EQ(expand("${NONE:-${HOME:-x}/y}"), "/root/y");
  EXPECT_EQ(expand("${NONE:-'}'}"), "}");
}

TEST(WordExpand, WhatMustBeSetAndIsNotEndsTheBuild) {
  EXPECT_EQ(expand("${HOME:?x}"), "/root");
  EXPECT_EQ(expand("${NONE:?give NONE}"), "error: NONE: give NONE");
  EXPECT_EQ(expand("${NONE?}"), "error: NONE: must be set");
  EXPECT_EQ(expand("${EMPTY:?}"), "error: EMPTY: must not be empty");
}

TEST(WordExpand, PatternsCutAndReplace) {
  EXPECT_EQ(expand("${FILE#*/}"), "a/b/c.tar.gz");
  EXPECT_EQ(expand("${FILE##*/}"), "c.tar.gz");
  EXPECT_EQ(expand("${FILE%.*}"), "/a/b/c.tar");
  EXPECT_EQ(expand("${FILE%%.*}"), "/a/b/c");
  EXPECT_EQ(expand("${FILE%.zip}"), "/a/b/c.tar.gz");
  EXPECT_EQ(expand("${PRE/foo/x}"), "x-foo");
  EXPECT_EQ(expand("${PRE//foo/x}"), "x-x");
  EXPECT_EQ(expand("${PRE/f\\*o/x}"), "foo-foo");
  EXPECT_EQ(expand("${PRE//f?o/$n}"), "1-1");
}

TEST(WordExpand, WhatIsLeftOpenIsAnError) {
  EXPECT_EQ(expand("'a"), "error: a single quote is not closed");
  EXPECT_EQ(expand("\"a"), "error: a double quote is not closed");
  EXPECT_EQ(expand("${a"), "error: a '}' is missing");
  EXPECT_EQ(expand("${a:-b"), "error: a '}' is missing");
  EXPECT_EQ(expand("${}"), "error: ${…} holds no name");
  EXPECT_EQ(expand("${a!b}"), "error: ${a!…}: no such modifier");
}

TEST(WordExpand, BlanksOfVariablesPartWordsUnlessTheyAreQuoted) {
  const auto words = [](std::string_view text) {
    return expand_words(text, kVariables, '\\').value_or({"error"});
  };
  EXPECT_EQ(words("$TWO z"), (std::vector<std::string>{"x", "y", "z"}));
  EXPECT_EQ(words("\"$TWO\" ''"), (std::vector<std::string>{"x  y", ""}));
  EXPECT_EQ(words("a\\ b $EMPTY"), (std::vector<std::string>{"a b"}));
}

TEST(WordExpand, HereDocumentsKeepTheirQuotes) {
  EXPECT_EQ(*expand_text("'$n' \"\\$n\" \\n", kVariables, '\\'), "'1' \"$n\" \\n");
}

TEST(WordExpand, BracesHaveABound) {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "${a:-";
  EXPECT_EQ(expand(deep), "error: braces are nested too deep");
}

}  // namespace
}  // namespace gangway::containers::build
