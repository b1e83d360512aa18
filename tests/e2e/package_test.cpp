// The Debian package that cpack makes, installed by dpkg into an empty root and removed again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

class Package : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root owns what dpkg installs";
    std::string pattern = "/tmp/gangway-package-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    top_ = pattern;
  }
  void TearDown() override {
    if (!top_.empty()) fs::remove_all(top_);
  }
  // dpkg with a database of its own: nothing of this machine's is read or changed.
  Ran dpkg(std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"dpkg", cat("--root=", root()), "--force-depends", "--log=/dev/null"});
    return run(words, {.env = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}}});
  }
  [[nodiscard]] std::string root() const { return top_ + "/root"; }

  std::string top_;
};

TEST_F(Package, IsInstalledIntoAnEmptyRootAndRemovedWithoutATrace) {
  const Ran packed = run({GANGWAY_CPACK, "--config", cat(GANGWAY_BINARY_DIR, "/CPackConfig.cmake"),
                          "-B", top_ + "/build", "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=gzip"},
                         {.directory = top_, .limit = seconds(300) * kSlowness});
  ASSERT_EQ(packed.exit_code, 0) << packed.out << packed.err;
  std::string package;
  for (const auto& entry : fs::directory_iterator(top_ + "/build")) {
    if (entry.path().extension() == ".deb") package = entry.path();
  }
  ASSERT_NE(package, "");
  EXPECT_THAT(run({"dpkg-deb", "-f", package, "Depends"}).out, HasSubstr("libsqlite3-0"));

  for (const char* const folder : {"info", "updates", "triggers"}) {
    fs::create_directories(cat(root(), "/var/lib/dpkg/", folder));
  }
  std::ofstream(root() + "/var/lib/dpkg/status");
  const Ran installed = dpkg({"-i", package});
  ASSERT_EQ(installed.exit_code, 0) << installed.out << installed.err;
  EXPECT_THAT(dpkg({"-s", "gangway"}).out, HasSubstr("Status: install ok installed"));
  for (const char* const file :
       {"bin/jsubmit", "bin/jqueue", "bin/gangway", "sbin/jschedd", "sbin/jexecd",
        "sbin/jbalancerd", "libexec/gangway/jqueue-watch", "libexec/gangway/jsubmit-workflow",
        "libexec/gangway/jsubmit-services", "lib/systemd/system/jschedd.service",
        "lib/systemd/system/jbalancerd.service", "lib/systemd/system/jexecd.service",
        "share/bash-completion/completions/jsubmit", "share/zsh/vendor-completions/_gangway",
        "share/man/man1/jqueue.1", "share/man/man5/gangway.yaml.5",
        "share/doc/gangway/sbatch.md"}) {
    EXPECT_TRUE(fs::exists(cat(root(), "/usr/", file))) << file;
  }
  EXPECT_THAT(content(root() + "/usr/lib/systemd/system/jschedd.service"),
              HasSubstr("\nExecStart=/usr/sbin/jschedd "));
  const Ran version = run({root() + "/usr/bin/jsubmit", "--version"});
  EXPECT_EQ(version.exit_code, 0) << version.err;
  EXPECT_THAT(version.out, StartsWith("jsubmit "));

  const Ran removed = dpkg({"--purge", "gangway"});
  EXPECT_EQ(removed.exit_code, 0) << removed.err;
  EXPECT_FALSE(fs::exists(root() + "/usr/bin/jsubmit"));
  EXPECT_FALSE(fs::exists(root() + "/usr/lib/systemd/system/jschedd.service"));
}

}  // namespace
}  // namespace gangway::e2e
