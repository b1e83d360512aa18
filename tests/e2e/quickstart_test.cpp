// The README's first command, with this build and places of its own, twice: it shows the right
// result both times, and what it has started can be taken away whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/program.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

TEST(Quickstart, ShowsTheRightResultAsOftenAsItIsRun) {
  if (::geteuid() != 0) GTEST_SKIP() << "it installs packages and makes networks: root's";
  const passwd* nobody = ::getpwnam("nobody");
  if (nobody == nullptr) GTEST_SKIP() << "there is no ordinary user nobody";
  std::string place = "/tmp/gangway-quickstart-XXXXXX";
  ASSERT_NE(::mkdtemp(place.data()), nullptr);
  fs::permissions(place, fs::perms(0755));
  const std::string work = place + "/work";
  fs::create_directory(work);
  ASSERT_EQ(::chown(work.c_str(), nobody->pw_uid, nobody->pw_gid), 0);
  const RunOptions options{.env = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"},
                                   {"GANGWAY_BUILD", GANGWAY_BINARY_DIR},
                                   {"GANGWAY_PREFIX", place + "/prefix"},
                                   {"GANGWAY_CLUSTER", place + "/cluster"},
                                   {"GANGWAY_WORK", work},
                                   {"SUDO_USER", "nobody"}}};
  for (const char* id : {"w1", "w2"}) {
    const Ran ran = run({GANGWAY_SOURCE_DIR "/examples/quickstart.sh"}, options);
    EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
    EXPECT_THAT(ran.out, HasSubstr(cat("submitted as ", id)));
    EXPECT_THAT(ran.out, HasSubstr("the parallel solution is right"));
    EXPECT_THAT(ran.out, HasSubstr(work + "/heat.png"));
    EXPECT_TRUE(fs::remove(work + "/heat.png"));
    EXPECT_TRUE(fs::remove(work + "/heat.txt"));
  }
  const Ran down =
      run({place + "/prefix/bin/gangway", "down", "--purge", "--dir", place + "/cluster"});
  EXPECT_EQ(down.exit_code, 0) << down.err;
  EXPECT_FALSE(fs::exists(place + "/cluster"));
  fs::remove_all(place);
}

}  // namespace
}  // namespace gangway::e2e
