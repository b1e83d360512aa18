#include "queues/model/constraint.hpp"

#include <gtest/gtest.h>

#include "queues/base/rng.hpp"

namespace gangway {
namespace {

using Features = std::vector<std::string>;

Constraint parsed(std::string_view text) {
  const auto constraint = parse_constraint(text);
  EXPECT_TRUE(constraint) << text << ": " << (constraint ? "" : constraint.error().message());
  return constraint.value_or({});
}

// Of a constraint that asks the same of each node.
bool takes(std::string_view text, const Features& node) {
  const Constraint constraint = parsed(text);
  EXPECT_EQ(constraint.choices.size(), 1u) << text;
  EXPECT_TRUE(constraint.counted.empty()) << text;
  return is_satisfied(constraint.choices.front(), node);
}

std::string error_of(std::string_view text) {
  const auto constraint = parse_constraint(text);
  return constraint ? "no error" : constraint.error().message();
}

TEST(Constraint, AndAsksForBoth) {
  EXPECT_TRUE(takes("ib&ssd", {"ib", "ssd", "x"}));
  EXPECT_FALSE(takes("ib&ssd", {"ib"}));
  EXPECT_TRUE(takes("ib,ssd", {"ib", "ssd"}));
  EXPECT_FALSE(takes("ib , ssd", {"ssd"}));
}

TEST(Constraint, OrAsksForOneOfThem) {
  EXPECT_TRUE(takes("epyc-7513|skylake", {"skylake"}));
  EXPECT_FALSE(takes("epyc-7513|skylake", {"haswell"}));
}

TEST(Constraint, AndBindsMoreThanOr) {
  EXPECT_TRUE(takes("a|b&c", {"a"}));
  EXPECT_FALSE(takes("(a|b)&c", {"a"}));
  EXPECT_TRUE(takes("(a|b)&c", {"a", "c"}));
}

TEST(Constraint, NotAsksForItsAbsence) {
  EXPECT_TRUE(takes("!gpu", {}));
  EXPECT_FALSE(takes("!gpu", {"gpu"}));
  EXPECT_TRUE(takes("!(a&b)", {"a"}));
  EXPECT_FALSE(takes("!(a|b)", {"b"}));
  EXPECT_TRUE(takes("!!a", {"a"}));
}

TEST(Constraint, BracketsAskForAllNodesToBeAlike) {
  const Constraint constraint = parsed("ib&[skylake|epyc]");
  ASSERT_EQ(constraint.choices.size(), 2u);
  EXPECT_EQ(render_choice(constraint.choices[0]), "ib&skylake");
  EXPECT_EQ(render_choice(constraint.choices[1]), "epyc&ib");
  EXPECT_EQ(parsed("[a]"), parsed("a"));
}

TEST(Constraint, CountsAskForSoManyNodes) {
  const Constraint constraint = parsed("[(knl&flat)*4&haswell*1]");
  EXPECT_EQ(constraint, parsed("(knl&flat)*4&haswell*1"));
  EXPECT_EQ(constraint.counted_nodes(), 5);
  ASSERT_EQ(constraint.counted.size(), 2u);
  EXPECT_EQ(render_choice(constraint.counted[0].choice), "flat&knl");
  EXPECT_EQ(constraint.choices, std::vector<FeatureChoice>(1, FeatureChoice{FeatureTerm{}}));
  // What is asked of all nodes is asked of the counted ones, too.
  EXPECT_EQ(render_choice(parsed("ib&gpu*1").counted[0].choice), "gpu&ib");
}

TEST(Constraint, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(error_of(""), "it is empty");
  EXPECT_EQ(error_of("a&"), "the name of a feature is missing at its end");
  EXPECT_EQ(error_of("a&&b"), "\"&\" is not the name of a feature at character 3");
  EXPECT_EQ(error_of("(a|b"), "a \")\" is missing at character 5");
  EXPECT_EQ(error_of("a b"), "\"b\" is not expected at character 3");
  EXPECT_EQ(error_of("a&!a"), "no node could have these features");
  EXPECT_EQ(error_of("a*0"), "the count after * is a number from 1 to 100000");
  EXPECT_EQ(error_of("a*2|b"), "counts and [..] cannot be one side of |");
  EXPECT_EQ(error_of("[a*2|b*2]"), "counts and [..] cannot be alternatives in [..]");
  EXPECT_EQ(error_of("[a|b]&[c|d]"), "there are two [..|..]");
  EXPECT_EQ(error_of("!(a*2)"), "counts and [..] cannot be negated");
  EXPECT_EQ(error_of(std::string(100, '(')), "it is nested too deeply");
  EXPECT_EQ(error_of(std::string(100, '!')), "it is nested too deeply");
  EXPECT_EQ(error_of(std::string(65, 'a')), "a feature has at most 64 characters");
  EXPECT_EQ(error_of(std::string(2000, 'a')), "it has more than 1024 characters");
  EXPECT_EQ(error_of("(a|b)&(c|d)&(e|f)&(g|h)&(i|j)&(k|l)&(m|n)"), "it has too many cases");
}

TEST(Constraint, NamesAreListedOnce) {
  EXPECT_EQ(names_in(parsed("(a|!b)&c&[a|d]")), (Features{"a", "b", "c", "d"}));
}

// Expressions of three features, looked at for all eight nodes, mean what their own reading says.
TEST(ConstraintProperty, ExpressionsMeanWhatTheySay) {
  const char* const names[] = {"a", "b", "c"};
  Rng rng(7);
  for (int round = 0; round < 500; ++round) {
    // The truth of the expression, a bit for each of the eight nodes.
    const auto make = [&](auto& self, int depth) -> std::pair<std::string, unsigned> {
      const auto kind = depth == 0 ? 0 : rng.between(0, 3);
      if (kind == 0) {
        const auto name = static_cast<unsigned>(rng.between(0, 2));
        unsigned truth = 0;
        for (unsigned node = 0; node < 8; ++node) truth |= ((node >> name) & 1U) << node;
        return {names[name], truth};
      }
      const auto left = self(self, depth - 1);
      if (kind == 1) return {"!(" + left.first + ")", ~left.second & 0xffU};
      const auto right = self(self, depth - 1);
      if (kind == 2) {
        return {"(" + left.first + ")&(" + right.first + ")", left.second & right.second};
      }
      return {left.first + "|" + right.first, left.second | right.second};
    };
    const auto [text, truth] = make(make, 3);
    const auto constraint = parse_constraint(text);
    EXPECT_EQ(constraint.has_value(), truth != 0) << text;
    if (!constraint) continue;
    for (unsigned node = 0; node < 8; ++node) {
      Features features;
      for (unsigned i = 0; i < 3; ++i) {
        if ((node >> i & 1U) != 0) features.emplace_back(names[i]);
      }
      EXPECT_EQ(is_satisfied(constraint->choices.front(), features), (truth >> node & 1U) != 0)
          << text << " for node " << node;
    }
  }
}

}  // namespace
}  // namespace gangway
