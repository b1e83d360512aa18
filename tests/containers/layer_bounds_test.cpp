// Archives that are broken, or that grow without end.
#include "queues/base/rng.hpp"
#include "tests/containers/layer_fixture.hpp"
#include "tests/shared_data.hpp"

namespace gangway::containers {
namespace {

using LayerBounds = LayerTest;

TEST_F(LayerBounds, TruncatedStreamsAreErrors) {
  std::string noise;
  Rng rng(7);
  for (int i = 0; i < 50'000; ++i) noise += static_cast<char>(rng.next());
  const std::string tar = make_tar({file("f", noise)});
  for (const std::string& whole : {gzip(tar), zstd(tar), tar}) {
    for (const std::size_t left : {whole.size() - 3, whole.size() / 2, std::size_t{600}}) {
      const Result<void> result = apply_bytes(tar, whole.substr(0, left));
      ASSERT_FALSE(result) << left << " of " << whole.size();
      EXPECT_EQ(result.error().kind(), ErrorKind::Corrupt) << result.error().message();
    }
  }
}

TEST_F(LayerBounds, DamagedStreamsAreErrors) {
  const std::string tar = make_tar({file("f", std::string(100'000, 'a'))});
  for (std::string blob : {gzip(tar), zstd(tar)}) {
    blob[blob.size() / 2] = static_cast<char>(blob[blob.size() / 2] ^ 0x55);
    EXPECT_FALSE(apply_bytes(tar, blob));
  }
}

TEST_F(LayerBounds, OtherDiffIdIsAnError) {
  const std::string tar = make_tar({file("f")});
  const Result<void> result = apply_bytes(make_tar({file("g")}), gzip(tar));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::Corrupt);
}

TEST_F(LayerBounds, NoTarIsAnError) {
  for (const std::string& text : {std::string("this is no tar"), std::string(5000, 'x')}) {
    const Result<void> result = apply_bytes(text, text);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind(), ErrorKind::Corrupt);
  }
}

TEST_F(LayerBounds, CompressedTwiceIsAnError) {
  const std::string tar = make_tar({file("f")});
  const Result<void> result = apply_bytes(tar, gzip(gzip(tar)));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::Corrupt);
}

TEST_F(LayerBounds, SymlinksThatLeadToEachOtherAreAnErrorOfTheImage) {
  const std::string tar = make_tar({symlink_to("a", "b"), symlink_to("b", "a"), file("a/x")});
  const Result<void> result = apply_bytes(tar, gzip(tar));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::Invalid) << result.error().message();
}

TEST_F(LayerBounds, StreamThatGrowsTooMuchIsStopped) {
  limits_.ratio_free_bytes = 1 << 20;
  const std::string tar = make_tar({file("zeros", std::string(20 << 20, '\0'))});
  for (const std::string& blob : {gzip(tar), zstd(tar)}) {
    const Result<void> result = apply_bytes(tar, blob);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind(), ErrorKind::Invalid) << result.error().message();
  }
}

TEST_F(LayerBounds, ImageLargerThanAllowedIsStopped) {
  limits_.max_bytes = 100'000;
  EXPECT_TRUE(apply({file("a", std::string(60'000, 'a'))}));
  const Result<void> result = apply({file("b", std::string(60'000, 'b'))});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::Invalid);
}

TEST_F(LayerBounds, TooManyEntriesAreStopped) {
  limits_.max_entries = 100;
  Layer layer;
  for (int i = 0; i < 101; ++i) layer.push_back(file(cat("f", i), ""));
  const Result<void> result = apply(layer);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::Invalid);
}

TEST_F(LayerBounds, HugeSparseFileIsStopped) {
  Member sparse = file("s", "");
  sparse.pax = {{"GNU.sparse.major", "1"},
                {"GNU.sparse.minor", "0"},
                {"GNU.sparse.name", "s"},
                {"GNU.sparse.realsize", "8070450532247928832"}};
  sparse.data = "1\n8070450532247928831\n1\n" + std::string(512 - 24, '\0') + "x";
  const Result<void> result = apply({sparse});
  ASSERT_FALSE(result);
}

TEST_F(LayerBounds, LargeAttributesAreStopped) {
  Member member = file("f");
  limits_.max_xattr_bytes = 1000;
  member.xattrs.emplace_back("user.large", std::string(2000, 'v'));
  const Result<void> result = apply({member});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::Invalid);
}

TEST_F(LayerBounds, LongAndDeepNamesAreErrors) {
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "d/";
  std::string long_path;
  while (long_path.size() < 1 << 20) long_path += "0123456789/";
  for (const std::string& name : {deep + "f", long_path + "f", std::string(300, 'n')}) {
    EXPECT_FALSE(apply({file(name)})) << name.size();
  }
  EXPECT_FALSE(apply({symlink_to("l", std::string(5000, 't'))}));
}

TEST_F(LayerBounds, DirectoriesNestedThroughLinksAreStopped) {
  // Each layer goes 200 levels below a link to the last one's bottom.
  std::string down;
  for (int i = 0; i < 200; ++i) down += "d/";
  Result<void> result;
  std::string at;
  for (int i = 0; i < 8 && result; ++i) {
    Layer layer{dir(at + down)};
    layer.push_back(symlink_to(cat("link", i), at + down));
    result = apply(layer);
    at = cat("link", i, "/");
  }
  // Going down may work; taking it away again is bounded.
  if (result) result = apply({whiteout("", "d")});
  EXPECT_FALSE(result);
}

TEST_F(LayerBounds, OddArchivesOfOthersEndOrderly) {
  const std::string directory = test::shared_data("archives");
  std::vector<std::string> files;
  for (const char* part : {"", "/go-tar", "/libarchive"}) {
    for (const auto& [name, what] : describe(directory + part, false)) {
      if (what.starts_with("f ")) files.push_back(directory + part + "/" + name);
    }
  }
  if (files.empty()) GTEST_SKIP() << "no archives in " << directory;
  limits_.max_bytes = 64 << 20;
  for (const std::string& path : files) {
    const std::string bytes = read_small_file(path, 64 << 20).value_or("");
    // Whatever comes of it: an answer, and nothing outside.
    const Result<void> result = apply_bytes(bytes, bytes);
    if (result) continue;
    EXPECT_NE(result.error().kind(), ErrorKind::Internal)
        << path << ": " << result.error().message();
  }
}

}  // namespace
}  // namespace gangway::containers
