#include "executor/spool.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace gangway::executor {
namespace {

namespace fs = std::filesystem;
constexpr AttemptKey kFirst{{JobId{42}}, 1};

class SpoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/gangway-spool-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    root_ = std::string(pattern) + "/spool";
  }
  void TearDown() override { fs::remove_all(fs::path(root_).parent_path()); }
  Spool open() {
    Result<Spool> spool = Spool::open(root_);
    EXPECT_TRUE(spool) << spool.error().message();
    return *std::move(spool);
  }
  std::string root_;
};

TEST_F(SpoolTest, AnAttemptsRecordsAreReadBack) {
  const Spool spool = open();
  AttemptDirectory directory = spool.attempt(kFirst);
  wire::AttemptRecord order;
  order.mutable_start()->set_user_name("alice");
  order.set_boot_id("boot");
  ASSERT_TRUE(directory.create(order));
  EXPECT_EQ(directory.read_order()->start().user_name(), "alice");
  EXPECT_EQ(directory.read_shepherd().error().kind(), ErrorKind::NotFound);
  EXPECT_EQ(directory.read_finished().error().kind(), ErrorKind::NotFound);
  wire::StepFinished finished;
  finished.mutable_outcome()->set_exit_code(3);
  ASSERT_TRUE(directory.write_finished(finished));
  EXPECT_EQ(directory.read_finished()->outcome().exit_code(), 3);
  EXPECT_EQ(spool.list_attempts(), std::vector<AttemptKey>{kFirst});
  ASSERT_TRUE(directory.remove());
  EXPECT_TRUE(spool.list_attempts().empty());
}
TEST_F(SpoolTest, OnlyItsOwnerCanLookIntoAnAttempt) {
  const Spool spool = open();
  ASSERT_TRUE(spool.attempt(kFirst).create({}));
  for (const char* path : {"/jobs", "/jobs/42.1", "/jobs/42.1/sandbox"}) {
    struct stat found {};
    ASSERT_EQ(::stat((root_ + path).c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0700U) << path;
  }
  struct stat order {};
  ASSERT_EQ(::stat((root_ + "/jobs/42.1/order").c_str(), &order), 0);
  EXPECT_EQ(order.st_mode & 0777, 0600U);
}
TEST_F(SpoolTest, WhatIsNotOursIsNoAttempt) {
  const Spool spool = open();
  fs::create_directory(root_ + "/jobs/lost+found");
  fs::create_directory(root_ + "/jobs/042.1");
  EXPECT_TRUE(spool.list_attempts().empty());
}
TEST_F(SpoolTest, ATornRecordIsCorrupt) {
  const Spool spool = open();
  ASSERT_TRUE(spool.attempt(kFirst).create({}));
  std::ofstream(root_ + "/jobs/42.1/order") << "\xff\xff\xff garbage";
  EXPECT_EQ(spool.attempt(kFirst).read_order().error().kind(), ErrorKind::Corrupt);
}
TEST_F(SpoolTest, TheEpochSurvives) {
  {
    const Spool spool = open();
    EXPECT_EQ(*spool.read_epoch(), 0U);
    ASSERT_TRUE(spool.write_epoch(7));
  }
  EXPECT_EQ(*open().read_epoch(), 7U);
}
TEST_F(SpoolTest, TwoExecutorsDoNotShareASpool) {
  const Spool spool = open();
  const Result<Spool> second = Spool::open(root_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind(), ErrorKind::Conflict);
}
TEST_F(SpoolTest, RemovalDoesNotFollowLinks) {
  const Spool spool = open();
  ASSERT_TRUE(spool.attempt(kFirst).create({}));
  const fs::path outside = fs::path(root_).parent_path() / "precious";
  fs::create_directory(outside);
  std::ofstream(outside / "file") << "x";
  fs::create_symlink(outside, root_ + "/jobs/42.1/sandbox/link");
  ASSERT_TRUE(spool.attempt(kFirst).remove());
  EXPECT_TRUE(fs::exists(outside / "file"));
}
}  // namespace
}  // namespace gangway::executor
