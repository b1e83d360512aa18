#include "queues/model/idset.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {

using testing::HasSubstr;

std::vector<std::string> parsed(std::string_view text) {
  auto names = parse_host_list(text);
  if (!names) return {"error: " + names.error().message()};
  std::vector<std::string> out;
  for (const auto& name : *names) out.push_back(name.value);
  return out;
}

std::string rendered(const std::vector<std::string>& names) {
  std::vector<NodeName> ids;
  for (const auto& name : names) ids.emplace_back(name);
  return render_host_list(ids);
}

using Names = std::vector<std::string>;

TEST(HostList, RangesKeepTheirPadding) {
  EXPECT_EQ(parsed("n[08-10,12],gpu3"), (Names{"n08", "n09", "n10", "n12", "gpu3"}));
  EXPECT_EQ(parsed("n[9-11]"), (Names{"n9", "n10", "n11"}));
  EXPECT_EQ(parsed("n[099-101]"), (Names{"n099", "n100", "n101"}));
}

TEST(HostList, SeveralBracketsMultiply) {
  EXPECT_EQ(parsed("r[1-2]n[1-2]-ib"), (Names{"r1n1-ib", "r1n2-ib", "r2n1-ib", "r2n2-ib"}));
}

TEST(HostList, RepeatedNameCountsOnce) {
  EXPECT_EQ(parsed("b,a,b,a[1,1]"), (Names{"b", "a", "a1"}));
}

TEST(HostList, PrintingSortsMergesAndCompresses) {
  EXPECT_EQ(rendered({"n03", "n01", "gpu3", "n02", "n08", "n01"}), "gpu3,n[01-03,08]");
  EXPECT_EQ(rendered({"n8", "n9", "n10", "n11"}), "n[8-11]");
  EXPECT_EQ(rendered({"n08", "n09", "n10"}), "n[08-10]");
  EXPECT_EQ(rendered({"n1"}), "n1");
  EXPECT_EQ(rendered({"login", "n", "n1", "n2"}), "login,n,n[1-2]");
  EXPECT_EQ(rendered({}), "");
  EXPECT_EQ(rendered({"n1", "n01"}), "n[1,01]");
}

TEST(HostList, ErrorNamesThePosition) {
  const auto error = [](std::string_view text) { return parse_host_list(text).error().message(); };
  EXPECT_EQ(error("n[3-1]"), "host list \"n[3-1]\", position 6: the range goes backwards");
  EXPECT_THAT(error("a,,b"), HasSubstr("position 3: a name is missing"));
  EXPECT_THAT(error("n[1-2"), HasSubstr("position 6: \"]\" is missing"));
  EXPECT_THAT(error("n[]"), HasSubstr("position 3: a number is missing"));
}

TEST(HostList, HostileInputIsRefusedAndBounded) {
  for (const auto* text : {",",
                           "a,",
                           ",a",
                           "n[",
                           "n]",
                           "n[1-",
                           "n[1-]",
                           "n[-1]",
                           "n[a]",
                           "n[1,]",
                           "n[1]]",
                           "n[[1]]",
                           "a b",
                           "a/b",
                           "..\n",
                           "n[1-999999999999999999]",
                           "n[0-100000]",
                           "n[1-1000][1-1000]",
                           "n[00000000000000000001]",
                           "\x80"}) {
    const auto names = parse_host_list(text);
    ASSERT_FALSE(names) << text;
    EXPECT_EQ(names.error().kind(), ErrorKind::Invalid);
  }
  EXPECT_FALSE(parse_host_list(std::string(300, 'a')));
  EXPECT_EQ(parse_host_list("n[1-100000]").value().size(), 100'000U);
}

TEST(HostList, PrintedIsReadBackToTheSameSet) {
  Rng rng(4);
  const std::vector<std::string> prefixes = {"n", "gpu", "r1n", "x-", "node.a"};
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> names;
    for (auto count = rng.between(0, 30); count > 0; --count) {
      const auto& prefix = prefixes[static_cast<std::size_t>(rng.between(0, 4))];
      std::string number = cat(rng.between(0, 120));
      if (rng.chance(500)) number.insert(0, static_cast<std::size_t>(rng.between(0, 2)), '0');
      names.push_back(prefix + number);
    }
    auto back = parsed(rendered(names));
    std::ranges::sort(back);
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    EXPECT_EQ(back, names) << rendered(names);
  }
}

}  // namespace
}  // namespace gangway
