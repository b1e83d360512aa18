#include "submit/workflow_submission.hpp"

#include <gtest/gtest.h>

namespace gangway::submit {
namespace {

WorkflowFile workflow_of(int jobs) {
  WorkflowFile file;
  file.name = "w";
  for (int i = 0; i < jobs; ++i) {
    WorkflowJob job;
    job.name = "j" + std::to_string(i);
    job.line = i + 3;
    job.spec.argv = {"x"};
    job.spec.env = {"PATH=/bin"};
    file.jobs.push_back(std::move(job));
  }
  return file;
}

TEST(WorkflowParts, SmallWorkflowIsOneRequest) {
  WorkflowFile file = workflow_of(2);
  file.jobs[1].needs = {{"j0", NeedOutcome::Any}};
  const auto parts = make_parts(file, "0123456789abcdef", true);
  ASSERT_EQ(parts.size(), 1U);
  const wire::Submit& part = parts[0].submit();
  EXPECT_EQ(part.key(), "0123456789abcdef");
  EXPECT_EQ(part.workflow().name(), "w");
  EXPECT_TRUE(part.test_only());
  EXPECT_FALSE(part.more());
  EXPECT_EQ(part.jobs(1).member(), "j1");
  EXPECT_EQ(part.jobs(1).line(), 4U);
  EXPECT_EQ(part.jobs(1).needs(0).member(), "j0");
  EXPECT_EQ(part.jobs(1).needs(0).outcome(), static_cast<std::uint32_t>(NeedOutcome::Any));
}

TEST(WorkflowParts, LargeWorkflowIsCutByItsJobs) {
  const auto parts = make_parts(workflow_of(1030), "0123456789abcdef", false);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].submit().jobs_size(), 512);
  EXPECT_EQ(parts[2].submit().jobs_size(), 6);
  EXPECT_TRUE(parts[0].submit().more());
  EXPECT_TRUE(parts[1].submit().more());
  EXPECT_FALSE(parts[2].submit().more());
  EXPECT_TRUE(parts[0].submit().has_workflow());
  EXPECT_FALSE(parts[1].submit().has_workflow());
  EXPECT_EQ(parts[1].submit().key(), "0123456789abcdef");
}

TEST(WorkflowParts, LargeWorkflowIsCutByItsBytes) {
  WorkflowFile file = workflow_of(5);
  for (WorkflowJob& job : file.jobs) job.spec.argv.push_back(job.name + std::string(400'000, 'x'));
  const auto parts = make_parts(file, "0123456789abcdef", false);
  ASSERT_EQ(parts.size(), 3U);
  for (const wire::Request& part : parts) {
    EXPECT_LE(part.ByteSizeLong(), kMaxBytesPerPart + 1000);
    EXPECT_GT(part.submit().jobs_size(), 0);
  }
}

TEST(WorkflowParts, SharedEnvironmentAndScriptAreSentOnce) {
  WorkflowFile file = workflow_of(3);
  for (WorkflowJob& job : file.jobs) job.spec.script = "#!/bin/sh\n";
  file.jobs[1].spec.env.push_back("OTHER=1");
  const auto parts = make_parts(file, "0123456789abcdef", false);
  const wire::Submit& part = parts[0].submit();
  EXPECT_EQ(part.jobs(0).env_of(), 0U);
  EXPECT_EQ(part.jobs(0).spec().env_size(), 1);
  EXPECT_EQ(part.jobs(1).env_of(), 0U);
  EXPECT_EQ(part.jobs(1).spec().env_size(), 2);
  EXPECT_EQ(part.jobs(2).env_of(), 1U);
  EXPECT_EQ(part.jobs(2).spec().env_size(), 0);
  EXPECT_EQ(part.jobs(2).script_of(), 1U);
  EXPECT_TRUE(part.jobs(2).spec().script().empty());
}

}  // namespace
}  // namespace gangway::submit
