#include "containers/build/glob.hpp"

#include <gtest/gtest.h>

namespace gangway::containers::build {
namespace {

TEST(Glob, StarsStopAtSlashes) {
  EXPECT_TRUE(matches_path("package*.json", "package-lock.json"));
  EXPECT_TRUE(matches_path("a/*/c", "a/b/c"));
  EXPECT_FALSE(matches_path("a/*", "a/b/c"));
  EXPECT_FALSE(matches_path("*.c", "a/b.c"));
  EXPECT_TRUE(matches_path("?[a-c][^x]\\*", "zby*"));
  EXPECT_FALSE(matches_path("a?c", "a/c"));
  EXPECT_TRUE(matches_path("*a*b*", "xxayybzz"));
}

TEST(Glob, MalformedPatternsMatchNothing) {
  for (const char* pattern : {"[", "[a", "[]a]", "[-a]", "a\\", "[a-"}) {
    EXPECT_FALSE(is_valid_pattern(pattern)) << pattern;
    EXPECT_FALSE(matches_path(pattern, "a")) << pattern;
  }
  EXPECT_TRUE(is_valid_pattern("a[b-d]*"));
}

bool excludes(std::string_view rules, std::string_view path) {
  const auto parsed = IgnoreRules::parse(rules, ".dockerignore");
  EXPECT_TRUE(parsed) << parsed.error().message();
  return parsed && parsed->excludes(path);
}

TEST(IgnoreRules, ADirectoryTakesItsContentsWithIt) {
  EXPECT_TRUE(excludes("node_modules", "node_modules/a/b"));
  EXPECT_TRUE(excludes("/node_modules/", "node_modules"));
  EXPECT_FALSE(excludes("node_modules", "src/node_modules"));
  EXPECT_TRUE(excludes("**/node_modules", "src/x/node_modules/a"));
  EXPECT_TRUE(excludes("**/node_modules", "node_modules"));
  EXPECT_TRUE(excludes("docs/**", "docs/a"));
  EXPECT_FALSE(excludes("docs/**", "docs"));
}

TEST(IgnoreRules, TheLastLineThatMatchesDecides) {
  EXPECT_FALSE(excludes("*.md\n!README.md", "README.md"));
  EXPECT_TRUE(excludes("*.md\n!README.md", "other.md"));
  EXPECT_TRUE(excludes("!README.md\n*.md", "README.md"));
  // Unlike .gitignore: an exception reaches into an excluded directory.
  EXPECT_FALSE(excludes("docs\n!docs/keep", "docs/keep"));
  EXPECT_TRUE(excludes("*", "a"));
}

TEST(IgnoreRules, CommentsAndBlankLinesSayNothing) {
  EXPECT_FALSE(excludes("# a\n\n   \n", "a"));
  EXPECT_TRUE(excludes("  a  ", "a"));
}

TEST(IgnoreRules, BadPatternsAreErrorsWithTheirLine) {
  const auto bad = IgnoreRules::parse("a\n[b", ".dockerignore");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message(), ".dockerignore:2: [b: not a pattern");
}

}  // namespace
}  // namespace gangway::containers::build
