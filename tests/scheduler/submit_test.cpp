#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

World one_node() {
  World world;
  world.start().node("n1");
  return world;
}

TEST(Submit, GivesAnIdAndStoresTheJobInOneBatch) {
  World world = one_node();
  EXPECT_EQ(world.submit(job()), 1u);
  EXPECT_EQ(world.rows.count(World::key(1)), 1u);
  EXPECT_EQ(world.rows.at(World::key(1)).owner.user, "alice");
  EXPECT_EQ(world.specs.count(world.rows.at(World::key(1)).spec_digest), 1u);
  EXPECT_EQ(world.next_job, JobId{2});
}

TEST(Submit, ARepeatedKeyGivesTheSameIds) {
  World world = one_node();
  const std::string key = world.fresh_key();
  const wire::Response first = world.try_submit(job(), kAlice, key);
  const wire::Response second = world.try_submit(job(), kAlice, key);
  EXPECT_FALSE(first.submitted().repeated_key());
  EXPECT_TRUE(second.submitted().repeated_key());
  EXPECT_EQ(second.submitted().jobs(0), first.submitted().jobs(0));
  EXPECT_EQ(world.rows.size(), 1u);
}

TEST(Submit, KeysBelongToTheirUser) {
  World world = one_node();
  const std::string key = world.fresh_key();
  (void)world.try_submit(job(), kAlice, key);
  EXPECT_EQ(world.try_submit(job(), kBob, key).submitted().jobs(0), 2u);
}

TEST(Submit, AKeyIsRememberedOverARestart) {
  World world = one_node();
  const std::string key = world.fresh_key();
  (void)world.try_submit(job(), kAlice, key);
  world.restart();
  EXPECT_TRUE(world.try_submit(job(), kAlice, key).submitted().repeated_key());
}

TEST(Submit, EqualSpecsAreStoredOnce) {
  World world = one_node();
  world.submit(job());
  world.submit(job());
  EXPECT_EQ(world.specs.size(), 1u);
  EXPECT_EQ(world.get(1).spec, world.get(2).spec);
}

TEST(Submit, MoreNodesThanExistAreRefused) {
  World world = one_node();
  const wire::Response response = world.try_submit(job().nodes(5));
  EXPECT_EQ(wire::from_wire(response.error()).kind(), ErrorKind::Invalid);
  EXPECT_EQ(response.error().message(), "5 nodes asked, queue batch has 1");
  EXPECT_TRUE(world.rows.empty());
}

TEST(Submit, AnUnknownQueueIsRefusedWithAGuess) {
  World world = one_node();
  EXPECT_EQ(world.try_submit(job().queue("bach")).error().message(),
            "queue bach does not exist; did you mean batch?");
}

TEST(Submit, RootIsRefusedUnlessAllowed) {
  World world = one_node();
  EXPECT_EQ(wire::from_wire(world.try_submit(job(), 0).error()).kind(), ErrorKind::Denied);
  world.config.allow_root_jobs = true;
  world.restart().node("n1");
  EXPECT_FALSE(world.try_submit(job(), 0).has_error());
}

wire::Request request_of(World& world, const JobSpec& spec) {
  wire::Request request;
  request.mutable_submit()->set_key(world.fresh_key());
  wire::to_wire(spec, request.mutable_submit()->add_jobs()->mutable_spec());
  return request;
}

TEST(Submit, OnlyAnOperatorIsBeforeTheOthersByNice) {
  World world = one_node();
  JobSpec first = job().spec();
  first.nice = -1;
  for (int again = 0; again < 2; ++again) {
    EXPECT_FALSE(world.ask(kOlga, request_of(world, first)).has_error());
    const wire::Response refused = world.ask(kAlice, request_of(world, first));
    EXPECT_EQ(wire::from_wire(refused.error()).kind(), ErrorKind::Denied);
    EXPECT_EQ(refused.error().message(), "--nice: below 0 only an operator sets it");
  }
  JobSpec later = job().spec();
  later.nice = 1;
  EXPECT_FALSE(world.ask(kAlice, request_of(world, later)).has_error());
}

TEST(Submit, RequestsThatLookAlikeAreNotTakenForEachOther) {
  World world = one_node();  // of 8 GiB
  JobSpec fits = job().spec();
  fits.components[0].memory_per_node = gibibytes(8);
  for (int again = 0; again < 2; ++again) {
    EXPECT_FALSE(world.ask(kAlice, request_of(world, fits)).has_error());
  }
  JobSpec larger = fits;
  larger.components[0].memory_per_node.value += 1;
  EXPECT_TRUE(world.ask(kAlice, request_of(world, larger)).has_error());
}

TEST(Submit, MemoryThatNobodyAskedForHasABound) {
  World world;
  world.config.queues[0].default_memory_per_core = gibibytes(64 << 10);
  world.start().node("n1", 1'000'000);
  const wire::Response refused = world.try_submit(job().cores(1'000'000));
  EXPECT_TRUE(refused.error().message().starts_with("--mem is not given, and 1000000 cores"))
      << refused.error().message();
}

TEST(Submit, AQueuesLimitsHold) {
  World world;
  world.config.queues[0].default_limit = minutes(10);
  world.config.queues[0].max_limit = minutes(60);
  world.start().node("n1");
  EXPECT_TRUE(world.try_submit(job().limit(minutes(61))).has_error());
  const auto id = world.submit(job());
  EXPECT_EQ(world.get(id).spec->time_limit, minutes(10));
}

TEST(Submit, MemoryComesFromTheQueueIfNotAsked) {
  World world;
  world.config.queues[0].default_memory_per_core = mebibytes(100);
  world.start().node("n1");
  const auto id = world.submit(job().cores(3));
  EXPECT_EQ(world.get(id).allocation()->shares[0].resources.memory, mebibytes(300));
}

TEST(Submit, TestOnlyChecksAndAcceptsNothing) {
  World world = one_node();
  for (const int nodes : {1, 5}) {
    wire::Request request;
    request.mutable_submit()->set_key(world.fresh_key());
    request.mutable_submit()->set_test_only(true);
    wire::to_wire(job().nodes(nodes).spec(), request.mutable_submit()->add_jobs()->mutable_spec());
    const wire::Response response = world.ask(kAlice, request);
    EXPECT_EQ(response.has_error(), nodes == 5);
    if (response.has_error()) continue;
    // It says when the job would start.
    ASSERT_EQ(response.submitted().outlooks_size(), 1);
    EXPECT_EQ(response.submitted().outlooks(0).expected_start_ns(), world.now.wall.ns);
    EXPECT_EQ(response.submitted().outlooks(0).nodes_size(), 1);
  }
  EXPECT_TRUE(world.rows.empty());
}

// Three parts on one stream, as PROTOCOL.md 5 has it.
std::vector<wire::Request> parts_of(World& world, int spoilt = -1) {
  std::vector<wire::Request> parts(3);
  const std::string key = world.fresh_key();
  for (int i = 0; i < 3; ++i) {
    wire::Submit* const submit = parts[static_cast<std::size_t>(i)].mutable_submit();
    submit->set_key(key);
    submit->set_more(i < 2);
    wire::NewJob* const one = submit->add_jobs();
    wire::to_wire(job().spec(), one->mutable_spec());
    if (i == 0) one->mutable_spec()->add_env("A=1");
    if (i > 0) one->set_env_of(1);
    one->set_line(static_cast<std::uint32_t>(i) + 1);
    if (i == spoilt) one->mutable_spec()->set_queue("nowhere");
  }
  return parts;
}

TEST(Submit, PartsBecomeOneSubmissionAtTheLast) {
  World world = one_node();
  const auto parts = parts_of(world);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(world.rows.empty());
    world.perform(world.controller->on_client_request(
        world.client, {kAlice, kAlice, 1}, 9, parts[static_cast<std::size_t>(i)], world.now));
  }
  ASSERT_EQ(world.answers(9).size(), 1u);
  EXPECT_EQ(world.answers(9)[0].submitted().jobs_size(), 3);
  EXPECT_EQ(world.get(3).spec->env, std::vector<std::string>{"A=1"});
}

TEST(Submit, AnErrorInAPartIsAnsweredOnceAtTheEnd) {
  World world = one_node();
  for (const auto& part : parts_of(world, 1)) {
    world.perform(
        world.controller->on_client_request(world.client, {kAlice, kAlice, 1}, 9, part, world.now));
  }
  ASSERT_EQ(world.answers(9).size(), 1u);
  EXPECT_TRUE(world.answers(9)[0].error().message().starts_with("job number 2 (line 2): queue"))
      << world.answers(9)[0].error().message();
  EXPECT_TRUE(world.rows.empty());
}

TEST(Submit, TooManyInPartsAreRefusedAndTheirConnectionIsClosed) {
  World world = one_node();
  const auto begin = [&](io::PeerId peer, std::uint32_t stream) {
    const auto parts = parts_of(world);
    world.perform(world.controller->on_client_request(peer, {kAlice, kAlice, 1}, stream, parts[0],
                                                      world.now));
  };
  for (std::uint32_t stream = 1; stream <= 8; ++stream) begin(world.client, stream);
  EXPECT_TRUE(world.closed.empty());
  begin(world.client, 9);
  ASSERT_EQ(world.answers(9).size(), 1u);
  EXPECT_EQ(world.answers(9)[0].error().message(), "too many submissions are under way");
  EXPECT_EQ(world.closed, std::vector{world.client});
  // Of all peers together.
  for (std::uint64_t peer = 2; peer <= 32; ++peer) {
    for (std::uint32_t stream = 1; stream <= 8; ++stream) begin(io::PeerId{peer}, stream);
  }
  EXPECT_EQ(world.closed.size(), 1u);
  begin(io::PeerId{33}, 1);
  EXPECT_EQ(world.closed.back(), io::PeerId{33});
  // Those that have ended make room.
  world.perform(world.controller->on_client_closed(world.client, world.now));
  begin(io::PeerId{34}, 1);
  EXPECT_EQ(world.closed.back(), io::PeerId{33});
}

TEST(Submit, NamesInAWorkflowAreNames) {
  World world = one_node();
  const auto ask = [&](const auto& change) {
    wire::Request request = request_of(world, job().spec());
    wire::Submit* const submit = request.mutable_submit();
    submit->mutable_workflow()->set_name("flow");
    submit->mutable_jobs(0)->set_member("a");
    change(submit);
    return world.ask(kAlice, std::move(request)).error().message();
  };
  EXPECT_EQ(ask([](wire::Submit* s) { s->mutable_workflow()->set_name(std::string(256, 'x')); }),
            "workflow: its name is longer than 255 bytes");
  EXPECT_EQ(ask([](wire::Submit* s) {
              wire::CategoryLimit* const limit = s->mutable_workflow()->add_limits();
              limit->set_category("a\nb");
              limit->set_max_running(1);
            }),
            "category: its name has a control character");
  EXPECT_NE(ask([](wire::Submit* s) { s->mutable_jobs(0)->set_member("a\x1b"); }), "");
  EXPECT_NE(ask([](wire::Submit* s) { s->mutable_jobs(0)->set_category(std::string(256, 'x')); }),
            "");
  EXPECT_EQ(ask([](wire::Submit*) {}), "");
}

TEST(Submit, PartsOfAClosedConnectionLeaveNothingBehind) {
  World world = one_node();
  const auto parts = parts_of(world);
  world.perform(world.controller->on_client_request(world.client, {kAlice, kAlice, 1}, 9, parts[0],
                                                    world.now));
  world.perform(world.controller->on_client_closed(world.client, world.now));
  world.perform(world.controller->on_client_request(world.client, {kAlice, kAlice, 1}, 9, parts[2],
                                                    world.now));
  EXPECT_TRUE(world.answers(9)[0].has_error()) << "it shares with a job that nobody knows";
}

// The bytes of a job as a client sends them.
std::string bytes_of(const SpecBuilder& builder) {
  wire::NewJob message;
  wire::to_wire(builder.spec(), message.mutable_spec());
  return message.SerializeAsString();
}

// Whether the job is accepted by its bytes alone.
bool is_known(World& world, const SpecBuilder& builder, std::uint32_t uid = kAlice) {
  auto turn = world.controller->try_submit_known(world.client, {uid, uid, 1}, 5, world.fresh_key(),
                                                 bytes_of(builder), world.now);
  if (!turn) return false;
  world.perform(*std::move(turn));
  return true;
}

TEST(Submit, TheSameJobAgainIsAcceptedByItsBytes) {
  World world = one_node();
  EXPECT_FALSE(is_known(world, job()));
  world.submit(job());
  ASSERT_TRUE(is_known(world, job()));
  EXPECT_EQ(world.answers(5).back().submitted().jobs(0), 2u);
  EXPECT_EQ(world.get(2).spec, world.get(1).spec);
  EXPECT_EQ(world.rows.count(World::key(2)), 1u);
  EXPECT_EQ(world.specs.size(), 1u);
  EXPECT_FALSE(is_known(world, job().cores(2)));
}

TEST(Submit, WhatIsKnownOfAJobIsItsUsers) {
  World world = one_node();
  world.submit(job());
  EXPECT_FALSE(is_known(world, job(), kBob));
}

TEST(Submit, WhatIsKnownIsForgottenWhenTheNodesChange) {
  World world = one_node();
  world.submit(job());
  ASSERT_TRUE(is_known(world, job()));
  world.node("n2");
  EXPECT_FALSE(is_known(world, job()));
}

TEST(Submit, AJobWithADeadlineIsReadEachTime) {
  World world = one_node();
  const SpecBuilder urgent = job().deadline(world.now.wall + minutes(1));
  world.submit(urgent);
  EXPECT_FALSE(is_known(world, urgent));
}

TEST(Submit, AnArrayIsKnownByItsBytesToo) {
  World world = one_node();
  world.submit(job().array("0-9"));
  ASSERT_TRUE(is_known(world, job().array("0-9")));
  EXPECT_EQ(world.get(2).array->waiting.size(), 10u);
}

TEST(Submit, TheLastPartOfALargeSubmissionIsNoJobOfItsOwn) {
  World world = one_node();
  world.submit(job());
  const auto parts = parts_of(world);
  world.perform(world.controller->on_client_request(world.client, {kAlice, kAlice, 1}, 9, parts[0],
                                                    world.now));
  EXPECT_FALSE(world.controller->try_submit_known(world.client, {kAlice, kAlice, 1}, 9,
                                                  world.fresh_key(), bytes_of(job()), world.now));
}

TEST(Submit, ABurstOfSubmissionsMakesOnePass) {
  World world = one_node();
  for (int i = 0; i < 3; ++i) {
    wire::Request request;
    request.mutable_submit()->set_key(world.fresh_key());
    wire::to_wire(job().spec(), request.mutable_submit()->add_jobs()->mutable_spec());
    world.perform(world.controller->on_client_request(world.client, {kAlice, kAlice, 1}, 1,
                                                      std::move(request), world.now));
  }
  EXPECT_EQ(world.phase(1), "Waiting");
  world.settle();
  for (std::uint64_t id = 1; id <= 3; ++id) EXPECT_EQ(world.phase(id), "Starting");
}

}  // namespace
}  // namespace gangway::scheduler
