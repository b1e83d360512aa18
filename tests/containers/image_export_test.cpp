// Images written as files of their own: the same image comes in again, from wherever it was.
#include "containers/build/image_export.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include "containers/image_ensure.hpp"
#include "containers/image_source.hpp"
#include "containers/tree_listing.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/image_builder.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers::build {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

ImageTexts layered() {
  Member marked = file("srv/marked", "text");
  marked.xattrs = {{"user.note", "kept"}};
  return make_image({gzip_layer({dir("etc/", 0711), file("etc/hello", "1"), file("gone", "x")}),
                     zstd_layer({file("etc/hello", "2", 0600),
                                 whiteout("", "gone"),
                                 dir("srv/"),
                                 marked,
                                 hardlink_to("srv/same", "srv/marked"),
                                 symlink_to("link", "/etc/hello"),
                                 {.name = "fifo", .type = '6'}}),
                     plain_layer({file("last", std::string(100'000, '3'))})},
                    R"("Env":["PATH=/bin"],"Entrypoint":["/e"],"Labels":{"a":"b"})");
}

class ImageExport : public testing::Test {
 protected:
  ImageExport() { chmod(place_.path().c_str(), 0755); }

  static std::string contents(const std::string& path) {
    return read_small_file(path, 64 << 20).value_or("");
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(place_.path())) {
      all.push_back(entry.path().filename());
    }
    return all;
  }
  // Into a store of that name; the key there.
  ImageKey import(const std::string& path, const std::string& into) {
    const Result<ImageStore> store = ImageStore::open(place_ / into);
    const Result<ResolvedImage> image = resolve_image(path);
    EXPECT_TRUE(image) << image.error().message();
    const ImageKey key{image->digest, false};
    const Result<ImageReport> report = ensure_image(*store, {.kind = image->kind,
                                                             .path = image->path,
                                                             .digest = image->digest,
                                                             .user = {geteuid(), getegid(), {}}});
    EXPECT_TRUE(report) << report.error().message();
    return key;
  }
  std::string listing(const std::string& store, const ImageKey& key) const {
    const std::string tree = place_ / cat(store, "/trees/sha256/", key.name(), "/rootfs");
    const Fd root(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return list_tree(root.get()).value_or("");
  }
  std::string tree_file(const std::string& store, const ImageKey& key, const char* name) const {
    return place_ / cat(store, "/trees/sha256/", key.name(), "/rootfs/", name);
  }

  TemporaryDirectory place_{geteuid(), fast_directory()};
};

TEST_F(ImageExport, AnImageKeepsItsDigestWhereverItGoes) {
  const auto image = layered();  // once: its files have the time of their making
  const Digest digest = write_oci_layout(place_ / "a", image);
  write_oci_archive(place_ / "b.tar", image);
  for (const char* source : {"a", "b.tar"}) {
    for (const char* output : {"out.tar", "again.tar", "out", "out"}) {  // the last one replaces
      const Result<Digest> done = export_source(
          place_ / source, {.output = place_ / output, .name = "mine:1", .mtime_s = 0});
      ASSERT_TRUE(done) << done.error().message();
      EXPECT_EQ(*done, digest);
      const auto resolved = resolve_whole_image(place_ / cat(output, ":mine:1"), BlobMemory(""));
      ASSERT_TRUE(resolved) << resolved.error().message();
      EXPECT_EQ(resolved->digest, digest);
    }
    EXPECT_TRUE(contents(place_ / "out.tar") == contents(place_ / "again.tar"));
  }
  EXPECT_THAT(names(), UnorderedElementsAre("a", "b.tar", "out.tar", "again.tar", "out"));
}

TEST_F(ImageExport, ADockerArchiveBecomesTheSameImageEachTime) {
  write_docker_archive(place_ / "d.tar", layered());
  const Result<Digest> first = export_source(place_ / "d.tar", {.output = place_ / "1.tar"});
  ASSERT_TRUE(first) << first.error().message();
  const Result<Digest> second = export_source(place_ / "1.tar", {.output = place_ / "2.tar"});
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(listing("s", import(place_ / "2.tar", "s")),
            listing("t", import(place_ / "d.tar", "t")));
}

TEST_F(ImageExport, AStoredTreeGoesRoundAndStaysTheSame) {
  write_oci_layout(place_ / "a", layered());
  const ImageKey first = import(place_ / "a", "s");
  for (const Compression compression : {Compression::Zstd, Compression::Gzip, Compression::None}) {
    const Result<ImageStore> store = ImageStore::open(place_ / "s");
    std::vector<std::int64_t> told;
    const ExportRequest request{.output = place_ / "1.tar",
                                .progress = [&](std::int64_t done, std::int64_t total) {
                                  EXPECT_LE(done, total);
                                  told.push_back(done);
                                }};
    const Result<Digest> flat = export_stored(*store, first, compression, request);
    ASSERT_TRUE(flat) << flat.error().message();
    EXPECT_FALSE(told.empty());
    const ImageKey second = import(place_ / "1.tar", "t");
    EXPECT_EQ(second.digest, *flat);
    EXPECT_EQ(listing("t", second), listing("s", first));
    // Hard links and attributes are not in a listing.
    struct stat one {};
    struct stat two {};
    ASSERT_EQ(stat(tree_file("t", second, "srv/marked").c_str(), &one), 0);
    ASSERT_EQ(stat(tree_file("t", second, "srv/same").c_str(), &two), 0);
    EXPECT_EQ(one.st_ino, two.st_ino);
    char value[16] = {};
    if (getxattr(tree_file("s", first, "srv/marked").c_str(), "user.note", value, 16) > 0) {
      EXPECT_EQ(getxattr(tree_file("t", second, "srv/marked").c_str(), "user.note", value, 16), 4);
    }
    // Another round is the same to the byte.
    const Result<ImageStore> other = ImageStore::open(place_ / "t");
    ASSERT_TRUE(export_stored(*other, second, compression, {.output = place_ / "2.tar"}));
    EXPECT_TRUE(contents(place_ / "1.tar") == contents(place_ / "2.tar"));
    const auto inspected = inspect_image(place_ / "1.tar");
    ASSERT_TRUE(inspected);
    EXPECT_EQ(inspected->config.entrypoint, std::vector<std::string>{"/e"});
    EXPECT_EQ(inspected->layers.size(), 1U);
  }
}

TEST_F(ImageExport, WhatFailsLeavesWhatWasThereAndNothingElse) {
  const ImageTexts image = layered();
  write_oci_layout(place_ / "a", image);
  const std::string blob = place_ / ("a/blobs/sha256/" + sha256_hex(image.layers[2].blob));
  std::string bytes = contents(blob);
  bytes[5000] = '!';
  write_file(blob, bytes);
  write_file(place_ / "out.tar", "precious");
  fs::create_directories(place_ / "things/kept");
  for (const char* output : {"out.tar", "new.tar", "new"}) {
    const Result<Digest> done = export_source(place_ / "a", {.output = place_ / output});
    ASSERT_FALSE(done) << output;
    EXPECT_EQ(done.error().kind(), ErrorKind::Corrupt) << done.error().message();
  }
  EXPECT_EQ(export_source(place_ / "a", {.output = place_ / "things"}).error().kind(),
            ErrorKind::Conflict);
  EXPECT_EQ(export_source(place_ / "a", {.output = place_ / "no/dir.tar"}).error().kind(),
            ErrorKind::NotFound);
  EXPECT_EQ(contents(place_ / "out.tar"), "precious");
  EXPECT_THAT(names(), UnorderedElementsAre("a", "out.tar", "things"));
}

TEST_F(ImageExport, TheProgramSaysWhatItWroteAndRefusesWhatItCannotMean) {
  const Digest digest = write_oci_layout(place_ / "a", layered());
  const auto jimage = [&](const std::string& words) {
    const std::string line = cat("cd ", place_.path(), " && " GANGWAY_BINARY_DIR "/bin/jimage ",
                                 words, " > ", place_ / "stdout", " 2> ", place_ / "stderr");
    return WEXITSTATUS(std::system(line.c_str()));
  };
  ASSERT_EQ(jimage("export a out.tar"), 0) << contents(place_ / "stderr");
  EXPECT_EQ(contents(place_ / "stdout"), cat("digest ", digest.text(), "\noutput out.tar\n"));
  ASSERT_EQ(jimage(cat("import --no-sync --store ", place_ / "s out.tar")), 0);
  ASSERT_EQ(
      jimage(cat("export --compression gzip --store ", place_ / "s ", digest.text(), " flat.tar")),
      0)
      << contents(place_ / "stderr");
  EXPECT_TRUE(resolve_whole_image(place_ / "flat.tar", BlobMemory("")));
  for (const char* wrong :
       {"export a", "export a -", "export a b c", "export --compression none a x.tar",
        "export --compression lzma a x.tar", "import --compression gzip --store /x a"}) {
    EXPECT_EQ(jimage(wrong), 64) << wrong;
    EXPECT_THAT(contents(place_ / "stderr"), testing::EndsWith("(see --help)\n")) << wrong;
  }
  EXPECT_EQ(jimage("export missing x.tar"), 66);
  EXPECT_EQ(jimage(cat("export --store ", place_ / "s sha256:", std::string(64, 'a'), " x.tar")),
            66);
  EXPECT_THAT(contents(place_ / "stderr"), HasSubstr("in the store"));
}

}  // namespace
}  // namespace gangway::containers::build
