#include "queues/base/waiver.hpp"

#include <gtest/gtest.h>

namespace gangway {
namespace {

TEST(Waiver, NamesComeBack) {
  for (const Waiver waiver : all_waivers()) EXPECT_EQ(parse_waiver(to_string(waiver)), waiver);
  EXPECT_EQ(parse_waiver("everything"), std::nullopt);
}

// Operators have them in their files.
TEST(Waiver, NamesStayAsTheyAre) {
  EXPECT_EQ(to_string(Waiver::CgroupMemory), "cgroup-memory");
  EXPECT_EQ(to_string(Waiver::OverlayFs), "overlay-fs");
}

}  // namespace
}  // namespace gangway
