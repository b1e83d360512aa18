#include "submit/image_resolve.hpp"

#include <gtest/gtest.h>

namespace gangway::submit {
namespace {

TEST(ImageResolve, ReadsTheLinesThatJimagePrints) {
  const auto image = parse_resolved(
      "kind docker-archive\npath /srv/my images/mpi.tar\nreference latest\ndigest sha256:ab\n");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(*image, (ImageSpec{.kind = ImageKind::DockerArchive,
                               .path = "/srv/my images/mpi.tar",
                               .reference = "latest",
                               .manifest_digest = "sha256:ab"}));
}

TEST(ImageResolve, ImageWithoutTagHasAnEmptyReference) {
  const auto image = parse_resolved("kind oci-layout\npath /srv/a\ndigest sha256:ab\n");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->reference, "");
}

TEST(ImageResolve, AnythingElseIsAnError) {
  EXPECT_FALSE(parse_resolved(""));
  EXPECT_FALSE(parse_resolved("kind sif\npath /x\ndigest sha256:ab\n"));
}

}  // namespace
}  // namespace gangway::submit
