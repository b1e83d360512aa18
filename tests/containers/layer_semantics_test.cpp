// What applying layers means: whiteouts, replacing, implied parents, modes and times.
#include "tests/containers/layer_fixture.hpp"

namespace gangway::containers {
namespace {

using LayerSemantics = LayerTest;
using Names = std::vector<std::string>;
using Tree = std::map<std::string, std::string>;

TEST_F(LayerSemantics, WhiteoutHidesWhatLowerLayersHad) {
  ASSERT_TRUE(apply_all(
      {{dir("d/"), file("d/a"), file("d/b"), file("c")}, {whiteout("d", "a"), whiteout("", "c")}}));
  EXPECT_EQ(names(), (Names{"d", "d/b"}));
}

TEST_F(LayerSemantics, WhiteoutOfADirectoryHidesAllBelow) {
  ASSERT_TRUE(apply_all({{dir("d/"), dir("d/e/"), file("d/e/f")}, {whiteout("", "d")}}));
  EXPECT_EQ(names(), Names{});
}

TEST_F(LayerSemantics, WhiteoutDoesNotHideItsOwnLayerWhereverItStands) {
  ASSERT_TRUE(apply_all(
      {{file("a", "old"), dir("d/"), file("d/old")},
       {file("a", "new"), whiteout("", "a"), dir("d/"), file("d/new"), whiteout("", "d")}}));
  EXPECT_EQ(tree(), (Tree{{"a", "f 644 new"}, {"d", "d 755"}, {"d/new", "f 644 x"}}));
}

TEST_F(LayerSemantics, AncestorsOfWhatALayerWroteSurviveItsWhiteouts) {
  ASSERT_TRUE(apply_all({{dir("d/"), dir("d/e/"), file("d/e/old"), file("d/x")},
                         {file("d/e/new"), whiteout("", "d")}}));
  EXPECT_EQ(names(), (Names{"d", "d/e", "d/e/new"}));
}

TEST_F(LayerSemantics, OpaqueDirectoryLosesItsLowerChildren) {
  for (const bool marker_first : {true, false}) {
    start_anew();
    Layer upper{dir("d/"), file("d/new")};
    upper.insert(marker_first ? upper.begin() : upper.end(), opaque("d"));
    ASSERT_TRUE(apply_all({{dir("d/"), file("d/old"), dir("d/e/"), file("d/e/f")}, upper}));
    EXPECT_EQ(names(), (Names{"d", "d/new"}));
  }
}

TEST_F(LayerSemantics, NameWithWhiteoutPrefixInTheMiddleIsOrdinary) {
  ASSERT_TRUE(apply({dir(".wh-like/"), file(".whatever"), file("a.wh.b")}));
  EXPECT_EQ(names(), (Names{".wh-like", ".whatever", "a.wh.b"}));
}

TEST_F(LayerSemantics, WhiteoutThroughALinkedDirectoryCountsOnceForBothNames) {
  // lib -> usr/lib; the layer writes lib/a and whites out usr/lib/a: the same file, which is its
  // own.
  ASSERT_TRUE(apply_all({{dir("usr/"), dir("usr/lib/"), file("usr/lib/a", "old"),
                          file("usr/lib/b", "old"), symlink_to("lib", "usr/lib")},
                         {file("lib/a", "new"), whiteout("usr/lib", "a"), whiteout("lib", "b")}}));
  EXPECT_EQ(tree()["usr/lib/a"], "f 644 new");
  EXPECT_FALSE(tree().contains("usr/lib/b"));
}

TEST_F(LayerSemantics, LinkedDirectoriesInTheImageAreFollowed) {
  ASSERT_TRUE(apply_all({{dir("usr/"), dir("usr/lib/"), symlink_to("lib", "usr/lib")},
                         {file("lib/systemd/x", "unit")}}));
  EXPECT_EQ(tree()["usr/lib/systemd/x"], "f 644 unit");
  EXPECT_EQ(tree()["lib"], "l usr/lib");
}

TEST_F(LayerSemantics, DanglingLinkOnTheWayGetsItsTarget) {
  ASSERT_TRUE(apply({symlink_to("lib", "/usr/lib"), file("lib/x")}));
  EXPECT_EQ(tree()["usr/lib/x"], "f 644 x");
}

TEST_F(LayerSemantics, MissingParentsAreMade) {
  ASSERT_TRUE(apply({file("a/b/c/d")}));
  EXPECT_EQ(tree(),
            (Tree{{"a", "d 755"}, {"a/b", "d 755"}, {"a/b/c", "d 755"}, {"a/b/c/d", "f 644 x"}}));
}

TEST_F(LayerSemantics, FileInTheWayOfAParentIsReplaced) {
  ASSERT_TRUE(apply_all({{file("a")}, {file("a/b")}}));
  EXPECT_EQ(names(), (Names{"a", "a/b"}));
}

TEST_F(LayerSemantics, LaterEntriesReplaceEarlierOnesOfAnyKind) {
  ASSERT_TRUE(apply({file("a", "1"), dir("a/"), file("a/x"), file("a", "2"), symlink_to("a", "t"),
                     dir("a/"), file("b", "1"), file("b", "2")}));
  EXPECT_EQ(tree(), (Tree{{"a", "d 755"}, {"b", "f 644 2"}}));
}

TEST_F(LayerSemantics, DirectoryOverALinkToADirectoryReplacesTheLink) {
  ASSERT_TRUE(apply_all({{dir("real/"), file("real/f"), symlink_to("l", "real")}, {dir("l/")}}));
  EXPECT_EQ(tree()["l"], "d 755");
  EXPECT_EQ(tree()["real/f"], "f 644 x");
}

TEST_F(LayerSemantics, DirectoryOverADirectoryTakesTheNewModeAndKeepsTheChildren) {
  ASSERT_TRUE(apply_all({{dir("d/", 0755), file("d/f")}, {dir("d/", 0711)}}));
  EXPECT_EQ(tree(), (Tree{{"d", "d 711"}, {"d/f", "f 644 x"}}));
}

TEST_F(LayerSemantics, UnreadableModesStayUsableForTheOwner) {
  ASSERT_TRUE(apply({dir("d/", 0), file("d/f", "x", 0), dir("d/e/", 0100)}));
  ASSERT_TRUE(apply({file("d/e/g")}));
  EXPECT_EQ(tree(),
            (Tree{{"d", "d 700"}, {"d/f", "f 400 x"}, {"d/e", "d 700"}, {"d/e/g", "f 644 x"}}));
}

TEST_F(LayerSemantics, ReadableByAllIsReadableByAll) {
  readable_by_all_ = true;
  ASSERT_TRUE(apply({dir("d/", 0700), file("d/f", "x", 0600), file("d/g", "x", 0700)}));
  EXPECT_EQ(tree(), (Tree{{"d", "d 755"}, {"d/f", "f 644 x"}, {"d/g", "f 755 x"}}));
}

TEST_F(LayerSemantics, TimesAreThoseOfTheArchive) {
  Member d = dir("d/");
  d.mtime = 111;
  Member f = file("d/f");
  f.mtime = 222;
  Member l = symlink_to("d/l", "f");
  l.mtime = 333;
  const Member fifo{.name = "d/p", .type = '6', .mtime = 444};
  ASSERT_TRUE(apply({d, f, l, fifo}));
  struct stat status {};
  for (const auto& [name, time] :
       std::map<std::string, std::int64_t>{{"d", 111}, {"d/f", 222}, {"d/l", 333}, {"d/p", 444}}) {
    ASSERT_EQ(lstat(in_root(name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mtim.tv_sec, time) << name;
  }
}

TEST_F(LayerSemantics, DirectoryThatALayerOnlyWritesIntoKeepsItsTime) {
  Member d = dir("d/");
  d.mtime = 111;
  ASSERT_TRUE(apply_all({{d}, {file("d/new")}}));
  struct stat status {};
  ASSERT_EQ(stat(in_root("d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 111);
}

TEST_F(LayerSemantics, DirectoryThatIsWrittenIntoThroughALinkKeepsItsTime) {
  Member d = dir("usr/lib/");
  d.mtime = 111;
  ASSERT_TRUE(apply_all({{dir("usr/"), d, symlink_to("lib", "usr/lib")}, {file("lib/new")}}));
  struct stat status {};
  ASSERT_EQ(stat(in_root("usr/lib").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 111);
}

TEST_F(LayerSemantics, NamesOfManyAlphabetsAndNoneAreBytes) {
  ASSERT_TRUE(apply(
      {file("grün"), file(std::string("latin-\xe4")), file(std::string(120, 'l') + "/ключ")}));
  EXPECT_TRUE(tree().contains("grün"));
  EXPECT_TRUE(tree().contains(std::string("latin-\xe4")));
  EXPECT_TRUE(tree().contains(std::string(120, 'l') + "/ключ"));
}

TEST_F(LayerSemantics, EmptyLayerIsALayer) {
  EXPECT_TRUE(apply({}));
  EXPECT_TRUE(apply_bytes("", ""));
  EXPECT_TRUE(apply_bytes("", gzip("")));
}

TEST_F(LayerSemantics, WhatFollowsTheEndOfTheArchiveIsHashedAndNotUnpacked) {
  const std::string tar = make_tar({file("a")}) + make_tar({file("b")}) + "junk";
  ASSERT_TRUE(apply_bytes(tar, tar));
  EXPECT_EQ(names(), (Names{"a"}));
  const Result<void> changed = apply_bytes(make_tar({file("a")}), tar);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().kind(), ErrorKind::Corrupt);
}

TEST_F(LayerSemantics, EveryCompressionGivesTheSame) {
  const std::string tar = make_tar({dir("d/"), file("d/f", std::string(300'000, 'z'))});
  for (const std::string& blob :
       {tar, gzip(tar), zstd(tar), gzip(tar.substr(0, 700)) + gzip(tar.substr(700))}) {
    EXPECT_TRUE(apply_bytes(tar, blob));
    EXPECT_EQ(names(), (Names{"d", "d/f"}));
  }
}

// As pigz, eStargz and zstd:chunked write them.
TEST_F(LayerSemantics, MembersAndSkippableFramesMayStandAnywhere) {
  std::string noise(1'500'000, '\0');
  std::uint32_t state = 12345;
  for (char& c : noise) {
    state = state * 1664525 + 1013904223;
    // Half of it compresses, so that members end at every place of a byte and of a block.
    c = static_cast<char>((state >> 24) & ((state & 0x10000) != 0 ? 0xff : 0x03));
  }
  const std::string tar = make_tar({file("noise", noise)});
  std::string members;
  for (std::size_t at = 0, size = 1; at < tar.size(); at += size) {
    size = size * 5 % 7919 + 1;
    members += gzip(tar.substr(at, size));
  }
  EXPECT_TRUE(apply_bytes(tar, members));
  EXPECT_TRUE(apply_bytes(tar, members + std::string(1000, '\0')));
  const std::string skippable("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  EXPECT_TRUE(apply_bytes(
      tar, skippable + zstd(tar.substr(0, 4096)) + skippable + zstd(tar.substr(4096)) + skippable));
  EXPECT_EQ(names(), Names{"noise"});
}

}  // namespace
}  // namespace gangway::containers
