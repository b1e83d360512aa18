// What other tools write is read, and what they unpack is what we unpack. Skips where they are not
// installed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "containers/image_ensure.hpp"
#include "containers/image_source.hpp"
#include "containers/image_store.hpp"
#include "containers/tree_listing.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/image_builder.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers {
namespace {

namespace fs = std::filesystem;

bool is_installed(const std::string& tool) {
  return std::system(cat("command -v ", tool, " > /dev/null 2>&1").c_str()) == 0;
}

class OtherTools : public testing::Test {
 protected:
  OtherTools() { chmod(place_.path().c_str(), 0755); }

  // A shell command in the directory of the test.
  void run(const std::string& line) {
    const std::string log = place_ / "log";
    const int status =
        std::system(cat("cd ", place_.path(), " && (", line, ") > ", log, " 2>&1").c_str());
    ASSERT_EQ(status, 0) << line << "\n" << read_small_file(log).value_or("");
  }
  std::string import(const std::string& name) {
    const Result<ImageStore> store = ImageStore::open(place_ / "store");
    const Result<ResolvedImage> image = resolve_image(place_ / name);
    EXPECT_TRUE(image) << name << ": " << image.error().message();
    if (!image) return "";
    const Result<ImageReport> report = ensure_image(*store, {.kind = image->kind,
                                                             .path = image->path,
                                                             .digest = image->digest,
                                                             .user = {geteuid(), getegid(), {}}});
    EXPECT_TRUE(report) << name << ": " << report.error().message();
    return report ? report->tree : "";
  }

  TemporaryDirectory place_{geteuid(), fast_directory()};
};

// Names, kinds, modes, contents, times; which names are one file; attributes of users.
std::string describe(const std::string& tree) {
  const Fd root(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::string text = list_tree(root.get()).value_or("unreadable");
  std::map<ino_t, std::string> first;
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(tree)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    struct stat status {};
    lstat(path.c_str(), &status);
    const std::string name = path.substr(tree.size());
    text += cat(name, " ", status.st_mtim.tv_sec, "\n");
    if (!S_ISDIR(status.st_mode)) {
      const auto [found, is_new] = first.emplace(status.st_ino, name);
      if (!is_new) text += cat(name, " = ", found->second, "\n");
    }
    char value[64] = {};
    if (S_ISREG(status.st_mode) && getxattr(path.c_str(), "user.note", value, sizeof value) > 0) {
      text += cat(name, " note ", value, "\n");
    }
  }
  return text;
}

// umoci is right about all of these; where it is not (".wh..." removes what holds the image, it
// keeps devices and set-id bits), the rules of the specification are tests of their own.
ImageTexts layered() {
  Member noted = file("srv/noted", "n");
  noted.xattrs = {{"user.note", "text"}};
  return make_image(
      {gzip_layer({dir("./"),
                   dir("usr/"),
                   dir("usr/lib/"),
                   symlink_to("lib", "usr/lib"),
                   file("usr/lib/one", "1"),
                   dir("etc/", 0711),
                   file("etc/kept", "k"),
                   file("etc/gone", "g"),
                   dir("opaque/"),
                   file("opaque/old", "o"),
                   dir("opaque/deep/"),
                   file("opaque/deep/old", "o"),
                   dir("whole/"),
                   file("whole/f", "f"),
                   file("linked", "l"),
                   hardlink_to("etc/linked", "linked"),
                   {.name = "fifo", .type = '6'}}),
       gzip_layer({whiteout("etc", "gone"), file("lib/two", "2"), dir("opaque/"), opaque("opaque"),
                   file("opaque/new", "n"), whiteout("", "whole"), file("etc/linked", "other"),
                   dir("srv/"), noted, symlink_to("srv/dangling", "/nowhere"),
                   hardlink_to("srv/two", "usr/lib/two")}),
       gzip_layer({dir("whole/", 0700), file("whole/again", "a", 0640), file("fifo", "now a file"),
                   file("srv/dangling", "now a file"), dir("etc/", 0755)})});
}

TEST_F(OtherTools, TheTreeIsTheOneThatUmociUnpacks) {
  if (geteuid() != 0 || !is_installed("umoci")) GTEST_SKIP() << "needs root and umoci";
  write_oci_layout(place_ / "layout", layered());
  run("umoci unpack --image layout:latest bundle");
  EXPECT_EQ(describe(import("layout")), describe(place_ / "bundle/rootfs"));
}

TEST_F(OtherTools, ImagesThatUmociWritesAreRead) {
  if (geteuid() != 0 || !is_installed("umoci")) GTEST_SKIP() << "needs root and umoci";
  run("umoci init --layout made && umoci new --image made:1 && umoci unpack --image made:1 b && "
      "mkdir b/rootfs/etc && echo one > b/rootfs/etc/a && echo two > b/rootfs/etc/b && "
      "umoci repack --image made:1 b && rm -r b && umoci unpack --image made:1 b && "
      "rm b/rootfs/etc/a && ln b/rootfs/etc/b b/rootfs/c && umoci repack --image made:1 b && "
      "umoci config --image made:1 --config.env A=b --config.entrypoint /e --config.workingdir /w");
  const std::string tree = import("made:1");
  EXPECT_FALSE(fs::exists(tree + "/etc/a"));
  EXPECT_EQ(read_small_file(tree + "/c").value_or(""), "two\n");
  const auto image = inspect_image(place_ / "made:1");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->layers.size(), 2U);
  EXPECT_EQ(image->config.entrypoint, std::vector<std::string>{"/e"});
  EXPECT_EQ(image->config.workdir, "/w");
}

TEST_F(OtherTools, ImagesThatSkopeoCopiesAreRead) {
  if (!is_installed("skopeo")) GTEST_SKIP() << "skopeo is not installed";
  write_oci_layout(place_ / "layout", layered());
  run("skopeo --insecure-policy copy oci:layout:latest oci-archive:a.tar:one && "
      "skopeo --insecure-policy copy oci:layout:latest docker-archive:d.tar:name:two && "
      "skopeo --insecure-policy copy --dest-compress-format zstd docker-archive:d.tar:name:two "
      "oci:z:three");
  const std::string tree = describe(import("layout"));
  for (const char* name : {"a.tar:one", "d.tar:two", "z:three"}) {
    EXPECT_EQ(describe(import(name)), tree) << name;
  }
}

TEST_F(OtherTools, ImagesThatBuildahMakesAreRead) {
  if (geteuid() != 0 || !is_installed("buildah")) GTEST_SKIP() << "needs root and buildah";
  run("mkdir from && echo text > from/f && "
      "B='buildah --storage-driver vfs --root '$PWD'/s --runroot '$PWD'/r' && "
      "c=$($B from scratch) && $B copy $c from /srv && "
      "$B config --env A=b --cmd '/c d' --workingdir /srv --user 7 $c && "
      "$B commit --format oci $c oci-archive:b.tar:one && "
      "$B commit --format docker $c docker-archive:d.tar:one && $B rm $c");
  for (const char* name : {"b.tar", "d.tar"}) {
    const std::string tree = import(name);
    EXPECT_EQ(read_small_file(tree + "/srv/f").value_or(""), "text\n") << name;
    const auto image = inspect_image(place_ / name);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(image->config.workdir, "/srv");
    EXPECT_EQ(image->config.user, "7");
  }
}

}  // namespace
}  // namespace gangway::containers
