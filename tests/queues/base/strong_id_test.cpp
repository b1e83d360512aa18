#include "queues/base/strong_id.hpp"

#include <gtest/gtest.h>

namespace gangway {
namespace {

TEST(JobKey, IsPrintedAndReadAsPeopleWriteIt) {
  for (const auto* text : {"1", "42", "42_7", "42_0", "18446744073709551615"}) {
    const auto key = parse_job_key(text);
    ASSERT_TRUE(key) << text;
    EXPECT_EQ(to_string(*key), text);
  }
  EXPECT_EQ(parse_job_key("42")->index, JobKey::kNoIndex);
}

TEST(JobKey, IsNotReadFromAnythingElse) {
  for (const auto* text : {"", "0", "-1", "+1", " 1", "1 ", "42_", "_7", "42_x", "42_-1", "0x2a",
                           "42_4294967295", "42.1", "18446744073709551616", "w7"}) {
    EXPECT_FALSE(parse_job_key(text)) << text;
  }
}

TEST(WorkflowId, HasAW) {
  EXPECT_EQ(to_string(*parse_workflow_id("w7")), "w7");
  for (const auto* text : {"", "w", "7", "w0", "W7", "w-1"}) {
    EXPECT_FALSE(parse_workflow_id(text)) << text;
  }
}

}  // namespace
}  // namespace gangway
