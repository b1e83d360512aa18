#include "queues/base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gangway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Cat, JoinsTextCharactersAndNumbers) {
  EXPECT_EQ(cat("job ", 42, '_', std::uint8_t{7}, std::string(": "), -1), "job 42_7: -1");
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_THAT(split("a,b,,c", ','), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(split(",", ','), ElementsAre("", ""));
  EXPECT_THAT(split("", ','), IsEmpty());
}

TEST(Join, PutsTheSeparatorBetween) {
  EXPECT_EQ(join({"a", "", "b"}, ", "), "a, , b");
  EXPECT_EQ(join({}, ", "), "");
}

TEST(Trim, TakesBlanksFromBothEnds) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(ParseInteger, TakesAllOfTheTextOrNothing) {
  EXPECT_EQ(parse_integer<int>("-12"), -12);
  for (const auto* text : {"", "1x", " 1", "1 ", "+1", "2147483648", "1.0"}) {
    EXPECT_FALSE(parse_integer<std::int32_t>(text)) << text;
  }
}

TEST(Utf8, TakesWhatIsWellFormedOnly) {
  for (const auto* text : {"", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x9a\xa2"}) {
    EXPECT_TRUE(is_utf8(text)) << to_hex(text);
  }
  // A lone tail, a cut sequence, Latin-1, overlong forms, a surrogate, above the last code point.
  for (const auto* text : {"\x80", "\xc3", "\xe2\x82", "\xe4 b", "\xc0\x80", "\xe0\x80\x80",
                           "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_utf8(text)) << to_hex(text);
  }
}

TEST(Nearest, FindsWhatFingersMissed) {
  const std::vector<std::string> options = {"nodes", "ntasks", "time", "mem", "output"};
  EXPECT_EQ(nearest("ndoes", options), "nodes");
  EXPECT_EQ(nearest("node", options), "nodes");
  EXPECT_EQ(nearest("ouptut", options), "output");
  EXPECT_EQ(nearest("me", options), "mem");
  EXPECT_EQ(nearest("partition", options), "");
  EXPECT_EQ(nearest("x", options), "");
  EXPECT_EQ(nearest("", options), "");
  EXPECT_EQ(nearest(std::string(10'000, 'n'), options), "");
}

}  // namespace
}  // namespace gangway
