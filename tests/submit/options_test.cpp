#include "submit/options.hpp"

#include <gtest/gtest.h>

#include <set>

#include "submit/job_options.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kTable[] = {
    {"nodes", 'N', Takes::Value, "N"},
    {"nodelist", 'w', Takes::Value, "NODES"},
    {"exclusive", 0, Takes::OptionalValue, "user"},
    {"hold", 'H', Takes::Nothing},
    {"quiet", 'Q', Takes::Nothing},
    {"partition", 'p', Takes::Value, "QUEUE"},
    {"particle", 0, Takes::Value, "QUEUE", "", "partition"},
    {"nice", 0, Takes::OptionalValue, "N"},
};

Result<ParsedOptions> parse(std::vector<std::string> words,
                            Operands operands = Operands::EndTheOptions,
                            const Place& place = {}) {
  return parse_options(kTable, words, operands, place);
}

std::string message_of(const Result<ParsedOptions>& result) {
  return result ? "no error" : result.error().message();
}

TEST(Options, ValueIsGluedOrTheNextWord) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--nodes=4"}, {"--nodes", "4"}, {"-N4"}, {"-N", "4"}}) {
    const auto parsed = parse(words);
    ASSERT_TRUE(parsed) << words.front();
    ASSERT_EQ(parsed->options.size(), 1U);
    EXPECT_EQ(parsed->options[0].text(), "4");
  }
}

TEST(Options, OptionalValueIsGluedOnly) {
  const auto parsed = parse({"--exclusive", "job.sh"});
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->options[0].value.has_value());
  EXPECT_EQ(parsed->operands, std::vector<std::string>{"job.sh"});
  EXPECT_EQ(parse({"--exclusive=user"})->options[0].text(), "user");
}

TEST(Options, FlagsMayShareADash) {
  const auto parsed = parse({"-HQN2"});
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->options.size(), 3U);
  EXPECT_EQ(parsed->options[2].text(), "2");
}

TEST(Options, AbbreviationIsTakenIfItIsUnambiguous) {
  EXPECT_TRUE(parse({"--excl"}));
  EXPECT_EQ(message_of(parse({"--node=2"})),
            "option --node is ambiguous: it could be --nodes, --nodelist");
}

TEST(Options, AbbreviationOfTwoNamesOfOneOptionIsNotAmbiguous) {
  EXPECT_TRUE(parse({"--parti=batch"}));
}

TEST(Options, UnknownNameSuggestsTheNearest) {
  EXPECT_EQ(message_of(parse({"--ndoes=2"})), "unknown option --ndoes; did you mean --nodes?");
  EXPECT_EQ(message_of(parse({"-z"})), "unknown option -z; --help lists those there are");
}

TEST(Options, ErrorsSayWhereTheOptionWasGiven) {
  EXPECT_EQ(message_of(parse({"--hold=yes"}, Operands::Anywhere, {.file = "job.sh", .line = 3})),
            "job.sh:3: option --hold takes no value, but was given \"yes\"");
  EXPECT_EQ(message_of(parse({"-N"})), "option -N needs a value: -N N");
}

TEST(Options, FirstOperandEndsTheOptionsOfAScript) {
  const auto parsed = parse({"-N", "2", "job.sh", "-N", "--", "x"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->operands, (std::vector<std::string>{"job.sh", "-N", "--", "x"}));
  EXPECT_FALSE(parsed->saw_dashes);
}

TEST(Options, DashesBeforeACommandAreSeen) {
  const auto parsed = parse({"-N", "2", "--", "ls", "-l"});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->saw_dashes);
  EXPECT_EQ(parsed->operands_before_dashes, 0U);
  EXPECT_EQ(parsed->operands, (std::vector<std::string>{"ls", "-l"}));
}

TEST(Options, OperandsMayStandBetweenOptions) {
  const auto parsed = parse({"42", "-H", "43"}, Operands::Anywhere);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->operands, (std::vector<std::string>{"42", "43"}));
  EXPECT_EQ(parsed->options.size(), 1U);
}

TEST(JobOptions, NamesAndLettersAreUnique) {
  std::set<std::string_view> names;
  std::set<char> letters;
  for (const OptionName& option : job_option_names()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    if (option.letter != 0) {
      EXPECT_TRUE(letters.insert(option.letter).second) << option.letter;
    }
  }
}

TEST(JobOptions, OtherSpellingsNameAnOptionThatExists) {
  std::set<std::string_view> names;
  for (const OptionName& option : job_option_names()) names.insert(option.name);
  for (const OptionName& option : job_option_names()) {
    EXPECT_TRUE(names.contains(option.canonical())) << option.name;
  }
}

TEST(JobOptions, OptionsThatTakeAValueSayWhatItIs) {
  for (const OptionName& option : job_option_names()) {
    EXPECT_EQ(option.takes == Takes::Nothing, option.value_name.empty()) << option.name;
  }
}

}  // namespace
}  // namespace gangway::submit
