#include "queues/model/job_machine.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>

#include "queues/base/text.hpp"

namespace gangway {
namespace {

const Time kAt{1'000'000'000'000};
const Allocation kAllocation{
    {{.component = 0, .node = NodeName{"n01"}, .resources = {}, .cores = {}, .tasks = 1}}};

Job job_in(Phase phase) {
  Job job = make_job({JobId{42}}, {}, std::make_shared<JobSpec>(), Time{1});
  job.attempt = std::holds_alternative<phase::Waiting>(phase) ? 0 : 1;
  job.phase = std::move(phase);
  job.array.emplace();  // of which no element waits
  return job;
}

std::vector<Phase> all_phases() {
  return {phase::Waiting{},
          phase::Starting{kAllocation},
          phase::Running{kAllocation, {.since = Time{5}}},
          phase::Suspended{kAllocation, {}},
          phase::Completing{kAllocation, {}, false},
          phase::Completing{kAllocation, {}, true},
          phase::Finished{}};
}

std::vector<JobEvent> all_events() {
  return {job_event::Submitted{},
          job_event::Eligible{},
          job_event::ReasonChanged{PendingReason::Priority},
          job_event::Held{},
          job_event::Released{},
          job_event::Allocated{1, kAllocation},
          job_event::Launched{},
          job_event::Suspended{},
          job_event::Suspended{true},
          job_event::Resumed{},
          job_event::Ended{1, {}, false},
          job_event::Cleaned{1},
          job_event::CancelledWaiting{},
          job_event::Dropped{},
          job_event::ArrayEnded{},
          job_event::Altered{}};
}

std::string arrow(std::string_view from, std::string_view event, std::string_view to) {
  return cat(from, " --", event, "--> ", to);
}

// The arrows of the picture in job_machine.hpp.
std::set<std::string> pictured() {
  std::ifstream header(std::string(GANGWAY_SOURCE_DIR) + "/queues/model/job_machine.hpp");
  const std::regex line_of_picture(R"(^//\s+(\w+)\s+--(\w+)-->\s+(\w+))");
  std::set<std::string> arrows;
  std::smatch match;
  for (std::string line; std::getline(header, line);) {
    if (std::regex_search(line, match, line_of_picture)) {
      arrows.insert(arrow(match[1].str(), match[2].str(), match[3].str()));
    }
  }
  return arrows;
}

TEST(JobMachine, MakesExactlyTheTransitionsOfThePictureInItsHeader) {
  std::set<std::string> made;
  for (const Phase& phase : all_phases()) {
    for (const JobEvent& event : all_events()) {
      const Job before = job_in(phase);
      const auto after = apply(before, event, kAt);
      if (!after) continue;
      EXPECT_EQ(after->version, before.version + 1);
      if (after->phase.index() == phase.index()) continue;
      made.insert(arrow(phase_name(phase), event_name(event), phase_name(after->phase)));
    }
  }
  for (const auto& line : made) std::cout << "  " << line << "\n";
  EXPECT_FALSE(made.empty());
  EXPECT_EQ(made, pictured());
}

TEST(JobMachine, EventsThatChangeNoPhaseAreThoseTheHeaderNames) {
  std::map<std::string, std::set<std::string>> stays;
  for (const Phase& phase : all_phases()) {
    for (const JobEvent& event : all_events()) {
      const auto after = apply(job_in(phase), event, kAt);
      if (after && after->phase.index() == phase.index()) {
        stays[std::string(phase_name(phase))].insert(std::string(event_name(event)));
      }
    }
  }
  const std::set<std::string> noted = {"Held", "Released"};
  EXPECT_EQ(
      stays,
      (std::map<std::string, std::set<std::string>>{
          {"Waiting", {"Altered", "Dropped", "Eligible", "Held", "ReasonChanged", "Released"}},
          {"Starting", noted},
          {"Running", noted},
          {"Suspended", {"Held", "Released", "Suspended"}},
          {"Completing", {"Ended", "Held", "Released"}}}));
}

TEST(JobMachine, AJobOnItsWayBackToWaitingCanStillBeCancelled) {
  const Outcome cancelled{.kind = OutcomeKind::Cancelled};
  const auto next = apply(job_in(phase::Completing{kAllocation, {}, true}),
                          job_event::Ended{1, cancelled, false}, kAt);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->phase, Phase(phase::Completing{kAllocation, cancelled, false}));
  EXPECT_FALSE(apply(*next, job_event::Ended{1, {}, false}, kAt));
}

TEST(JobMachine, RefusalIsInternalAndNamesThePair) {
  const auto refused = apply(job_in(phase::Waiting{}), job_event::Launched{}, kAt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::Internal);
  EXPECT_EQ(refused.error().message(), "job 42: Launched cannot happen while Waiting");
}

TEST(JobMachine, NewsOfAnOlderAttemptIsAConflict) {
  Job job = job_in(phase::Running{kAllocation, {}});
  job.attempt = 2;
  for (const JobEvent& event :
       {JobEvent(job_event::Ended{1, {}, false}), JobEvent(job_event::Cleaned{1}),
        JobEvent(job_event::Allocated{2, kAllocation})}) {
    EXPECT_EQ(apply(job, event, kAt).error().kind(), ErrorKind::Conflict) << event_name(event);
  }
  EXPECT_EQ(apply(job, job_event::Ended{3, {}, false}, kAt).error().kind(), ErrorKind::Internal);
}

TEST(JobMachine, RepeatedEndOfAnAttemptThatIsOverIsAConflict) {
  Job job = job_in(phase::Waiting{});
  job.attempt = 1;
  EXPECT_EQ(apply(job, job_event::Ended{1, {}, true}, kAt).error().kind(), ErrorKind::Conflict);
  job.phase = phase::Finished{};
  EXPECT_EQ(apply(job, job_event::Cleaned{1}, kAt).error().kind(), ErrorKind::Conflict);
}

TEST(JobMachine, AttemptsAreNumberedWithoutGaps) {
  EXPECT_EQ(
      apply(job_in(phase::Waiting{}), job_event::Allocated{2, kAllocation}, kAt).error().kind(),
      ErrorKind::Internal);
}

// Applies all or fails the test.
Job after(Job job, const std::vector<std::pair<JobEvent, Time>>& events) {
  for (const auto& [event, at] : events) {
    auto next = apply(job, event, at);
    EXPECT_TRUE(next) << event_name(event);
    if (!next) return job;
    job = *std::move(next);
  }
  return job;
}

TEST(JobMachine, LifeOfAJobLeavesItsTimes) {
  const Job job = after(job_in(phase::Waiting{}), {{job_event::Eligible{}, Time{10}},
                                                   {job_event::Allocated{1, kAllocation}, Time{20}},
                                                   {job_event::Launched{}, Time{30}},
                                                   {job_event::Ended{1, {}, false}, Time{40}},
                                                   {job_event::Cleaned{1}, Time{50}}});
  EXPECT_TRUE(job.is_finished());
  EXPECT_EQ(job.submitted, Time{1});
  EXPECT_EQ(job.eligible, Time{10});
  EXPECT_EQ(job.started, Time{30});
  EXPECT_EQ(job.ended, Time{40});
  EXPECT_EQ(job.version, 6U);
  EXPECT_EQ(job.allocation(), nullptr);  // it holds nothing any more
  EXPECT_EQ(std::get<phase::Finished>(job.phase).ran_on, kAllocation);
}

TEST(JobMachine, RunClockNeverRunsBackwards) {
  const Job paused = after(job_in(phase::Running{kAllocation, {.since = Time{500}}}),
                           {{job_event::Suspended{}, Time{100}}});
  EXPECT_EQ(std::get<phase::Suspended>(paused.phase).clock.accumulated, Duration{});
  const Job again = after(paused, {{job_event::Resumed{}, Time{100}},
                                   {job_event::Suspended{}, Time{150}},
                                   {job_event::Resumed{}, Time{150}},
                                   {job_event::Suspended{}, Time{20}}});
  EXPECT_EQ(std::get<phase::Suspended>(again.phase).clock.accumulated, Duration{50});
}

TEST(JobMachine, RunClockLeavesOutTheTimeSuspended) {
  const Job job = after(job_in(phase::Waiting{}), {{job_event::Allocated{1, kAllocation}, Time{0}},
                                                   {job_event::Launched{}, Time{100}},
                                                   {job_event::Suspended{}, Time{150}},
                                                   {job_event::Resumed{}, Time{1000}}});
  EXPECT_EQ(std::get<phase::Running>(job.phase).clock.elapsed(Time{1010}).ns, 60);
  ASSERT_NE(job.allocation(), nullptr);
  EXPECT_EQ(*job.allocation(), kAllocation);
}

TEST(JobMachine, PausesAreKnownWhenItHasEnded) {
  const Job job = after(job_in(phase::Waiting{}), {{job_event::Allocated{1, kAllocation}, Time{0}},
                                                   {job_event::Launched{}, Time{100}},
                                                   {job_event::Suspended{}, Time{150}},
                                                   {job_event::Resumed{}, Time{1000}},
                                                   {job_event::Suspended{}, Time{1100}},
                                                   {job_event::Ended{1, {}, false}, Time{1200}}});
  EXPECT_EQ(job.paused.ns, 850 + 100);
}

TEST(JobMachine, AnOperatorsSuspensionIsMoreThanASlicesEnd) {
  const Job paused =
      after(job_in(phase::Running{kAllocation, {}}), {{job_event::Suspended{false}, Time{1}}});
  EXPECT_FALSE(apply(paused, job_event::Suspended{false}, Time{2}));
  const Job held = after(paused, {{job_event::Suspended{true}, Time{2}}});
  EXPECT_TRUE(std::get<phase::Suspended>(held.phase).by_operator);
  const Job again = after(held, {{job_event::Suspended{false}, Time{3}}});
  EXPECT_EQ(again.phase, paused.phase);
}

TEST(JobMachine, RequeuedJobWaitsAsIfItHadNeverRunButRemembersItsAttempt) {
  const Job job = after(job_in(phase::Waiting{}),
                        {{job_event::Eligible{}, Time{10}},
                         {job_event::Allocated{1, kAllocation}, Time{20}},
                         {job_event::Launched{}, Time{30}},
                         {job_event::Ended{1, {.kind = OutcomeKind::NodeFailed}, true}, Time{40}},
                         {job_event::Cleaned{1}, Time{50}}});
  EXPECT_EQ(job.phase, Phase(phase::Waiting{PendingReason::None}));
  EXPECT_EQ(job.attempt, 1U);
  EXPECT_FALSE(job.eligible || job.started || job.ended);
}

TEST(JobMachine, HoldOfARunningJobHoldsItWhenItIsRequeued) {
  const Job job = after(job_in(phase::Running{kAllocation, {}}),
                        {{job_event::Held{.by_operator = true}, Time{1}},
                         {job_event::Ended{1, {}, true}, Time{2}},
                         {job_event::Cleaned{1}, Time{3}}});
  EXPECT_TRUE(job.hold.by_operator);
  EXPECT_EQ(job.phase, Phase(phase::Waiting{PendingReason::JobHeldAdmin}));
}

TEST(JobMachine, BothHoldsMustBeReleased) {
  Job job = after(job_in(phase::Waiting{}), {{job_event::Held{false}, kAt},
                                             {job_event::Held{true}, kAt},
                                             {job_event::Released{true}, kAt}});
  EXPECT_EQ(job.phase, Phase(phase::Waiting{PendingReason::JobHeldUser}));
  job = after(job, {{job_event::Released{false}, kAt}});
  EXPECT_EQ(job.phase, Phase(phase::Waiting{PendingReason::None}));
  EXPECT_FALSE(job.hold.any());
}

TEST(JobMachine, FailedStartsAreCountedInARow) {
  const Outcome failed{.kind = OutcomeKind::LaunchFailed, .detail = "no image"};
  const Outcome lost{.kind = OutcomeKind::NodeFailed};
  Job job = job_in(phase::Waiting{});
  const auto start_and_end = [&](const Outcome& outcome, bool launched) {
    const Attempt attempt = job.attempt + 1;
    job = after(job, {{job_event::Allocated{attempt, kAllocation}, kAt}});
    if (launched) job = after(job, {{job_event::Launched{}, kAt}});
    job = after(
        job, {{job_event::Ended{attempt, outcome, true}, kAt}, {job_event::Cleaned{attempt}, kAt}});
  };
  start_and_end(failed, false);
  start_and_end(lost, false);  // says nothing about the job
  start_and_end(failed, false);
  EXPECT_EQ(job.launch_failures, 2U);
  EXPECT_EQ(job.phase, Phase(phase::Waiting{PendingReason::LaunchFailedRequeued}));
  start_and_end(lost, true);
  EXPECT_EQ(job.launch_failures, 0U);
}

TEST(JobMachine, HeldSubmissionWaitsHeld) {
  const Job job = make_job({JobId{1}}, {.owner = {}, .spec_digest = "d", .held = true},
                           std::make_shared<JobSpec>(), kAt);
  EXPECT_EQ(job.phase, Phase(phase::Waiting{PendingReason::JobHeldUser}));
  EXPECT_EQ(job.version, 1U);
}

}  // namespace
}  // namespace gangway
