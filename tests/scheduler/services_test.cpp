// Services through the controller: replicas are jobs of the queue, follow their plan, and leave in
// order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scheduler/controller_world.hpp"

namespace gangway::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ServiceSpec web(std::int32_t replicas, const std::string& image = "web:1") {
  ServiceSpec spec;
  spec.name = "web";
  spec.replicas = replicas;
  spec.replica.labels = {{"app", "web"}};
  spec.replica.image = image;
  spec.replica.ports = {{.name = "http", .port = 0}};
  return spec;
}

Endpoint front_of_web(Endpoint::Reach reach = Endpoint::Reach::LoadBalancer) {
  return {.name = "front",
          .labels = {},
          .selector = {{"app", "web"}},
          .reach = reach,
          .ports = {{.name = "http", .port = 80, .target = "http"}}};
}

class Services : public testing::Test {
 protected:
  static wire::Request request_of(const ServiceSpec& spec,
                                  const std::vector<Endpoint>& endpoints = {}) {
    wire::Request request;
    wire::SubmitServices* const set = request.mutable_submit_services();
    wire::NewService* const one = set->add_services();
    wire::to_wire(spec, one->mutable_spec());
    JobSpec job = scheduler::job().spec();
    job.argv = {"serve", spec.replica.image};
    wire::to_wire(job, one->mutable_job());
    for (const Endpoint& endpoint : endpoints) wire::to_wire(endpoint, set->add_endpoints());
    return request;
  }
  // "" if it was taken.
  std::string try_apply(const ServiceSpec& spec,
                        const std::vector<Endpoint>& endpoints = {},
                        std::uint32_t uid = kAlice) {
    return world_.ask(uid, request_of(spec, endpoints)).error().message();
  }
  void apply(const ServiceSpec& spec, const std::vector<Endpoint>& endpoints = {}) {
    ASSERT_EQ(try_apply(spec, endpoints), "");
  }
  std::string command(wire::ServiceCommand::Verb verb,
                      std::int64_t number = 0,
                      std::uint32_t uid = kAlice) {
    wire::Request request;
    wire::ServiceCommand& command = *request.mutable_service_command();
    command.set_verb(verb);
    command.set_name("web");
    if (uid != kAlice) command.set_user("alice");
    command.set_replicas(static_cast<std::int32_t>(number));
    command.set_revision(number);
    return world_.ask(uid, std::move(request)).error().message();
  }

  [[nodiscard]] const Service* find() const {
    return world_.controller->state().find_service({kAlice, "web"});
  }
  [[nodiscard]] std::vector<std::uint64_t> jobs(ReplicaPhase phase) const {
    std::vector<std::uint64_t> out;
    if (find() == nullptr) return out;
    for (const ServiceReplica& replica : find()->replicas) {
      if (replica.phase == phase) out.push_back(replica.job.value);
    }
    return out;
  }
  // Every replica that has a node starts; with `well` those with probes become ready.
  void run_all(bool well = true) {
    for (const std::uint64_t id : jobs(ReplicaPhase::Starting)) {
      if (world_.phase(id) == "Starting") world_.run(id);
      if (well && find()->spec.replica.readiness) say_health(id, true);
    }
  }
  // Those that were told to end have.
  void end_all() {
    for (const std::uint64_t id : jobs(ReplicaPhase::Stopping)) {
      world_.finished(node_of(id).c_str(), id, outcome(OutcomeKind::Cancelled),
                      world_.get(id).attempt);
    }
  }
  void settle(int turns = 20) {
    for (int i = 0; i < turns; ++i) {
      run_all();
      end_all();
      world_.live(seconds(1));
    }
  }
  [[nodiscard]] std::string node_of(std::uint64_t id) const {
    return world_.get(id).allocation()->shares.front().node.value;
  }
  void say_health(std::uint64_t id, bool ready, bool alive = true, const std::string& note = "") {
    wire::FromNode message;
    wire::to_wire(World::key(id), message.mutable_health()->mutable_key());
    message.mutable_health()->set_attempt(world_.get(id).attempt);
    message.mutable_health()->set_ready(ready);
    message.mutable_health()->set_alive(alive);
    message.mutable_health()->set_note(note);
    world_.say(node_of(id).c_str(), std::move(message));
  }
  std::uint32_t subscribe() {
    wire::Request request;
    request.mutable_subscribe_routes();
    return world_.ask_later(kOlga, std::move(request));
  }
  // "2 up, 1 drains" behind the first route, as the balancer was told last.
  std::string backends(std::uint32_t stream) {
    const auto& answers = world_.answers(stream);
    if (answers.empty() || answers.back().routes().routes_size() == 0) return "no route";
    int up = 0;
    int drains = 0;
    for (const wire::RouteBackend& backend : answers.back().routes().routes(0).backends()) {
      (backend.drain() ? drains : up) += 1;
    }
    return drains == 0 ? cat(up, " up") : cat(up, " up, ", drains, " drains");
  }
  void confirm(const std::vector<std::uint64_t>& drained) {
    wire::Request request;
    request.mutable_confirm_routes();
    for (const std::uint64_t id : drained) request.mutable_confirm_routes()->add_drained(id);
    EXPECT_FALSE(world_.ask(kOlga, std::move(request)).has_error());
  }

  World world_;
};

TEST_F(Services, ReplicasAreJobsOfTheirOwnersAndNamedAfterServiceRevisionAndNumber) {
  world_.start().nodes(3);
  apply(web(3));
  ASSERT_EQ(jobs(ReplicaPhase::Starting).size(), 3u);
  const Job& first = world_.get(jobs(ReplicaPhase::Starting).front());
  EXPECT_EQ(first.spec->name, "web-1-1");
  EXPECT_EQ(first.spec->kind, JobKind::Service);
  EXPECT_EQ(first.owner.user, "alice");
  EXPECT_EQ(first.spec->time_limit, std::nullopt);
  settle(2);
  EXPECT_EQ(jobs(ReplicaPhase::Ready).size(), 3u);
}

TEST_F(Services, ReplicasThatDoNotFitWaitInTheQueueLikeOtherJobs) {
  world_.start().nodes(1, 2);
  apply(web(3));
  EXPECT_EQ(jobs(ReplicaPhase::Starting).size(), 2u);
  ASSERT_EQ(jobs(ReplicaPhase::Waiting).size(), 1u);
  EXPECT_EQ(world_.reason(jobs(ReplicaPhase::Waiting).front()), PendingReason::Resources);
}

TEST_F(Services, TheSameAgainChangesNothingAndOtherNumbersScale) {
  world_.start().nodes(3);
  apply(web(2));
  settle(2);
  const std::uint64_t version = find()->version;
  apply(web(2));
  EXPECT_EQ(find()->version, version);
  apply(web(3));
  settle(2);
  EXPECT_EQ(find()->progress.revision, 1);
  EXPECT_EQ(jobs(ReplicaPhase::Ready).size(), 3u);
}

TEST_F(Services, EachReplicaOfANodeGetsAPortOfItsOwn) {
  world_.start().nodes(1);
  apply(web(2));
  std::set<std::int32_t> ports;
  for (const std::uint64_t id : jobs(ReplicaPhase::Starting)) {
    ports.insert(*given_port(world_.get(id).allocation()->shares.front()));
  }
  EXPECT_THAT(ports, ElementsAre(20000, 20001));
}

TEST_F(Services, ReplicasWithAPortOfTheirOwnNeedANodeEach) {
  world_.start().nodes(2);
  ServiceSpec spec = web(3);
  spec.replica.ports = {{.name = "http", .port = 8080}};
  apply(spec);
  EXPECT_EQ(jobs(ReplicaPhase::Starting).size(), 2u);
  EXPECT_EQ(jobs(ReplicaPhase::Waiting).size(), 1u);
}

TEST_F(Services, OnesThatEndAreReplacedAfterAPauseThatDoubles) {
  world_.start().nodes(3);
  apply(web(1));
  settle(1);
  const std::uint64_t first = jobs(ReplicaPhase::Ready).front();
  world_.finished("n1", first, failed(1));
  EXPECT_THAT(find()->replicas, IsEmpty());
  world_.live(seconds(9));
  EXPECT_THAT(find()->replicas, IsEmpty());
  world_.live(seconds(2));
  settle(1);
  ASSERT_EQ(jobs(ReplicaPhase::Ready).size(), 1u);
  world_.finished("n1", jobs(ReplicaPhase::Ready).front(), failed(1));
  world_.live(seconds(18));
  EXPECT_THAT(find()->replicas, IsEmpty());
  world_.live(seconds(4));
  EXPECT_EQ(find()->replicas.size(), 1u);
}

TEST_F(Services, ScalingDownDrainsBeforeItStops) {
  world_.start().nodes(3);
  const std::uint32_t balancer = subscribe();
  apply(web(3), {front_of_web()});
  settle(2);
  EXPECT_EQ(backends(balancer), "3 up");
  EXPECT_EQ(command(wire::ServiceCommand::SCALE, 2), "");
  EXPECT_EQ(backends(balancer), "2 up, 1 drains");
  const std::vector<std::uint64_t> going = jobs(ReplicaPhase::Draining);
  ASSERT_EQ(going.size(), 1u);
  EXPECT_EQ(world_.phase(going.front()), "Running");
  world_.live(seconds(5));
  EXPECT_EQ(world_.phase(going.front()), "Running");
  confirm(going);
  EXPECT_EQ(world_.phase(going.front()), "Completing");
  EXPECT_EQ(backends(balancer), "2 up");
  settle(2);
  EXPECT_EQ(find()->replicas.size(), 2u);
}

TEST_F(Services, BalancerThatDoesNotAnswerHoldsAReplicaOnlyForItsTime) {
  world_.config.drain_timeout = seconds(30);
  world_.start().nodes(2);
  (void)subscribe();
  apply(web(2), {front_of_web()});
  settle(2);
  EXPECT_EQ(command(wire::ServiceCommand::SCALE, 1), "");
  world_.live(seconds(28));
  EXPECT_EQ(jobs(ReplicaPhase::Draining).size(), 1u);
  world_.live(seconds(4));
  EXPECT_THAT(jobs(ReplicaPhase::Draining), IsEmpty());
}

TEST_F(Services, WithoutABalancerDrainingTakesNoTime) {
  world_.start().nodes(2);
  apply(web(2), {front_of_web()});
  settle(2);
  EXPECT_EQ(command(wire::ServiceCommand::SCALE, 1), "");
  EXPECT_EQ(jobs(ReplicaPhase::Stopping).size(), 1u);
}

TEST_F(Services, ReplicaThatIsNotReadyIsNotRouted) {
  world_.start().nodes(2);
  const std::uint32_t balancer = subscribe();
  ServiceSpec spec = web(2);
  spec.replica.readiness = Probe{};
  apply(spec, {front_of_web()});
  run_all(false);
  EXPECT_EQ(backends(balancer), "0 up");
  const std::uint64_t first = jobs(ReplicaPhase::Starting).front();
  say_health(first, true);
  EXPECT_EQ(backends(balancer), "1 up");
  say_health(first, false, true, "readiness probe: exit code 1");
  EXPECT_EQ(backends(balancer), "0 up");
  EXPECT_EQ(find()->replicas.front().note, "readiness probe: exit code 1");
}

TEST_F(Services, ReplicaThatIsNotAliveIsReplaced) {
  world_.start().nodes(2);
  ServiceSpec spec = web(1);
  spec.replica.liveness = Probe{};
  apply(spec);
  run_all();
  const std::uint64_t first = jobs(ReplicaPhase::Ready).front();
  say_health(first, false, false, "liveness probe: exit code 1");
  EXPECT_EQ(world_.phase(first), "Completing");
  settle(15);
  ASSERT_EQ(jobs(ReplicaPhase::Ready).size(), 1u);
  EXPECT_NE(jobs(ReplicaPhase::Ready).front(), first);
}

TEST_F(Services, UpdateReplacesReplicasOneByOneAndKeepsThemReachable) {
  world_.start().nodes(4);
  apply(web(3));
  settle(2);
  apply(web(3, "web:2"));
  for (int i = 0; i < 30; ++i) {
    EXPECT_GE(jobs(ReplicaPhase::Ready).size(), 3u);
    EXPECT_LE(find()->replicas.size(), 4u);
    settle(1);
  }
  ASSERT_EQ(find()->replicas.size(), 3u);
  for (const ServiceReplica& replica : find()->replicas) EXPECT_EQ(replica.revision, 2);
}

TEST_F(Services, RevisionThatNeverBecomesReadyIsGivenUp) {
  world_.start().nodes(4);
  ServiceSpec spec = web(3);
  spec.replica.readiness = Probe{};
  spec.update.progress_deadline = seconds(60);
  apply(spec);
  settle(2);
  ASSERT_EQ(jobs(ReplicaPhase::Ready).size(), 3u);
  spec.replica.image = "web:broken";
  apply(spec);
  for (int i = 0; i < 90; ++i) {
    run_all(false);
    end_all();
    world_.live(seconds(1));
    EXPECT_GE(jobs(ReplicaPhase::Ready).size(), 3u);
  }
  EXPECT_EQ(find()->progress.revision, 1);
  EXPECT_EQ(find()->progress.given_up, 2);
  EXPECT_EQ(find()->spec.replica.image, "web:1");
  EXPECT_EQ(find()->replicas.size(), 3u);
}

TEST_F(Services, RollbackGoesToTheRevisionBefore) {
  world_.start().nodes(4);
  apply(web(2));
  settle(2);
  EXPECT_THAT(command(wire::ServiceCommand::ROLLBACK), HasSubstr("no revision before 1"));
  apply(web(2, "web:2"));
  settle(10);
  EXPECT_EQ(command(wire::ServiceCommand::ROLLBACK), "");
  settle(10);
  for (const ServiceReplica& replica : find()->replicas) EXPECT_EQ(replica.revision, 1);
}

TEST_F(Services, DeletedOneGoesWithItsLastReplica) {
  world_.start().nodes(2);
  apply(web(2));
  settle(2);
  EXPECT_EQ(command(wire::ServiceCommand::DELETE), "");
  EXPECT_THAT(try_apply(web(2)), HasSubstr("is being deleted"));
  settle(2);
  EXPECT_EQ(find(), nullptr);
  EXPECT_THAT(world_.services, IsEmpty());
}

TEST_F(Services, OnlyTheOwnerAndOperatorsMayChangeThem) {
  world_.start().nodes(2);
  apply(web(1));
  EXPECT_EQ(command(wire::ServiceCommand::SCALE, 2, kBob), "service web is alice's");
  EXPECT_EQ(command(wire::ServiceCommand::SCALE, 2, kOlga), "");
  // Bob's own of that name is another one.
  EXPECT_EQ(try_apply(web(1), {}, kBob), "");
  EXPECT_EQ(find()->spec.replicas, 2);
}

TEST_F(Services, OneThatIsCancelledByHandIsReplacedAtOnce) {
  world_.start().nodes(2);
  apply(web(1));
  settle(1);
  const std::uint64_t first = jobs(ReplicaPhase::Ready).front();
  EXPECT_EQ(world_.cancel(first), "");
  settle(1);
  ASSERT_EQ(find()->replicas.size(), 1u);
  EXPECT_NE(find()->replicas.front().job.value, first);
}

TEST_F(Services, NodeThatDrainsLosesItsReplicasOnlyWhenOthersAreReady) {
  world_.start().nodes(3);
  apply(web(2));
  settle(2);
  const std::string node = node_of(jobs(ReplicaPhase::Ready).front());
  wire::Request request;
  request.mutable_node_command()->set_verb(wire::NodeCommand::DRAIN);
  request.mutable_node_command()->set_name(node);
  EXPECT_FALSE(world_.ask(kOlga, std::move(request)).has_error());
  for (int i = 0; i < 10; ++i) {
    EXPECT_GE(jobs(ReplicaPhase::Ready).size(), 2u);
    settle(1);
  }
  EXPECT_EQ(find()->replicas.size(), 2u);
  for (const std::uint64_t id : jobs(ReplicaPhase::Ready)) EXPECT_NE(node_of(id), node);
}

TEST_F(Services, LostNodesReplicasRunElsewhereAsTheSameJobs) {
  world_.config.lease = seconds(30);
  world_.start().nodes(2);
  apply(web(1));
  settle(1);
  const std::uint64_t id = jobs(ReplicaPhase::Ready).front();
  const std::string lost = node_of(id);
  world_.disconnect(lost.c_str());
  world_.live(seconds(60));
  ASSERT_EQ(jobs(ReplicaPhase::Starting).size(), 1u);
  EXPECT_EQ(jobs(ReplicaPhase::Starting).front(), id);
  EXPECT_NE(node_of(id), lost);
}

TEST_F(Services, RestartOfTheSchedulerKeepsThemAndRoutesThem) {
  world_.start().nodes(2);
  apply(web(2), {front_of_web()});
  settle(2);
  const Service before = *find();
  const std::vector<std::uint64_t> ids = jobs(ReplicaPhase::Ready);
  world_.restart();
  EXPECT_EQ(*find(), before);
  for (const char* node : {"n1", "n2"}) {
    World::Held held;
    for (const std::uint64_t id : ids) {
      if (node_of(id) == node) held.emplace_back(id, 1, wire::HeldAttempt::RUNNING);
    }
    world_.node(node, 4, held);
  }
  EXPECT_EQ(jobs(ReplicaPhase::Ready), ids);
  EXPECT_EQ(backends(subscribe()), "2 up");
  EXPECT_EQ(command(wire::ServiceCommand::SCALE, 3), "");
  settle(2);
  EXPECT_EQ(jobs(ReplicaPhase::Ready).size(), 3u);
}

TEST_F(Services, EndpointSelectsExactlyOneServiceAndAPortThatItHas) {
  world_.start().nodes(2);
  Endpoint endpoint = front_of_web();
  endpoint.selector = {{"app", "nobody"}};
  EXPECT_THAT(try_apply(web(1), {endpoint}),
              HasSubstr("endpoint front: selector: no service of yours has these labels"));
  endpoint = front_of_web();
  endpoint.ports.front().target = "admin";
  EXPECT_THAT(try_apply(web(1), {endpoint}), HasSubstr("service web has no port admin"));
  EXPECT_EQ(find(), nullptr);
}

TEST_F(Services, PortOfTheBalancerIsOneUsersAlone) {
  world_.start().nodes(2);
  apply(web(1), {front_of_web()});
  EXPECT_THAT(try_apply(web(1), {front_of_web()}, kBob),
              HasSubstr("port 80 is that of service web of alice"));
  Endpoint inside = front_of_web(Endpoint::Reach::Cluster);
  EXPECT_EQ(try_apply(web(1), {inside}, kBob), "");
  const Service& of_bob = *world_.controller->state().find_service({kBob, "web"});
  EXPECT_EQ(of_bob.endpoints.front().ports.front().node_port, 30000);
}

TEST_F(Services, OneThatDependsOnAnotherWaitsUntilThatIsHealthy) {
  world_.start().nodes(2);
  ServiceSpec store = web(1);
  store.name = "store";
  store.replica.labels = {{"app", "store"}};
  store.replica.readiness = Probe{};
  ServiceSpec spec = web(1);
  spec.depends_on = {{"store", ServiceCondition::Healthy}};
  EXPECT_THAT(try_apply(spec), HasSubstr("there is no service store"));
  apply(store);
  apply(spec);
  EXPECT_THAT(find()->replicas, IsEmpty());
  const Service& other = *world_.controller->state().find_service({kAlice, "store"});
  const std::uint64_t id = other.replicas.front().job.value;
  world_.run(id);
  EXPECT_THAT(find()->replicas, IsEmpty());
  say_health(id, true);
  EXPECT_EQ(find()->replicas.size(), 1u);
}

TEST_F(Services, OneThatHasRunCountsAsStarted) {
  world_.start().nodes(2);
  ServiceSpec setup = web(1);
  setup.name = "setup";
  setup.restart = RestartPolicy::No;
  setup.replica.labels = {{"app", "setup"}};
  apply(setup);
  const auto find_setup = [&] {
    return world_.controller->state().find_service({kAlice, "setup"});
  };
  const std::uint64_t id = find_setup()->replicas.front().job.value;
  world_.run(id);
  world_.finished(node_of(id).c_str(), id);
  world_.live(seconds(1));
  ASSERT_THAT(find_setup()->replicas, IsEmpty());
  ServiceSpec spec = web(1);
  spec.depends_on = {{"setup", ServiceCondition::Started}};
  apply(spec);
  EXPECT_EQ(find()->replicas.size(), 1u);
}

TEST_F(Services, WhoWaitsForSuccessDoesNotBeginAfterAFailure) {
  world_.start().nodes(2);
  ServiceSpec setup = web(1);
  setup.name = "setup";
  setup.restart = RestartPolicy::No;
  setup.replica.labels = {{"app", "setup"}};
  ServiceSpec spec = web(1);
  spec.depends_on = {{"setup", ServiceCondition::CompletedSuccessfully}};
  for (const bool succeeds : {false, true}) {
    setup.replica.image = succeeds ? "setup:2" : "setup:1";
    apply(setup);
    apply(spec);
    world_.live(seconds(1));
    const Service& first = *world_.controller->state().find_service({kAlice, "setup"});
    ASSERT_EQ(first.replicas.size(), 1u);
    const std::uint64_t id = first.replicas.front().job.value;
    world_.run(id);
    world_.finished(node_of(id).c_str(), id, succeeds ? completed() : failed(1));
    world_.live(seconds(1));
    EXPECT_EQ(find()->replicas.size(), succeeds ? 1u : 0u);
  }
}

TEST_F(Services, OneThatIsNotReadyAnyMoreIsDrainedBeforeItIsStopped) {
  world_.start().nodes(2);
  const std::uint32_t balancer = subscribe();
  ServiceSpec spec = web(2);
  spec.replica.readiness = Probe{};
  apply(spec, {front_of_web()});
  settle(2);
  const std::uint64_t first = jobs(ReplicaPhase::Ready).front();
  say_health(first, false);
  EXPECT_EQ(backends(balancer), "1 up");
  EXPECT_EQ(command(wire::ServiceCommand::SCALE, 1), "");
  EXPECT_EQ(backends(balancer), "1 up, 1 drains");
  EXPECT_THAT(jobs(ReplicaPhase::Draining), ElementsAre(first));
  EXPECT_EQ(world_.phase(first), "Running");
  confirm({first});
  EXPECT_EQ(world_.phase(first), "Completing");
}

TEST_F(Services, AnUpdateIsNotGivenUpBecauseTheSchedulerWasAway) {
  world_.start().nodes(4);
  ServiceSpec spec = web(1);
  spec.replica.readiness = Probe{};
  spec.update.progress_deadline = seconds(60);
  apply(spec);
  settle(2);
  spec.replica.image = "web:2";
  apply(spec);
  ASSERT_EQ(find()->progress.revision, 2);
  const Duration away = seconds(300);
  world_.now.boot = world_.now.boot + away;
  world_.now.wall = world_.now.wall + away;
  world_.restart();
  world_.live(seconds(50));
  EXPECT_EQ(find()->progress.revision, 2);
  world_.live(seconds(20));
  EXPECT_EQ(find()->progress.given_up, 2);
}

TEST_F(Services, OneThatRunsToItsEndIsLeftOnADrainingNode) {
  world_.start().nodes(2);
  ServiceSpec spec = web(1);
  spec.restart = RestartPolicy::No;
  apply(spec);
  settle(2);
  wire::Request request;
  request.mutable_node_command()->set_verb(wire::NodeCommand::DRAIN);
  request.mutable_node_command()->set_name(node_of(jobs(ReplicaPhase::Ready).front()));
  EXPECT_FALSE(world_.ask(kOlga, std::move(request)).has_error());
  settle(3);
  EXPECT_EQ(find()->progress.next_number, 2);
  EXPECT_EQ(jobs(ReplicaPhase::Ready).size(), 1u);
}

TEST_F(Services, ScalingDownIsPossibleInAFullQueue) {
  world_.config.max_jobs = 4;
  world_.start().nodes(1);
  apply(web(4));
  EXPECT_EQ(try_apply(web(4)), "");
  EXPECT_THAT(command(wire::ServiceCommand::SCALE, 5), HasSubstr("more than 4 jobs"));
  EXPECT_EQ(command(wire::ServiceCommand::SCALE, 3), "");
  EXPECT_EQ(try_apply(web(2)), "");
}

TEST_F(Services, EnvironmentIsShownToTheOwnerAlone) {
  world_.start().nodes(1);
  ServiceSpec spec = web(1);
  spec.replica.env = {{"PASSWORD", "secret"}};
  apply(spec);
  wire::Request request;
  request.mutable_list_services();
  const auto seen_by = [&](std::uint32_t uid) {
    return world_.ask(uid, request).services().services(0).SerializeAsString();
  };
  EXPECT_THAT(seen_by(kAlice), HasSubstr("secret"));
  EXPECT_THAT(seen_by(kBob), testing::Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace gangway::scheduler
