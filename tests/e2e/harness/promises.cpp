#include "tests/e2e/harness/promises.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queues/base/text.hpp"

namespace gangway::e2e {

using testing::HasSubstr;
using testing::StartsWith;

void expect_workflow_in_image(const Cluster& cluster,
                              const std::string& directory,
                              const Submit& jsubmit) {
  const std::string image = find_image("busybox.tar");
  if (image.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  write_as_user(cluster, directory + "/flow.yaml",
                cat("version: 1\ndefaults: {image: ", image,
                    "}\njobs:\n"
                    "  first: {command: [sh, -c, \"busybox | head -1 > order\"]}\n"
                    "  last: {needs: [first], command: [sh, -c, \"echo last >> order\"]}\n"));
  const Ran ran = jsubmit({"--wait", "flow.yaml"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(content(directory + "/order"), StartsWith("BusyBox"));
  EXPECT_THAT(content(directory + "/order"), HasSubstr("\nlast\n"));
}

void expect_mpi_in_image(const std::string& directory, const Submit& jsubmit) {
  const std::string image = find_image("mpi.tar");
  if (image.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  const Ran ran = jsubmit({"--wait", "-N", "4", "-n", "8", "-t", "2m", "-o", "out", "-e", "err",
                           "--image", image, "--", "/opt/mpi_ring/mpi_ring"});
  const std::string out = content(directory + "/out");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << out << content(directory + "/err");
  EXPECT_EQ(content(directory + "/err"), "");
  EXPECT_THAT(out, HasSubstr("rank 7 of 8 on n04, local rank 1 of 2, sum 36 right"));
  EXPECT_THAT(out, HasSubstr("ring of 8 ranks, 1048576 bytes, 1 rounds: right"));
}

}  // namespace gangway::e2e
