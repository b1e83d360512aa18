#include "submit/one_machine/files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "queues/base/small_file.hpp"
#include "submit/one_machine/cluster_layout.hpp"
#include "submit/one_machine/command.hpp"
#include "submit/one_machine/own_directory.hpp"

namespace gangway::one_machine {
namespace {

class Files : public testing::Test {
 protected:
  Files() {
    std::string pattern = testing::TempDir() + "files-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~Files() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(Files, ASecondLockIsRefusedUntilTheFirstIsGone) {
  const auto path = directory_ + "/lock";
  {
    const auto first = lock_file(path);
    ASSERT_TRUE(first);
    EXPECT_EQ(lock_file(path).error().kind(), ErrorKind::Conflict);
  }
  EXPECT_TRUE(lock_file(path));
}

TEST_F(Files, RemovingATreeDoesNotFollowLinks) {
  ASSERT_TRUE(make_directory(directory_ + "/kept", 0755));
  ASSERT_TRUE(replace_file(directory_ + "/kept/file", "", 0644, Durability::UntilReboot));
  ASSERT_TRUE(make_directory(directory_ + "/gone/deep", 0755));
  std::filesystem::create_directory_symlink(directory_ + "/kept", directory_ + "/gone/link");
  ASSERT_TRUE(remove_tree(directory_ + "/gone"));
  EXPECT_TRUE(read_small_file(directory_ + "/kept/file"));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/gone"));
  EXPECT_TRUE(remove_tree(directory_ + "/gone"));
}

TEST_F(Files, AClosedDirectoryOnTheWayIsNamed) {
  ASSERT_TRUE(make_directory(directory_ + "/closed/open", 0755));
  ASSERT_TRUE(make_directory(directory_ + "/closed", 0700));
  const auto found = find_closed_directory(directory_ + "/closed/open/socket");
  EXPECT_TRUE(found == directory_ + "/closed" || found == directory_) << found;
}

TEST_F(Files, ADirectoryIsAClustersIfItIsNewOrEmptyOrMadeByUp) {
  const auto layout = *make_layout(directory_ + "/c");
  EXPECT_TRUE(require_own(layout));
  ASSERT_TRUE(make_directory(layout.directory, 0755));
  EXPECT_TRUE(require_own(layout));
  ASSERT_TRUE(replace_file(layout.lock_file(), "", 0600, Durability::UntilReboot));
  ASSERT_TRUE(make_directory(layout.run_directory(), 0755));
  ASSERT_TRUE(make_directory(layout.node_directory(NodeName("n02")), 0755));
  EXPECT_TRUE(require_own(layout)) << "of an up that failed early";
  for (const auto& path : {layout.nodes_file(), layout.config_file(), layout.key_file()}) {
    ASSERT_TRUE(replace_file(path, "", 0644, Durability::UntilReboot));
  }
  ASSERT_TRUE(replace_file(layout.directory + "/notes", "", 0644, Durability::UntilReboot));
  EXPECT_TRUE(require_own(layout)) << "somebody keeps notes beside it";
}

TEST_F(Files, ADirectoryOfSomethingElseIsNoClusters) {
  const auto layout = *make_layout(directory_ + "/c");
  ASSERT_TRUE(make_directory(layout.run_directory(), 0755));
  ASSERT_TRUE(make_directory(layout.log_directory(), 0755));
  EXPECT_EQ(require_own(layout).error().kind(), ErrorKind::Conflict) << "run/ has everybody";
  ASSERT_TRUE(replace_file(layout.lock_file(), "", 0600, Durability::UntilReboot));
  ASSERT_TRUE(replace_file(layout.directory + "/thesis", "", 0644, Durability::UntilReboot));
  const auto refused = require_own(layout);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find(layout.directory), std::string::npos);
  EXPECT_NE(refused.error().message().find("thesis"), std::string::npos);
  std::filesystem::remove(layout.directory + "/thesis");
  // As /etc/gangway has it.
  std::filesystem::remove(layout.lock_file());
  for (const auto& path : {layout.config_file(), layout.key_file()}) {
    ASSERT_TRUE(replace_file(path, "", 0644, Durability::UntilReboot));
  }
  EXPECT_FALSE(require_own(layout));
}

TEST_F(Files, ADirectoryThatSomebodyElseCanChangeIsNoClusters) {
  const auto layout = *make_layout(directory_ + "/of/c");
  ASSERT_TRUE(make_directory(layout.directory, 0755));
  EXPECT_TRUE(require_own(layout));
  for (const auto& path : {layout.directory, directory_ + "/of"}) {
    ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
    EXPECT_EQ(require_own(layout).error().kind(), ErrorKind::Denied) << path;
    ASSERT_EQ(::chmod(path.c_str(), 01777), 0);
    EXPECT_TRUE(require_own(layout)) << "sticky, as /tmp is";
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  }
  if (::geteuid() != 0) return;  // only root can give a directory away
  for (const auto& path : {layout.directory, directory_ + "/of"}) {
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
    const auto refused = require_own(layout);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind(), ErrorKind::Denied);
    EXPECT_NE(refused.error().message().find("65534"), std::string::npos);
    ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
  }
}

TEST(Command, GivesWhatTheProgramWrote) { EXPECT_EQ(*run_command({"echo", "a b"}), "a b\n"); }

TEST(Command, AFailureCarriesTheProgramsWords) {
  const auto result = run_command({"sh", "-c", "echo why >&2; exit 3"});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message().find("why"), std::string::npos);
}

TEST(Command, AnEndThatNobodyCouldSeeIsNoSuccess) {
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ASSERT_EQ(sigaction(SIGCHLD, &ignore, &before), 0);
  EXPECT_FALSE(run_command({"sh", "-c", "exit 3"}));
  sigaction(SIGCHLD, &before, nullptr);
}

TEST(Command, AMissingProgramIsNotFound) {
  EXPECT_EQ(run_command({"no-such-program-here"}).error().kind(), ErrorKind::NotFound);
}

}  // namespace
}  // namespace gangway::one_machine
