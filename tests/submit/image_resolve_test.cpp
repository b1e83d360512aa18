#include "submit/image_resolve.hpp"

#include <gtest/gtest.h>

namespace gangway::submit {
namespace {

TEST(ImageResolve, ReadsTheLineThatJimagePrints) {
  const auto image = parse_resolved("docker-archive\t/srv/my images/mpi.tar\tlatest\tsha256:ab\n");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(*image, (ImageSpec{.kind = ImageKind::DockerArchive,
                               .path = "/srv/my images/mpi.tar",
                               .reference = "latest",
                               .manifest_digest = "sha256:ab"}));
}

TEST(ImageResolve, ImageWithoutTagHasAnEmptyReference) {
  const auto image = parse_resolved("oci-layout\t/srv/a\t\tsha256:ab\n");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->reference, "");
}

TEST(ImageResolve, AnythingElseIsAnError) {
  EXPECT_FALSE(parse_resolved(""));
  EXPECT_FALSE(parse_resolved("sif\t/x\t\tsha256:ab\n"));
}

}  // namespace
}  // namespace gangway::submit
