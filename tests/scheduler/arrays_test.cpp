// Arrays as the controller sees them: one record, elements that leave it one by one.
#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

World cluster(int cores = 4) {
  World world;
  world.start().node("n1", cores);
  return world;
}

const ArrayState& record(const World& world, std::uint64_t id) { return *world.get(id).array; }
bool has_row(const World& world, std::uint64_t id, std::uint32_t index) {
  return world.controller->state().find_job(World::key(id, index)) != nullptr;
}
void say_of(World& world,
            std::uint64_t id,
            std::uint32_t index,
            bool finished,
            const Outcome& how = {},
            Attempt attempt = 1) {
  wire::FromNode message;
  if (finished) {
    wire::to_wire(World::key(id, index), message.mutable_finished()->mutable_key());
    message.mutable_finished()->set_attempt(attempt);
    wire::to_wire(how, message.mutable_finished()->mutable_outcome());
  } else {
    wire::to_wire(World::key(id, index), message.mutable_prepared()->mutable_key());
    message.mutable_prepared()->set_attempt(attempt);
  }
  world.say("n1", std::move(message));
}
void run_element(World& world,
                 std::uint64_t id,
                 std::uint32_t index,
                 const Outcome& how = {},
                 Attempt attempt = 1) {
  say_of(world, id, index, false, {}, attempt);
  say_of(world, id, index, true, how, attempt);
}
wire::Response act_on_elements(World& world,
                               wire::Act::Verb verb,
                               std::uint64_t id,
                               const char* indexes) {
  wire::Request request;
  request.mutable_act()->set_verb(verb);
  wire::Elements* const some = request.mutable_act()->add_elements();
  some->set_job(id);
  wire::to_wire(*parse_index_list(indexes), some->mutable_indexes());
  return world.ask(kAlice, std::move(request));
}
std::size_t running(const World& world) {
  std::size_t count = 0;
  for (const auto& [key, job] : world.controller->state().jobs()) {
    count += job.is_element() && job.allocation() != nullptr ? 1 : 0;
  }
  return count;
}

TEST(Arrays, ElementsGetARowWhenTheyStart) {
  World world = cluster(4);
  world.submit(job().array("0-999999"));
  EXPECT_EQ(running(world), 4U);
  EXPECT_TRUE(has_row(world, 1, 3));
  EXPECT_FALSE(has_row(world, 1, 4));
  EXPECT_EQ(record(world, 1).waiting.size(), 999'996U);
  EXPECT_EQ(world.rows.size(), 5U);
}

TEST(Arrays, AnIndexThatTheArrayNeverHadDoesNotExistForAnyProgram) {
  World world = cluster(2);
  world.submit(job().array("1-2"));
  const auto expect_none = [&](const char* when) {
    wire::Request act, alter, explain;
    act.mutable_act()->set_verb(wire::Act::CANCEL);
    wire::to_wire(World::key(1, 77), act.mutable_act()->add_keys());
    alter.mutable_alter()->set_comment("x");
    wire::to_wire(World::key(1, 77), alter.mutable_alter()->add_keys());
    wire::to_wire(World::key(1, 77), explain.mutable_explain()->add_keys());
    const std::string none = "there is no job 1_77: array 1 has 1-2";
    EXPECT_EQ(world.ask(kAlice, act).acted().results(0).error().message(), none) << when;
    EXPECT_EQ(world.ask(kAlice, alter).acted().results(0).error().message(), none) << when;
    EXPECT_EQ(world.ask(kAlice, explain).error().message(), none) << when;
  };
  expect_none("while it runs");
  run_element(world, 1, 1);
  run_element(world, 1, 2);
  expect_none("when it has ended");
}

TEST(Arrays, TheNextElementStartsWhenOneEnds) {
  World world = cluster(2);
  world.submit(job().array("1-4"));
  run_element(world, 1, 1);
  EXPECT_TRUE(has_row(world, 1, 3));
  for (std::uint32_t index = 2; index <= 4; ++index) run_element(world, 1, index);
  EXPECT_TRUE(world.get(1).is_finished());
  EXPECT_EQ(world.end(1), OutcomeKind::Completed);
}

TEST(Arrays, NoMoreRunAtOnceThanTheThrottleAllows) {
  World world = cluster(8);
  world.submit(job().array("0-9%3"));
  EXPECT_EQ(running(world), 3U);
  EXPECT_EQ(world.reason(1), PendingReason::JobArrayTaskLimit);
  run_element(world, 1, 0);
  EXPECT_EQ(running(world), 3U);
}

TEST(Arrays, AJobBehindOneGetsNothingThatItsElementsCouldUse) {
  World world = cluster(8);
  world.submit(job().cores(8));  // holds the node while the others come
  world.submit(job().array("0-99"));
  world.submit(job());
  world.run_to_end(1);
  EXPECT_EQ(running(world), 8U);
  EXPECT_EQ(world.phase(3), "Waiting");
}

TEST(Arrays, EndAsTheFirstElementThatFailed) {
  World world = cluster(4);
  world.submit(job().array("5-8"));
  world.submit(job().after(DependencyKind::AfterOk, 1).kill_on_invalid());
  run_element(world, 1, 7, failed(7));
  run_element(world, 1, 6, failed(6));
  run_element(world, 1, 5);
  EXPECT_FALSE(world.get(1).is_finished());
  run_element(world, 1, 8);
  EXPECT_EQ(world.get(1).outcome()->exit_code, 6);
  EXPECT_EQ(world.end(2), OutcomeKind::Cancelled);
}

TEST(Arrays, AreCancelledWithThoseThatRunAndThoseThatWait) {
  World world = cluster(2);
  world.submit(job().array("0-99999"));
  EXPECT_EQ(world.cancel(1), "");
  EXPECT_EQ(record(world, 1).dropped.size(), 99'998U);
  EXPECT_EQ(world.rows.size(), 3U);
  run_element(world, 1, 0, outcome(OutcomeKind::Cancelled));
  say_of(world, 1, 1, true, outcome(OutcomeKind::Cancelled));
  EXPECT_EQ(world.end(1), OutcomeKind::Cancelled);
}

TEST(Arrays, ARangeIsCancelledWithoutRows) {
  World world = cluster(1);
  world.submit(job().array("0-9"));
  const wire::Response answer = act_on_elements(world, wire::Act::CANCEL, 1, "5-7");
  EXPECT_FALSE(answer.acted().results(0).has_error());
  EXPECT_EQ(record(world, 1).dropped.size(), 3U);
  EXPECT_EQ(record(world, 1).waiting.size(), 6U);
  EXPECT_EQ(act_on_elements(world, wire::Act::CANCEL, 1, "20").acted().results(0).error().message(),
            "array 1 has no element 20; it has 0-9");
}

TEST(Arrays, AnElementThatIsHeldLetsTheOthersPass) {
  World world = cluster(1);
  world.submit(job().array("0-2"));
  EXPECT_FALSE(act_on_elements(world, wire::Act::HOLD, 1, "1").acted().results(0).has_error());
  run_element(world, 1, 0);
  EXPECT_TRUE(has_row(world, 1, 2));
  EXPECT_EQ(world.controller->reason_of(World::key(1, 1)), PendingReason::JobHeldUser);
  run_element(world, 1, 2);
  EXPECT_FALSE(world.get(1).is_finished());
  (void)act_on_elements(world, wire::Act::RELEASE, 1, "1");
  run_element(world, 1, 1);
  EXPECT_TRUE(world.get(1).is_finished());
}

TEST(Arrays, HeldAsAWholeAndReleased) {
  World world = cluster(4);
  world.submit(job().array("0-2").held());
  EXPECT_EQ(running(world), 0U);
  (void)world.act(wire::Act::RELEASE, 1);
  EXPECT_EQ(running(world), 3U);
}

TEST(Arrays, SurviveARestart) {
  World world = cluster(2);
  world.submit(job().array("0-5%2"));
  say_of(world, 1, 0, false);
  world.restart();
  EXPECT_EQ(running(world), 2U);
  EXPECT_EQ(record(world, 1).waiting.size(), 4U);
  world.connect("n1");
  wire::FromNode message;
  wire::Register* const r = message.mutable_register_();
  r->set_node("n1");
  r->mutable_capacity()->set_cores(2);
  r->mutable_capacity()->set_memory_bytes(gibibytes(8).value);
  r->set_boot_id("boot-1");
  for (const std::uint32_t index : {0U, 1U}) {
    wire::HeldAttempt* const h = r->add_attempts();
    wire::to_wire(World::key(1, index), h->mutable_key());
    h->set_attempt(1);
    h->set_state(index == 0 ? wire::HeldAttempt::RUNNING : wire::HeldAttempt::PREPARING);
  }
  world.say("n1", std::move(message));
  say_of(world, 1, 0, true);
  EXPECT_TRUE(has_row(world, 1, 2));
  EXPECT_EQ(running(world), 2U);
}

TEST(Arrays, AfterCorrRunsEachElementBehindItsOwn) {
  World world = cluster(2);
  world.submit(job().array("1-3"));
  world.submit(job().array("1-3").after(DependencyKind::AfterCorr, 1));
  EXPECT_EQ(world.reason(2), PendingReason::Dependency);
  run_element(world, 1, 2);
  run_element(world, 1, 1, failed(1));
  // 1_3 has one core; 2_2 has the other, 2_1 never comes.
  EXPECT_TRUE(has_row(world, 2, 2));
  EXPECT_FALSE(has_row(world, 2, 1));
  run_element(world, 1, 3);
  EXPECT_TRUE(has_row(world, 2, 3));
  run_element(world, 2, 2);
  run_element(world, 2, 3);
  EXPECT_EQ(world.reason(2), PendingReason::DependencyNeverSatisfied);
}

TEST(Arrays, AfterCorrOnAnArrayWithoutTheElementIsRefused) {
  World world = cluster();
  world.submit(job().array("1-3").held());
  EXPECT_EQ(
      world.try_submit(job().array("2-5").after(DependencyKind::AfterCorr, 1)).error().message(),
      "--dependency=aftercorr: array 1 has no elements 4-5");
}

TEST(Arrays, OneElementIsWaitedForByItsName) {
  World world = cluster(1);
  world.submit(job().array("0-3"));
  wire::Request request;
  wire::to_wire(World::key(1, 2), request.mutable_wait_for()->add_keys());
  const std::uint32_t stream = world.ask_later(kAlice, std::move(request));
  SpecBuilder after = job();
  JobSpec spec = after.spec();
  wire::Request submission;
  submission.mutable_submit()->set_key(world.fresh_key());
  spec.dependencies.push_back(
      {.kind = DependencyKind::AfterAny, .on = JobId{1}, .delay = {}, .index = 2});
  wire::to_wire(spec, submission.mutable_submit()->add_jobs()->mutable_spec());
  EXPECT_FALSE(world.ask(kAlice, std::move(submission)).has_error());
  EXPECT_TRUE(world.answers(stream).empty());
  (void)act_on_elements(world, wire::Act::CANCEL, 1, "2-3");
  ASSERT_EQ(world.answers(stream).size(), 1U);
  EXPECT_EQ(wire::from_wire(world.answers(stream)[0].waited().results(0).outcome())->kind,
            OutcomeKind::Cancelled);
  EXPECT_NE(world.reason(2), PendingReason::Dependency);
}

TEST(Arrays, InAWorkflowTheNextMemberWaitsForAllElements) {
  World world = cluster(2);
  world.submit_workflow(
      {member("each", job().array("0-1")), member("after").needs_success("each")});
  run_element(world, 1, 0);
  EXPECT_EQ(world.phase(2), "Waiting");
  run_element(world, 1, 1);
  EXPECT_EQ(world.phase(2), "Starting");
  world.run_to_end(2);
  EXPECT_TRUE(world.workflow_rows.begin()->second.ended);
}

TEST(Dependency, OneOfSeveralIsEnoughWithAQuestionMark) {
  World world = cluster(4);
  world.submit(job());
  world.submit(job());
  world.submit(job().after(DependencyKind::AfterOk, 1).after(DependencyKind::AfterOk, 2).any());
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.reason(3), PendingReason::Dependency);
  world.run_to_end(2);
  EXPECT_EQ(world.phase(3), "Starting");
}

TEST(Dependency, NeverComesWhenNoAlternativeCan) {
  World world = cluster(4);
  world.submit(job());
  world.submit(job());
  world.submit(job().after(DependencyKind::AfterOk, 1).after(DependencyKind::AfterOk, 2).any());
  world.run_to_end(1, failed(1));
  world.run_to_end(2, failed(1));
  EXPECT_EQ(world.reason(3), PendingReason::DependencyNeverSatisfied);
}

wire::Response submit_spec(World& world, const JobSpec& spec) {
  wire::Request request;
  request.mutable_submit()->set_key(world.fresh_key());
  wire::to_wire(spec, request.mutable_submit()->add_jobs()->mutable_spec());
  return world.ask(kAlice, std::move(request));
}

TEST(Dependency, AnElementThatIsStillInItsRecordIsAnAlternative) {
  World world = cluster(1);
  world.submit(job());
  world.submit(job().array("0-3"));
  world.run_to_end(1, failed(1));
  JobSpec spec = job().after(DependencyKind::AfterOk, 1).any().spec();
  spec.dependencies.push_back(
      {.kind = DependencyKind::AfterOk, .on = JobId{2}, .delay = {}, .index = 3});
  ASSERT_FALSE(submit_spec(world, spec).has_error());
  EXPECT_EQ(world.reason(3), PendingReason::Dependency);
  for (const std::uint32_t index : {0U, 1U, 2U, 3U}) run_element(world, 2, index);
  EXPECT_EQ(world.phase(3), "Starting");
}

TEST(Dependency, AnElementOnItsOwnHasNoMoreAlternativesThanItsArray) {
  World world = cluster(1);
  world.submit(job());
  world.submit(job().held());
  world.submit(
      job().array("0-3").after(DependencyKind::AfterOk, 1).after(DependencyKind::AfterOk, 2).any());
  world.run_to_end(1, failed(1));
  (void)act_on_elements(world, wire::Act::HOLD, 3, "1");
  (void)act_on_elements(world, wire::Act::RELEASE, 3, "1");
  const auto reason = [&] { return world.controller->reason_of(World::key(3, 1)); };
  EXPECT_EQ(reason(), PendingReason::Dependency);
  EXPECT_EQ(world.cancel(2), "");
  EXPECT_EQ(reason(), PendingReason::DependencyNeverSatisfied);
}

TEST(Deadline, EndsAJobThatCouldNotStart) {
  World world = cluster(1);
  world.submit(job());
  world.submit(job().deadline(world.now.wall + seconds(60)));
  world.run(1);
  world.live(seconds(61));
  EXPECT_EQ(world.end(2), OutcomeKind::Cancelled);
  EXPECT_EQ(world.detail(2), "its deadline came before it could start");
}

TEST(Deadline, IsTheLimitOfAJobThatRuns) {
  World world = cluster(1);
  world.submit(job().limit(hours(2)).deadline(world.now.wall + seconds(60)));
  const wire::ToNode& sent = world.last_sent("n1", wire::ToNode::kPrepare);
  EXPECT_EQ(sent.prepare().spec().time_limit_ns(), seconds(60).ns);
}

TEST(Retry, AFailureRunsAgainAfterAPauseThatIsDoubled) {
  World world = cluster(1);
  world.submit(job().retries(2, seconds(10)));
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.reason(1), PendingReason::RetryBackoff);
  world.live(seconds(11));
  world.run_to_end(1, failed(1));
  world.live(seconds(11));
  EXPECT_EQ(world.reason(1), PendingReason::RetryBackoff);
  world.live(seconds(10));
  world.run_to_end(1, failed(1));
  EXPECT_EQ(world.end(1), OutcomeKind::Failed);
  EXPECT_EQ(world.get(1).attempt, 3U);
}

TEST(Mail, IsSentAtTheOccasionsThatWereAskedFor) {
  World world = cluster(1);
  world.submit(job().mail({.begin = true, .fail = true, .user = "ann@example.org"}));
  world.run_to_end(1, failed(3));
  ASSERT_EQ(world.mails.size(), 2U);
  EXPECT_TRUE(world.mails[0].starts_with("ann@example.org: Gangway Job_id=1 Name=work Began"));
  EXPECT_TRUE(world.mails[1].ends_with("FAILED, ExitCode 3")) << world.mails[1];
}

wire::Response alter(World& world,
                     std::uint64_t id,
                     const std::function<void(wire::Alter&)>& what,
                     std::uint32_t uid = kAlice) {
  wire::Request request;
  wire::to_wire(World::key(id), request.mutable_alter()->add_keys());
  what(*request.mutable_alter());
  return world.ask(uid, std::move(request));
}

TEST(Alter, AWaitingJobAsksForLessAndStarts) {
  World world = cluster(4);
  world.submit(job().cores(3));
  world.submit(job().cores(2));
  const auto answer = alter(world, 2, [](wire::Alter& a) { a.set_cpus_per_task(1); });
  EXPECT_FALSE(answer.acted().results(0).has_error())
      << answer.acted().results(0).error().message();
  EXPECT_EQ(world.phase(2), "Starting");
  EXPECT_NE(world.get(1).spec_digest, world.get(2).spec_digest);
}

TEST(Alter, IsCheckedAsASubmission) {
  World world = cluster(4);
  world.submit(job().held());
  EXPECT_NE(
      alter(world, 1, [](wire::Alter& a) { a.set_nodes(50); }).acted().results(0).error().message(),
      "");
  EXPECT_EQ(alter(
                world, 1, [](wire::Alter& a) { a.set_nodes(1); }, kBob)
                .acted()
                .results(0)
                .error()
                .message(),
            "job 1 is alice's");
  EXPECT_EQ(
      alter(world, 1, [](wire::Alter& a) { a.set_nice(-5); }).acted().results(0).error().message(),
      "nice: below 0 only an operator sets it");
}

TEST(Alter, DependenciesAreNotedAnewAndMakeNoCycle) {
  World world = cluster(1);
  world.submit(job().held());
  world.submit(job().after(DependencyKind::AfterOk, 1));
  const auto depend_on_2 = [](wire::Alter& a) {
    a.set_set_dependencies(true);
    wire::to_wire(Dependency{.kind = DependencyKind::AfterOk, .on = JobId{2}},
                  a.add_dependencies());
  };
  EXPECT_EQ(alter(world, 1, depend_on_2).acted().results(0).error().message(),
            "dependency: job 1 would wait for itself");
  (void)alter(world, 2, [](wire::Alter& a) { a.set_set_dependencies(true); });
  EXPECT_EQ(world.phase(2), "Starting");
}

void depend_on(wire::Alter& alter, std::uint64_t on) {
  alter.set_set_dependencies(true);
  wire::to_wire(Dependency{.kind = DependencyKind::AfterOk, .on = JobId{on}},
                alter.add_dependencies());
}

TEST(Alter, ACycleIsSeenThroughArraysToo) {
  World world = cluster(1);
  world.submit(job().array("0-3").held());
  world.submit(job().array("0-3").after(DependencyKind::AfterCorr, 1));
  const auto answer = alter(world, 1, [](wire::Alter& a) { depend_on(a, 2); });
  EXPECT_EQ(answer.acted().results(0).error().message(), "dependency: job 1 would wait for itself");
  // An element that waits by itself waits for what it was told.
  world.submit(job().held());
  world.submit(job().array("0-3").after(DependencyKind::AfterOk, 3));
  (void)act_on_elements(world, wire::Act::HOLD, 4, "1");
  (void)alter(world, 4, [](wire::Alter& a) { a.set_set_dependencies(true); });
  EXPECT_EQ(
      alter(world, 3, [](wire::Alter& a) { depend_on(a, 4); }).acted().results(0).error().message(),
      "dependency: job 3 would wait for itself");
}

TEST(Alter, AnElementWhoseDeadlineHasPassedIsAConflict) {
  World world = cluster(1);
  world.submit(job().array("0-3").deadline(world.now.wall + seconds(10)).held());
  world.now.wall = world.now.wall + seconds(20);  // and no timer has come yet
  wire::Request request;
  wire::to_wire(World::key(1, 2), request.mutable_alter()->add_keys());
  request.mutable_alter()->set_deadline_ns(0);
  const wire::Response answer = world.ask(kAlice, std::move(request));
  ASSERT_EQ(answer.acted().results_size(), 1);
  EXPECT_EQ(wire::from_wire(answer.acted().results(0).error()).kind(), ErrorKind::Conflict);
}

TEST(Alter, WhatARequeuedJobWasToldToWaitForIsKnownAfterARestart) {
  World world = cluster(1);
  world.submit(job());
  world.run(1);
  (void)world.act(wire::Act::HOLD, 1);
  (void)world.act(wire::Act::REQUEUE, 1);
  world.finished("n1", 1);
  ASSERT_EQ(world.reason(1), PendingReason::JobHeldUser);
  world.submit(job().held());
  ASSERT_FALSE(
      alter(world, 1, [](wire::Alter& a) { depend_on(a, 2); }).acted().results(0).has_error());
  (void)world.act(wire::Act::RELEASE, 1);
  EXPECT_EQ(world.reason(1), PendingReason::Dependency);
  world.restart().node("n1", 1);
  EXPECT_EQ(world.reason(1), PendingReason::Dependency);
  (void)world.act(wire::Act::RELEASE, 2);
  world.run_to_end(2);
  EXPECT_EQ(world.phase(1), "Starting");
}

TEST(Arrays, OneEventSaysWhichElementsCannotRunAnyMore) {
  World world = cluster(1);
  world.submit(job().array("0-999").held());
  world.submit(job().array("0-999").after(DependencyKind::AfterCorr, 1).kill_on_invalid());
  EXPECT_EQ(world.cancel(1), "");
  EXPECT_EQ(record(world, 2).dropped.size(), 1000U);
  EXPECT_TRUE(world.get(2).is_finished());
  EXPECT_EQ(world.detail(2), "its dependency cannot be met: needs 1_[0-999] to succeed");
  const auto drops = std::ranges::count_if(world.events, [](const Event& event) {
    const auto* const of_job = std::get_if<Event::OfJob>(&event.subject);
    return of_job != nullptr && std::holds_alternative<job_event::Dropped>(of_job->what);
  });
  EXPECT_EQ(drops, 2);
}

// Each needs the one before it, element by element: as deep as a recursion would be.
TEST(Arrays, ALongChainOfThemIsFollowedInALoop) {
  constexpr int kLength = 20'000;
  World world = cluster(1);
  wire::Request request;
  wire::Submit* const submission = request.mutable_submit();
  submission->set_key(world.fresh_key());
  submission->mutable_workflow()->set_name("flow");
  for (int i = 0; i < kLength; ++i) {
    wire::NewJob* const one = submission->add_jobs();
    wire::to_wire(job().array("0-1").spec(), one->mutable_spec());
    one->set_member(cat("m", i));
    if (i == 0) continue;
    wire::Need* const need = one->add_needs();
    need->set_member(cat("m", i - 1));
    need->set_outcome(static_cast<std::uint32_t>(NeedOutcome::Each));
  }
  ASSERT_FALSE(world.ask(kAlice, std::move(request)).has_error());
  run_element(world, 1, 0, failed(1));
  EXPECT_EQ(record(world, kLength).dropped.size(), 1U);
}

wire::Response resume(World& world, std::uint64_t workflow) {
  wire::Request request;
  request.mutable_resume_workflow()->set_workflow(workflow);
  request.mutable_resume_workflow()->set_key(world.fresh_key());
  return world.ask(kAlice, std::move(request));
}

TEST(Resume, RunsWhatHasNotSucceededAndNothingElse) {
  World world = cluster(4);
  world.submit_workflow(
      {member("a"), member("b").needs_success("a"), member("c").needs_success("b")});
  world.run_to_end(1);
  world.run_to_end(2, failed(1));
  ASSERT_TRUE(world.workflow_rows.begin()->second.ended);
  const wire::Response answer = resume(world, 1);
  ASSERT_FALSE(answer.has_error()) << answer.error().message();
  EXPECT_EQ(answer.submitted().jobs_size(), 2);
  EXPECT_EQ(world.workflow_rows.begin()->second.generation, 2U);
  EXPECT_EQ(world.phase(4), "Starting");  // b again
  world.run_to_end(4);
  world.run_to_end(5);
  EXPECT_TRUE(world.workflow_rows.begin()->second.ended);
  EXPECT_EQ(resume(world, 1).error().message(), "of workflow w1 no job has failed");
}

TEST(Resume, OfAnArrayOnlyWhatHasFailedRunsAgainAlsoAfterARestart) {
  World world = cluster(4);
  world.submit_workflow({member("each", job().array("0-3")), member("last").needs_success("each")});
  for (const std::uint32_t index : {0U, 1U, 3U}) run_element(world, 1, index);
  run_element(world, 1, 2, failed(1));
  world.restart().node("n1", 4);
  ASSERT_FALSE(resume(world, 1).has_error());
  EXPECT_TRUE(has_row(world, 3, 2));
  EXPECT_EQ(record(world, 3).waiting.size(), 0U);
  run_element(world, 3, 2);
  EXPECT_EQ(world.phase(4), "Starting");
}

// A workflow without jobs yet, of whose category "io" one may run.
wire::Request flow_with_one_io(World& world) {
  wire::Request request;
  wire::Submit* const submission = request.mutable_submit();
  submission->set_key(world.fresh_key());
  submission->mutable_workflow()->set_name("flow");
  wire::CategoryLimit* const limit = submission->mutable_workflow()->add_limits();
  limit->set_category("io");
  limit->set_max_running(1);
  return request;
}

TEST(Category, OnlySoManyOfItsJobsRunAtOnce) {
  World world = cluster(4);
  wire::Request request = flow_with_one_io(world);
  wire::Submit* const submission = request.mutable_submit();
  for (const char* const name : {"a", "b", "c"}) {
    wire::NewJob* const one = submission->add_jobs();
    wire::to_wire(job().spec(), one->mutable_spec());
    one->set_member(name);
    if (name[0] != 'c') one->set_category("io");
  }
  ASSERT_FALSE(world.ask(kAlice, std::move(request)).has_error());
  EXPECT_EQ(world.phase(1), "Starting");
  EXPECT_EQ(world.reason(2), PendingReason::ThrottledByCategory);
  EXPECT_EQ(world.phase(3), "Starting");
  world.run_to_end(1);
  EXPECT_EQ(world.phase(2), "Starting");
}

TEST(Category, AnArrayKeepsItsTurnWhileElementsRun) {
  World world = cluster(4);
  wire::Request request = flow_with_one_io(world);
  wire::Submit* const submission = request.mutable_submit();
  for (const char* const name : {"a", "b"}) {
    wire::NewJob* const one = submission->add_jobs();
    wire::to_wire(name[0] == 'a' ? job().array("0-9").spec() : job().spec(), one->mutable_spec());
    one->set_member(name);
    one->set_category("io");
  }
  ASSERT_FALSE(world.ask(kAlice, std::move(request)).has_error());
  ASSERT_EQ(running(world), 4U);
  for (const std::uint32_t index : {0U, 1U, 2U, 3U}) say_of(world, 1, index, false);
  (void)world.act(wire::Act::HOLD, 1);
  EXPECT_EQ(world.reason(2), PendingReason::ThrottledByCategory);
  world.restart();
  EXPECT_EQ(world.reason(2), PendingReason::ThrottledByCategory);
  world.connect("n1");
  wire::FromNode message;
  wire::Register* const r = message.mutable_register_();
  r->set_node("n1");
  r->mutable_capacity()->set_cores(4);
  r->mutable_capacity()->set_memory_bytes(gibibytes(8).value);
  r->set_boot_id("boot-1");
  r->set_address("n1.example");
  for (const std::uint32_t index : {0U, 1U, 2U, 3U}) {
    wire::HeldAttempt* const held = r->add_attempts();
    wire::to_wire(World::key(1, index), held->mutable_key());
    held->set_attempt(1);
    held->set_state(wire::HeldAttempt::RUNNING);
  }
  world.say("n1", std::move(message));
  for (const std::uint32_t index : {0U, 1U, 2U}) {
    say_of(world, 1, index, true);
    EXPECT_EQ(world.reason(2), PendingReason::ThrottledByCategory);
  }
  say_of(world, 1, 3, true);
  EXPECT_EQ(world.phase(2), "Starting");
}

}  // namespace
}  // namespace gangway::scheduler
