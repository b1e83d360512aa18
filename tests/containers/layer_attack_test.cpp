// Layers that try to reach out of the image, and what they end as. After each test the fixture
// checks that nothing outside has changed.
#include "tests/containers/again_as_user.hpp"
#include "tests/containers/layer_fixture.hpp"

namespace gangway::containers {
namespace {

using LayerAttack = LayerTest;

struct Attack {
  const char* what;
  std::vector<Layer> layers;
  bool refused;
};

Member with_xattr(Member member, std::string name, std::string value) {
  member.xattrs.emplace_back(std::move(name), std::move(value));
  return member;
}

std::vector<Attack> names_that_climb() {
  return {
      {"..", {{file("..", "x")}}, true},
      {"../x", {{file("../x", "x")}}, true},
      {"/../x", {{file("/../x", "x")}}, true},
      {"a/../../x", {{file("a/../../x", "x")}}, true},
      {"./../../outside/victim", {{file("./../../outside/victim", "x")}}, true},
      {"//outside/victim", {{file("//outside/victim", "x")}}, false},
      {"/outside/victim", {{file("/outside/victim", "x")}}, false},
      {"a/../b", {{file("a/../b", "x")}}, false},
      {"directory ../d", {{dir("../d")}}, true},
      {"symlink ../l", {{symlink_to("../l", "x")}}, true},
      {"whiteout of ../outside", {{whiteout("..", "outside")}}, true},
      {"whiteout a/../../outside/.wh.victim", {{whiteout("a/../../outside", "victim")}}, true},
  };
}

std::vector<Attack> symlinks_that_lead_out() {
  return {
      {"write through a symlink to ..", {{symlink_to("l", ".."), file("l/new", "x")}}, false},
      {"write through ../outside",
       {{symlink_to("l", "../outside"), file("l/victim", "owned")}},
       false},
      {"the same in the next layer",
       {{symlink_to("l", "../outside")}, {file("l/victim", "owned")}},
       false},
      {"through an absolute symlink",
       {{symlink_to("l", "/outside"), file("l/victim", "x")}},
       false},
      {"through two",
       {{symlink_to("a", "b"), symlink_to("b", "../.."), file("a/outside/victim")}},
       false},
      {"cur and par",
       {{symlink_to("cur", "."), symlink_to("par", "cur/.."), file("par/outside/victim", "x")}},
       false},
      {"chmod and time of a directory behind a symlink",
       {{symlink_to("l", "../outside/directory"), dir("l/", 0777)}},
       false},
      {"write onto a symlink to a file",
       {{symlink_to("l", "../outside/victim"), file("l", "owned", 0666)}},
       false},
      {"the same in the next layer",
       {{symlink_to("l", "../outside/victim")}, {file("l", "owned", 0666)}},
       false},
      {"attributes of a symlink's target",
       {{symlink_to("l", "../outside/victim"),
         with_xattr(hardlink_to("l", "l"), "user.evil", "1")}},
       false},
      {"whiteout through a symlink",
       {{symlink_to("l", "../outside")}, {whiteout("l", "victim")}},
       false},
      {"opaque through a symlink", {{symlink_to("l", "../outside")}, {opaque("l")}}, false},
      {"whiteout of the symlink itself",
       {{symlink_to("l", "../outside/directory")}, {whiteout("", "l")}},
       false},
      {"directory queued for its times, then replaced by a symlink",
       {{dir("d/", 0700), file("d/f"), symlink_to("d", "../outside/directory")}},
       false},
      {"the same in the next layer",
       {{dir("d/", 0700)}, {dir("d/", 0711), symlink_to("d", "../outside/directory")}},
       false},
      {"a symlink to itself", {{symlink_to("l", "l"), file("l/x")}}, true},
      {"a very long chain of names",
       {{symlink_to("l", ".."), file("l/" + std::string(200, 'x') + "/../../outside/victim", "x")}},
       false},
  };
}

std::vector<Attack> hard_links() {
  return {
      {"to ../outside/victim", {{hardlink_to("h", "../outside/victim")}}, true},
      {"to an absolute name that is only outside", {{hardlink_to("h", "/outside/victim")}}, true},
      {"through a symlink",
       {{symlink_to("l", "../outside"), hardlink_to("h", "l/victim"), file("h", "owned")}},
       true},
      {"to a symlink that leads out, then written to",
       {{symlink_to("l", "../outside/victim"), hardlink_to("h", "l"), file("h", "owned")}},
       false},
      {"with contents",
       {{file("f", "mine"), {.name = "h", .type = '1', .data = "data of a link", .link = "f"}}},
       true},
      {"to itself", {{hardlink_to("h", "h")}}, true},
      {"to itself, existing", {{file("h", "kept"), hardlink_to("h", "h")}}, false},
      {"to a directory", {{dir("d/"), hardlink_to("h", "d")}}, true},
      {"to the root", {{hardlink_to("h", "/")}}, true},
      {"to nothing", {{hardlink_to("h", "missing")}}, true},
  };
}

std::vector<Attack> whiteouts() {
  return {
      {".wh.", {{file(".wh.", "")}}, true},
      {".wh..", {{file(".wh..", "")}}, true},
      {".wh...", {{file(".wh...", "")}}, true},
      {"d/.wh...", {{dir("d/"), file("d/.wh...", "")}}, true},
      {"a directory .wh..", {{dir(".wh../")}}, true},
      {"dne/../.wh.etc", {{dir("etc/")}, {file("dne/../.wh.etc", "")}}, false},
      {"aufs's own files", {{file(".wh..wh.aufs", "x"), dir(".wh..wh.plnk/")}}, false},
      {"of nothing",
       {{whiteout("", "nothing"), whiteout("no/such", "thing"), opaque("none")}},
       false},
      {"opaque root", {{file("a"), file(".wh..wh..opq", "")}}, false},
  };
}

std::vector<Attack> root_entries() {
  return {
      {"file", {{file("/", "x")}}, true},
      {"symlink", {{symlink_to("./", "../outside")}}, true},
      {"hard link", {{hardlink_to(".", "x")}}, true},
      {"directory", {{dir("./", 0711)}}, false},
      {"a/..", {{file("a/..", "x")}}, true},
  };
}

std::vector<Attack> odd_numbers() {
  Member negative_size = file("f");
  negative_size.raw_size = std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", 12);
  Member big_owner = file("f");
  big_owner.uid = 0xffffffff;
  Member negative_owner = file("f");
  negative_owner.gid = -1;
  Member negative_time = file("f");
  negative_time.mtime = -1;
  return {
      {"negative size", {{negative_size}}, true},
      {"owner 2^32-1", {{big_owner}}, true},
      {"owner -1", {{negative_owner}}, true},
      {"time before 1970", {{negative_time}}, true},
      {"unknown type", {{{.name = "f", .type = 'Z', .data = "x"}}}, true},
      {"unknown type after others",
       {{file("a", std::string(300'000, 'a')), {.name = "b", .type = '9', .data = "x"}}},
       true},
      {"a volume's name, which is no file", {{{.name = "v", .type = 'V'}}}, false},
      {"contiguous file", {{{.name = "f", .type = '7', .data = "x"}}}, false},
  };
}

TEST_F(LayerAttack, EndsInsideTheImageOrAsAnError) {
  for (const auto& table : {names_that_climb(), symlinks_that_lead_out(), hard_links(), whiteouts(),
                            root_entries(), odd_numbers()}) {
    for (const Attack& attack : table) {
      start_anew();
      const Result<void> result = apply_all(attack.layers);
      EXPECT_EQ(!result, attack.refused)
          << attack.what << ": " << (result ? "accepted" : result.error().message());
      EXPECT_EQ(read_small_file(place_ / "outside/victim").value_or(""), "untouched")
          << attack.what;
    }
  }
}

TEST_F(LayerAttack, DevicesOfEveryKindAreLeftOut) {
  Layer layer;
  for (const char type : {'3', '4'}) {
    for (const unsigned major : {0U, 1U, 8U, 07777777U}) {
      layer.push_back({.name = cat("dev", type, major),
                       .type = type,
                       .mode = 0666,
                       .device_major = major,
                       .device_minor = 0});
    }
  }
  layer.push_back(file("kept"));
  ASSERT_TRUE(apply(layer));
  EXPECT_EQ(names(), std::vector<std::string>{"kept"});
  EXPECT_EQ(writer_->counts().devices_skipped, 8);
}

TEST_F(LayerAttack, SetIdBitsAreDropped) {
  ASSERT_TRUE(apply({file("f", "x", 06755), dir("d/", 07777), file("g", "x", 04000)}));
  EXPECT_EQ(tree(), (std::map<std::string, std::string>{
                        {"f", "f 755 x"}, {"d", "d 1777"}, {"g", "f 400 x"}}));
}

TEST_F(LayerAttack, AttributesWithAMeaningAreDropped) {
  Member evil = file("f");
  for (const char* name :
       {"security.capability", "security.selinux", "security.ima", "trusted.overlay.opaque",
        "trusted.overlay.redirect", "user.overlay.opaque", "user.overlay.redirect",
        "user.overlay.metacopy", "user.overlay.whiteout", "user.fuseoverlayfs.opaque",
        "user.rootlesscontainers", "system.posix_acl_access"}) {
    evil.xattrs.emplace_back(name, "y");
  }
  evil.xattrs.emplace_back("user.comment", "kept");
  ASSERT_TRUE(apply({evil, dir("d/")}));
  char names[4096];
  const ssize_t length = listxattr(in_root("f").c_str(), names, sizeof names);
  if (length < 0 && errno == ENOTSUP) GTEST_SKIP() << "no extended attributes here";
  EXPECT_EQ(std::string(names, static_cast<std::size_t>(length)),
            std::string("user.comment\0", 13));
  EXPECT_EQ(writer_->counts().xattrs_dropped, 12);
}

TEST_F(LayerAttack, LowerFilesAreNotChangedThroughHardLinks) {
  ASSERT_TRUE(apply_all({{file("a", "old"), hardlink_to("b", "a")}, {file("a", "new")}}));
  EXPECT_EQ(tree(), (std::map<std::string, std::string>{{"a", "f 644 new"}, {"b", "f 644 old"}}));
}

TEST_F(LayerAttack, HardLinkToASymlinkIsTheSymlink) {
  ASSERT_TRUE(apply({symlink_to("l", "../outside/victim"), hardlink_to("h", "l")}));
  EXPECT_EQ(tree()["h"], "l ../outside/victim");
}

// An executor without root unpacks with the rights of its user.
TEST(LayerAttackOnAUser, EndsTheSameForAnExecutorWithoutRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "the tests above were that";
  pass_again_as_user("LayerAttack.*:LayerBounds.*");
}

}  // namespace
}  // namespace gangway::containers
