#include "containers/tree_walk.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers {
namespace {

// root/{usr/lib/, lib -> usr/lib, abs -> /usr, up -> ../../.., loop -> loop, gone -> usr/none,
// file}
class TreeWalk : public testing::Test {
 protected:
  TreeWalk() {
    for (const char* name : {"usr", "usr/lib"}) mkdir((place_ / name).c_str(), 0755);
    for (const auto& [name, target] :
         std::vector<std::pair<const char*, const char*>>{{"lib", "usr/lib"},
                                                          {"abs", "/usr"},
                                                          {"up", "../../.."},
                                                          {"loop", "loop"},
                                                          {"gone", "usr/none"}}) {
      EXPECT_EQ(symlink(target, (place_ / name).c_str()), 0);
    }
    close(open((place_ / "file").c_str(), O_WRONLY | O_CREAT, 0644));
    root_ = Fd(open(place_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  // "real/parts|missing/parts".
  std::string walked(const std::string& path, bool last_may_be_file = false) {
    const Result<WalkedPath> result = walk_in_tree(root_.get(), path, last_may_be_file);
    if (!result) return "error";
    return cat(join(result->real, "/"), "|", join(result->missing, "/"));
  }
  TemporaryDirectory place_{geteuid(), fast_directory()};
  Fd root_;
};

TEST_F(TreeWalk, FollowsLinksInsideAndNeverLeaves) {
  EXPECT_EQ(walked("usr/lib"), "usr/lib|");
  EXPECT_EQ(walked("/lib"), "usr/lib|");
  EXPECT_EQ(walked("abs/lib/x/y"), "usr/lib|x/y");
  EXPECT_EQ(walked("up/usr"), "usr|");
  EXPECT_EQ(walked("../../usr"), "usr|");
  EXPECT_EQ(walked("lib/../lib"), "usr/lib|");
  EXPECT_EQ(walked(""), "|");
  EXPECT_EQ(walked("gone/x"), "usr|none/x");
}

TEST_F(TreeWalk, ErrorsWhereThereIsNoWay) {
  EXPECT_EQ(walked("loop/x"), "error");
  EXPECT_EQ(walked("file/x"), "error");
  EXPECT_EQ(walked("file"), "error");
  EXPECT_EQ(walked("file", true), "file|");
  EXPECT_EQ(walked("missing/../x"), "error");
}

TEST_F(TreeWalk, MakesWhatIsMissingAtTheEndOfLinks) {
  ASSERT_TRUE(make_directories_in_tree(root_.get(), "gone/deep/er", false));
  EXPECT_EQ(access((place_ / "usr/none/deep/er").c_str(), F_OK), 0);
  EXPECT_FALSE(make_directories_in_tree(root_.get(), "file/x", false));
  EXPECT_TRUE(make_directories_in_tree(root_.get(), "file/x", true));
  EXPECT_EQ(access((place_ / "file/x").c_str(), F_OK), 0);
}

TEST_F(TreeWalk, OpensOnlyInTheRoot) {
  EXPECT_TRUE(open_in_root(root_.get(), "/lib", O_PATH));
  EXPECT_TRUE(open_in_root(root_.get(), "up/usr", O_PATH));
  EXPECT_FALSE(open_in_root(root_.get(), "/etc/passwd", O_PATH));
}

TEST(Paths, AreCleanedAndCompared) {
  EXPECT_EQ(clean_absolute("/a//b/./c/"), "/a/b/c");
  EXPECT_EQ(clean_absolute("/"), "/");
  EXPECT_EQ(clean_absolute("a"), "");
  EXPECT_EQ(clean_absolute("/a/../b"), "");
  EXPECT_EQ(clean_absolute(std::string("/a\0b", 4)), "");
  EXPECT_TRUE(is_within("/proc/self", "/proc"));
  EXPECT_TRUE(is_within("/proc", "/proc"));
  EXPECT_TRUE(is_within("/anything", "/"));
  EXPECT_FALSE(is_within("/processes", "/proc"));
}

TEST(RemoveTree, TakesDeepAndClosedDirectoriesAndFollowsNoLinks) {
  TemporaryDirectory place(geteuid(), fast_directory());
  TemporaryDirectory kept(geteuid(), fast_directory());
  close(open((kept / "file").c_str(), O_WRONLY | O_CREAT, 0644));
  // Deeper than a path may be long.
  Fd here(open(place.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 1500; ++i) {
    ASSERT_EQ(mkdirat(here.get(), "directory", 0700), 0);
    ASSERT_EQ(symlinkat(kept.path().c_str(), here.get(), "link"), 0);
    here = Fd(openat(here.get(), "directory", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  mkdir((place / "closed").c_str(), 0700);
  mkdir((place / "closed/inner").c_str(), 0700);
  chmod((place / "closed").c_str(), 0);
  const Result<void> removed = remove_tree(place.path());
  EXPECT_TRUE(removed) << removed.error().message();
  EXPECT_NE(access(place.path().c_str(), F_OK), 0);
  EXPECT_EQ(access((kept / "file").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace gangway::containers
