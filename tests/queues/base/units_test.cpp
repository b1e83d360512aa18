#include "queues/base/units.hpp"

#include <gtest/gtest.h>

#include "queues/base/rng.hpp"

namespace gangway {
namespace {

TEST(ParseBytes, UnitsArePowersOf1024) {
  EXPECT_EQ(parse_bytes("100", mebibytes(1)), mebibytes(100));
  EXPECT_EQ(parse_bytes("100", Bytes{1}), Bytes{100});
  EXPECT_EQ(parse_bytes("4G", mebibytes(1)), gibibytes(4));
  EXPECT_EQ(parse_bytes("4g", mebibytes(1)), gibibytes(4));
  EXPECT_EQ(parse_bytes("512MiB", mebibytes(1)), mebibytes(512));
  EXPECT_EQ(parse_bytes("512MB", mebibytes(1)), mebibytes(512));
  EXPECT_EQ(parse_bytes("1.5T", mebibytes(1)), gibibytes(1536));
  EXPECT_EQ(parse_bytes("0.5K", mebibytes(1)), Bytes{512});
  EXPECT_EQ(parse_bytes("7B", mebibytes(1)), Bytes{7});
  EXPECT_EQ(parse_bytes("0", mebibytes(1)), Bytes{0});
}

TEST(ParseBytes, RefusesWhatIsMalformedNegativeOrTooLarge) {
  for (const auto* text :
       {"", "G", "-1G", "+1", "1.", ".5G", "1..5G", "1.5.5", "4 G", "4GG", "4X", "4iB", "1e3",
        "8388608T", "9223372036854775808", "99999999999999999999999", "1.1234567890G"}) {
    EXPECT_FALSE(parse_bytes(text, mebibytes(1))) << text;
  }
}

TEST(RenderBytes, IsTheShortestThatSaysIt) {
  EXPECT_EQ(render_bytes({}), "0");
  EXPECT_EQ(render_bytes({100}), "100B");
  EXPECT_EQ(render_bytes(mebibytes(512)), "512M");
  EXPECT_EQ(render_bytes(mebibytes(1536)), "1.5G");
  EXPECT_EQ(render_bytes(mebibytes(1025)), "1025M");
  EXPECT_EQ(render_bytes(gibibytes(2048)), "2T");
  EXPECT_EQ(render_bytes({1'234'567}), "1.2M");
  EXPECT_EQ(render_bytes(mebibytes(-512)), "-512M");
}

TEST(RenderBytes, ReadBackIsWithinTheDecimalShown) {
  Rng rng(1);
  for (int i = 0; i < 10'000; ++i) {
    const Bytes amount{static_cast<std::int64_t>(rng.next() >> rng.between(2, 63))};
    const auto read = parse_bytes(render_bytes(amount), Bytes{1});
    ASSERT_TRUE(read) << amount.value;
    const auto difference = read->value - amount.value;
    EXPECT_LE(difference < 0 ? -difference : difference, amount.value / 20) << amount.value;
  }
}

}  // namespace
}  // namespace gangway
