#include "submit/submission.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "queues/wire/convert.hpp"
#include "tests/submit/fake_scheduler.hpp"

namespace gangway::submit {
namespace {

TEST(Submission, KeysAreLongAndNeverTheSame) {
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    const std::string key = make_key();
    EXPECT_EQ(key.size(), 32U);
    EXPECT_EQ(key.find_first_not_of("0123456789abcdef"), std::string::npos);
    keys.insert(key);
  }
  EXPECT_EQ(keys.size(), 100U);
}

// A scheduler that notes the submission and loses its answer, as one does that dies after the
// commit.
class Forgetful {
 public:
  explicit Forgetful(int losses) : losses_(losses) {}
  FakeAnswer on(const wire::Request& request) {
    const auto [entry, added] = ids_.try_emplace(request.submit().key(), next_);
    if (added) ++next_;
    if (losses_-- > 0) return {.responses = {}, .close_instead = true};
    FakeAnswer answer;
    answer.responses.emplace_back().mutable_submitted()->add_jobs(entry->second);
    return answer;
  }
  [[nodiscard]] std::size_t jobs() const { return ids_.size(); }

 private:
  int losses_;
  std::uint64_t next_ = 42;
  std::map<std::string, std::uint64_t> ids_;
};

TEST(Submission, LostAnswerIsAskedForAgainWithTheSameKey) {
  Forgetful memory(2);
  const FakeScheduler scheduler([&](const wire::Request& r) { return memory.on(r); });
  Client client("test", scheduler.socket());
  wire::Request request;
  request.mutable_submit()->set_key(make_key());
  const auto submitted = submit(client, "test", {&request, 1}, seconds(60), true);
  ASSERT_TRUE(submitted) << submitted.error().message();
  EXPECT_EQ(submitted->jobs(0), 42U);
  EXPECT_EQ(memory.jobs(), 1U);
}

TEST(Submission, IsTriedOnceWithoutAWindow) {
  Forgetful memory(1);
  const FakeScheduler scheduler([&](const wire::Request& r) { return memory.on(r); });
  Client client("test", scheduler.socket());
  wire::Request request;
  request.mutable_submit()->set_key(make_key());
  EXPECT_FALSE(submit(client, "test", {&request, 1}, Duration{}, true));
}

TEST(Submission, RefusalIsNotTriedAgain) {
  int calls = 0;
  const FakeScheduler scheduler([&](const wire::Request&) {
    ++calls;
    FakeAnswer answer;
    answer.responses.emplace_back().mutable_error()->set_message("no");
    return answer;
  });
  Client client("test", scheduler.socket());
  wire::Request request;
  request.mutable_submit()->set_key(make_key());
  EXPECT_FALSE(submit(client, "test", {&request, 1}, seconds(60), true));
  EXPECT_EQ(calls, 1);
}

TEST(Waiting, GoesOnAfterTheSchedulerWasAway) {
  int waits = 0;
  const FakeScheduler scheduler([&](const wire::Request& request) {
    FakeAnswer answer;
    if (request.has_ping()) {
      answer.responses.emplace_back().mutable_pong();
    } else if (++waits < 3) {
      answer.close_instead = true;
    } else {
      wire::Waited::One& one = *answer.responses.emplace_back().mutable_waited()->add_results();
      wire::to_wire(JobKey{.job = {42}}, one.mutable_key());
    }
    return answer;
  });
  Client client("test", scheduler.socket());
  const auto waited = wait_for(client, "test", {}, seconds(60), true);
  ASSERT_TRUE(waited) << waited.error().message();
  EXPECT_EQ(waited->results_size(), 1);
}

// ---- exit codes ---------------------------------------------------------------------------------

wire::Waited ends(const std::vector<Outcome>& outcomes) {
  wire::Waited waited;
  std::uint64_t id = 1;
  for (const Outcome& outcome : outcomes) {
    wire::Waited::One& one = *waited.add_results();
    wire::to_wire(JobKey{.job = {id++}}, one.mutable_key());
    wire::to_wire(outcome, one.mutable_outcome());
  }
  return waited;
}

int code_of(const std::vector<Outcome>& outcomes, std::vector<std::uint64_t> named = {}) {
  wire::WaitFor what;
  for (const std::uint64_t id : named) wire::to_wire(JobKey{.job = {id}}, what.add_keys());
  return report_ends("test", what, ends(outcomes), true);
}

const Outcome kDone{};
const Outcome kFailed{.kind = OutcomeKind::Failed, .exit_code = 3, .signal = 0, .detail = ""};
const Outcome kKilled{.kind = OutcomeKind::Signaled, .exit_code = 0, .signal = 9, .detail = ""};
const Outcome kSkipped{
    .kind = OutcomeKind::Cancelled, .exit_code = 0, .signal = 0, .detail = "skipped: solve failed"};

TEST(ExitCode, IsTheFirstThatIsNotZero) {
  EXPECT_EQ(code_of({kDone}), 0);
  EXPECT_EQ(code_of({kDone, kFailed, kKilled}), 3);
  EXPECT_EQ(code_of({kKilled}), 137);
}

TEST(ExitCode, SkippedJobCountsOnlyIfItWasNamed) {
  EXPECT_EQ(code_of({kDone, kSkipped}), 0);
  EXPECT_EQ(code_of({kSkipped, kFailed}), 3);
  EXPECT_EQ(code_of({kSkipped}, {1}), 1);
}

TEST(ExitCode, OfSeveralJobsTheLineTellsWhoseItIs) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(report_ends("test", {}, ends({kDone, kFailed, kKilled}), false), 3);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "test: job 2: FAILED with exit code 3\ntest: job 3: SIGNALED by signal 9\n");
  testing::internal::CaptureStderr();
  EXPECT_EQ(report_ends("test", {}, ends({kFailed}), false), 3);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ExitCode, AProgramThatCouldNotBeRunIsTold) {
  testing::internal::CaptureStderr();
  const Outcome outcome{.kind = OutcomeKind::Failed,
                        .exit_code = 127,
                        .signal = 0,
                        .detail = "cannot run solve: no such program in PATH"};
  EXPECT_EQ(report_ends("test", {}, ends({outcome}), false), 127);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "test: job 1: FAILED with exit code 127, cannot run solve: no such program in PATH\n");
}

TEST(ExitCode, JobThatDoesNotExistIsNoInput) {
  wire::Waited waited;
  wire::Waited::One& one = *waited.add_results();
  wire::to_wire(JobKey{.job = {9}}, one.mutable_key());
  wire::to_wire(Error(ErrorKind::NotFound, "no job 9"), one.mutable_error());
  EXPECT_EQ(report_ends("test", {}, waited, true), 66);
}

}  // namespace
}  // namespace gangway::submit
