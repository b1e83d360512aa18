#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

World one_node() {
  World world;
  world.start().node("n1", 1);
  return world;
}

wire::Request wait_for(std::uint64_t id) {
  wire::Request request;
  wire::to_wire(World::key(id), request.mutable_wait_for()->add_keys());
  return request;
}

std::string explanation(World& world, std::uint64_t id) {
  wire::Request request;
  wire::to_wire(World::key(id), request.mutable_explain()->add_keys());
  std::string out;
  const wire::Response response = world.ask(kAlice, request);
  for (const std::string& line : response.explained().lines()) {
    out += line + "\n";
  }
  return out;
}

TEST(ListJobs, ShowsWhatIsNotFinished) {
  World world = one_node();
  world.submit(job().name("first"));
  world.submit(job().name("second"), kBob);
  world.run_to_end(1);
  wire::Request request;
  request.mutable_list_jobs();
  wire::Response response = world.ask(kAlice, request);
  ASSERT_EQ(response.jobs().jobs_size(), 1);
  EXPECT_EQ(response.jobs().jobs(0).name(), "second");
  EXPECT_EQ(response.jobs().jobs(0).account(), "bob");
  request.mutable_list_jobs()->set_finished_too(true);
  EXPECT_EQ(world.ask(kAlice, request).jobs().jobs_size(), 2);
  request.mutable_list_jobs()->add_users("alice");
  EXPECT_EQ(world.ask(kAlice, request).jobs().jobs_size(), 1);
}

TEST(ListJobs, AnEndedJobKeepsItsNodesAndCores) {
  World world = one_node();
  world.submit(job());
  world.run_to_end(1);
  wire::Request request;
  request.mutable_list_jobs()->set_finished_too(true);
  const wire::Response response = world.ask(kAlice, request);
  const wire::JobView& view = response.jobs().jobs(0);
  ASSERT_EQ(view.state().allocation().shares_size(), 1);
  EXPECT_EQ(view.state().allocation().shares(0).node(), "n1");
  EXPECT_EQ(view.cores(), 1);
}

TEST(ListJobs, NamesThatWereNeverGivenAreAnError) {
  World world = one_node();
  world.submit(job());
  wire::Request request;
  wire::to_wire(World::key(99), request.mutable_list_jobs()->add_keys());
  EXPECT_EQ(world.ask(kAlice, request).error().message(), "there is no job 99");
  wire::to_wire(World::key(1), request.mutable_list_jobs()->add_keys());
  EXPECT_EQ(world.ask(kAlice, request).jobs().jobs_size(), 1);
  request.mutable_list_jobs()->clear_keys();
  request.mutable_list_jobs()->add_workflows(9);
  EXPECT_EQ(world.ask(kAlice, request).error().message(), "there is no workflow w9");
}

TEST(ListJobs, TellsWhyAJobWaits) {
  World world = one_node();
  world.submit(job());
  world.submit(job());
  world.submit(job());
  wire::Request request;
  request.mutable_list_jobs();
  const wire::Response response = world.ask(kAlice, request);
  EXPECT_EQ(response.jobs().jobs(1).state().reason(),
            static_cast<std::uint32_t>(PendingReason::Resources));
  EXPECT_EQ(response.jobs().jobs(2).state().reason(),
            static_cast<std::uint32_t>(PendingReason::Priority));
}

TEST(ListJobs, SaysSoWhenItIsCutShort) {
  World world = one_node();
  for (int i = 0; i < 3; ++i) world.submit(job());
  wire::Request request;
  request.mutable_list_jobs()->set_limit(2);
  const wire::Response response = world.ask(kAlice, request);
  EXPECT_EQ(response.jobs().jobs_size(), 2);
  EXPECT_TRUE(response.jobs().truncated());
}

TEST(ListJobs, LongListsComeInSeveralResponses) {
  World world = one_node();
  wire::Request submit;
  submit.mutable_submit()->set_key(world.fresh_key());
  for (int i = 0; i < 200; ++i) {
    JobSpec spec = job().spec();
    spec.comment = std::string(10'000, 'x');
    wire::to_wire(spec, submit.mutable_submit()->add_jobs()->mutable_spec());
  }
  EXPECT_FALSE(world.ask(kAlice, submit).has_error());
  wire::Request request;
  request.mutable_list_jobs();
  const auto stream = world.ask_later(kAlice, request);
  int jobs = 0;
  ASSERT_GT(world.answers(stream).size(), 1u);
  for (const auto& response : world.answers(stream)) jobs += response.jobs().jobs_size();
  EXPECT_EQ(jobs, 200);
  EXPECT_TRUE(world.answers(stream).front().more());
  EXPECT_FALSE(world.answers(stream).back().more());
}

TEST(WaitFor, IsAnsweredWhenTheJobHasEnded) {
  World world = one_node();
  world.submit(job());
  const auto stream = world.ask_later(kAlice, wait_for(1));
  EXPECT_TRUE(world.answers(stream).empty());
  world.run_to_end(1, failed(9));
  ASSERT_EQ(world.answers(stream).size(), 1u);
  const auto& result = world.answers(stream)[0].waited().results(0);
  EXPECT_EQ(result.outcome().exit_code(), 9);
  EXPECT_EQ(result.name(), "work");
}

TEST(WaitFor, KnowsJobsThatAreForgottenAndThoseThatNeverWere) {
  World world = one_node();
  world.submit(job());
  world.run_to_end(1, failed(9));
  world.restart();
  EXPECT_EQ(world.ask(kAlice, wait_for(1)).waited().results(0).outcome().exit_code(), 9);
  EXPECT_TRUE(world.ask(kAlice, wait_for(44)).waited().results(0).has_error());
}

TEST(WaitFor, AWholeWorkflow) {
  World world = one_node();
  world.submit_workflow({member("a"), member("b").needs_success("a")});
  wire::Request request;
  request.mutable_wait_for()->add_workflows(1);
  const auto stream = world.ask_later(kAlice, request);
  world.run_to_end(1);
  EXPECT_TRUE(world.answers(stream).empty());
  world.run_to_end(2);
  ASSERT_EQ(world.answers(stream).size(), 1u);
  EXPECT_EQ(world.answers(stream)[0].waited().results(1).member(), "b");
  world.restart();
  EXPECT_EQ(world.ask(kAlice, request).waited().results_size(), 2) << "from the store";
}

TEST(WaitFor, HasADeadline) {
  World world = one_node();
  world.submit(job());
  wire::Request request = wait_for(1);
  request.set_deadline_ms(5000);
  const auto stream = world.ask_later(kAlice, request);
  world.advance(seconds(5));
  ASSERT_EQ(world.answers(stream).size(), 1u);
  EXPECT_EQ(wire::from_wire(world.answers(stream)[0].error()).kind(), ErrorKind::Unavailable);
}

TEST(WaitFor, IsForgottenWithItsConnection) {
  World world = one_node();
  world.submit(job());
  const auto stream = world.ask_later(kAlice, wait_for(1));
  world.perform(world.controller->on_client_closed(world.client, world.now));
  world.run_to_end(1);
  EXPECT_TRUE(world.answers(stream).empty());
}

TEST(ListWorkflows, ShowsMembersAlsoOfFinishedOnes) {
  World world = one_node();
  world.submit_workflow({member("a"), member("b").needs_success("a")});
  wire::Request request;
  request.mutable_list_workflows();
  EXPECT_EQ(world.ask(kAlice, request).workflows().workflows(0).jobs_size(), 2);
  world.run_to_end(1);
  world.run_to_end(2);
  world.restart();
  EXPECT_EQ(world.ask(kAlice, request).workflows().workflows_size(), 0);
  request.mutable_list_workflows()->add_ids(1);
  EXPECT_EQ(world.ask(kAlice, request).workflows().workflows(0).jobs_size(), 2);
  request.mutable_list_workflows()->set_ids(0, 9);
  EXPECT_EQ(world.ask(kAlice, request).error().message(), "there is no workflow w9");
}

TEST(Explain, TellsRankPromiseAndWhatItWaitsFor) {
  World world = one_node();
  world.submit(job().limit(minutes(10)));
  world.run(1);
  world.submit(job().limit(minutes(1)));
  world.submit(job().limit(minutes(1)));
  const std::string next = explanation(world, 2);
  EXPECT_NE(next.find("job 2 (work) waits: Resources"), std::string::npos) << next;
  EXPECT_NE(next.find("place in line: 1"), std::string::npos) << next;
  EXPECT_NE(next.find("in 10:00"), std::string::npos) << next;
  EXPECT_NE(next.find("promised on n1"), std::string::npos) << next;
  EXPECT_NE(explanation(world, 3).find("in 11:00"), std::string::npos) << explanation(world, 3);
  EXPECT_EQ(explanation(world, 1), "job 1 (work) runs on n1 for 0:00\n");
}

TEST(Explain, TellsWhatItRestsOnAndWhatWouldBeSooner) {
  World world;
  world.start().node("n1", 4).node("n2", 4);
  world.submit(job().cores(4).limit(minutes(10)));
  world.run(1);
  world.submit(job().nodes(2).cores(4).limit(minutes(1)));
  wire::Request request;
  wire::to_wire(World::key(2), request.mutable_explain()->add_keys());
  const wire::Response response = world.ask(kAlice, request);
  ASSERT_EQ(response.explained().outlooks_size(), 1);
  const wire::Outlook& outlook = response.explained().outlooks(0);
  EXPECT_EQ(outlook.rests_on(), "when job 1 reaches its time limit");
  EXPECT_EQ(outlook.nodes_size(), 2);
  ASSERT_EQ(outlook.variants_size(), 1);
  EXPECT_EQ(outlook.variants(0).change(), "with 1 node instead of 2");
  const std::string lines = explanation(world, 2);
  EXPECT_NE(lines.find(", on n[1-2], when job 1 reaches its time limit\n"), std::string::npos)
      << lines;
  EXPECT_NE(lines.find("  with 1 node instead of 2 it would start at "), std::string::npos)
      << lines;
}

TEST(Explain, TellsHowAndWhereAJobEnded) {
  World world = one_node();
  world.submit(job());
  world.run_to_end(1, {.kind = OutcomeKind::Failed, .exit_code = 3, .signal = 0, .detail = ""});
  EXPECT_EQ(explanation(world, 1), "job 1 (work) has ended: FAILED with exit code 3, on n1\n");
}

TEST(Explain, TellsWhyAStartHasFailed) {
  World world = one_node();
  world.submit(job());
  world.finished("n1", 1,
                 {.kind = OutcomeKind::LaunchFailed,
                  .exit_code = 75,
                  .signal = 0,
                  .detail = "prepare on n1: disk full"});
  EXPECT_EQ(explanation(world, 1),
            "job 1 (work) waits: LaunchFailedRequeued\n"
            "  its start has failed 1 time; the next try is in 0:05\n"
            "  the last time: prepare on n1: disk full\n");
}

TEST(Explain, AJobThatWasNeverGivenIsAnError) {
  World world = one_node();
  wire::Request request;
  wire::to_wire(World::key(9), request.mutable_explain()->add_keys());
  EXPECT_EQ(world.ask(kAlice, request).error().message(), "there is no job 9");
}

TEST(Explain, TellsWhomADependentJobWaitsFor) {
  World world = one_node();
  world.submit(job());
  world.submit(job().after(DependencyKind::AfterOk, 1));
  EXPECT_EQ(explanation(world, 2),
            "job 2 (work) waits: Dependency\n"
            "  it waits for the success of job 1, which is Starting\n");
}

TEST(Ping, TellsWhoAnswers) {
  World world = one_node();
  wire::Request request;
  request.mutable_ping();
  const wire::Response response = world.ask(kAlice, request);
  EXPECT_EQ(response.pong().epoch(), 1u);
  EXPECT_EQ(response.pong().nodes_reached(), 1u);
}

}  // namespace
}  // namespace gangway::scheduler
