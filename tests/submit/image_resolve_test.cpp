#include "submit/image_resolve.hpp"

#include <gtest/gtest.h>

namespace gangway::submit {
namespace {

TEST(ImageResolve, ReadsWhatJimagePrints) {
  const auto image = parse_resolved(
      "images/mpi.tar:latest", "kind docker-archive\npath /srv/images/mpi.tar\ndigest sha256:ab\n");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(*image, (ImageSpec{.kind = ImageKind::DockerArchive,
                               .path = "/srv/images/mpi.tar",
                               .reference = "latest",
                               .manifest_digest = "sha256:ab"}));
}

TEST(ImageResolve, ImageWithoutTagHasNoReference) {
  const auto image =
      parse_resolved("/srv/a b", "kind oci-layout\npath /srv/a b\ndigest sha256:ab\n");
  ASSERT_TRUE(image);
  EXPECT_EQ(image->path, "/srv/a b");
  EXPECT_EQ(image->reference, "");
}

TEST(ImageResolve, AnythingElseIsAnError) {
  EXPECT_FALSE(parse_resolved("x", ""));
  EXPECT_FALSE(parse_resolved("x", "kind sif\npath /x\ndigest sha256:ab\n"));
}

}  // namespace
}  // namespace gangway::submit
