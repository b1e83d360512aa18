#include "queues/base/small_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

namespace gangway {
namespace {

namespace fs = std::filesystem;

class SmallFile : public testing::Test {
 protected:
  SmallFile() {
    std::string pattern = testing::TempDir() + "small-file-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~SmallFile() override { fs::remove_all(directory_); }
  std::string directory_;
};

TEST_F(SmallFile, IsReplacedWholeWithItsMode) {
  const std::string path = directory_ + "/key";
  ASSERT_TRUE(replace_file(path, "old", 0644, Durability::UntilReboot));
  ASSERT_TRUE(replace_file(path, "new", 0600, Durability::OnDisk));
  EXPECT_EQ(*read_small_file(path), "new");
  struct stat file {};
  ASSERT_EQ(::stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
  EXPECT_FALSE(fs::exists(path + ".new"));
}

TEST_F(SmallFile, AWriteThatFailsLeavesTheOldFile) {
  const std::string path = directory_ + "/file";
  ASSERT_TRUE(replace_file(path, "old", 0600, Durability::OnDisk));
  fs::create_directory(path + ".new");  // the temporary name is taken
  EXPECT_FALSE(replace_file(path, "new", 0600, Durability::OnDisk));
  EXPECT_EQ(*read_small_file(path), "old");
}

TEST_F(SmallFile, OneThatIsLongerThanAllowedIsNotRead) {
  const std::string path = directory_ + "/file";
  ASSERT_TRUE(replace_file(path, "old", 0600, Durability::UntilReboot));
  EXPECT_TRUE(read_small_file(path, 3));
  EXPECT_EQ(read_small_file(path, 2).error().kind(), ErrorKind::Exhausted);
  EXPECT_EQ(read_small_file(path + "er").error().kind(), ErrorKind::NotFound);
}

}  // namespace
}  // namespace gangway
