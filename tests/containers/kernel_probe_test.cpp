#include "containers/kernel_probe.hpp"

#include <gtest/gtest.h>

namespace gangway::containers {
namespace {

TEST(KernelProbe, EveryMissingFeatureSaysWhyAndWhatToDo) {
  for (const ProbeRow& row : render_rows(probe_kernel())) {
    if (row.ok) {
      EXPECT_EQ(row.remedy, "") << row.name;
    } else {
      EXPECT_NE(row.detail, "") << row.name;
      EXPECT_NE(row.remedy, "") << row.name;
    }
    if (testing::Test::HasFailure()) break;
  }
}

TEST(KernelProbe, NothingProbedIsAllMissing) {
  for (const ProbeRow& row : render_rows(KernelFeatures{})) EXPECT_FALSE(row.ok) << row.name;
}

}  // namespace
}  // namespace gangway::containers
