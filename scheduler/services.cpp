// What people ask of services: apply, list, scale, roll back, delete.
//
// A request is checked whole before anything of it is recorded. What follows from it is the plan's
// matter (service_turns.cpp).
#include <algorithm>
#include <set>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/model/service_machine.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"
#include "scheduler/user_checks.hpp"

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMaxServices = 10'000;
constexpr std::size_t kMaxServicesOfUser = 1000;
constexpr std::size_t kMaxSpecBytes = 1 << 20;

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }
Error conflict(std::string message) { return {ErrorKind::Conflict, std::move(message)}; }

// Replicas that are not among the jobs yet.
std::size_t more_of(const Service* known, std::int32_t replicas) {
  const auto there = known == nullptr ? std::size_t{0}
                                      : std::max(known->replicas.size(),
                                                 static_cast<std::size_t>(known->spec.replicas));
  const auto wanted = static_cast<std::size_t>(replicas);
  return wanted > there ? wanted - there : 0;
}

Result<void> check_services(const std::map<ServiceKey, Service>& services,
                            std::uint32_t uid,
                            std::size_t more) {
  const auto is_own = [&](const auto& entry) { return entry.first.uid == uid; };
  const auto own = static_cast<std::size_t>(std::ranges::count_if(services, is_own));
  if (more > 0 && own + more > kMaxServicesOfUser) {
    return Error(ErrorKind::Exhausted, cat("a user has at most ", kMaxServicesOfUser, " services"));
  }
  if (more > 0 && services.size() + more > kMaxServices) {
    return Error(ErrorKind::Exhausted, cat("there are at most ", kMaxServices, " services"));
  }
  return {};
}

Result<void> check_jobs(std::size_t there, std::size_t more, std::size_t most) {
  if (more == 0 || there + more <= most) return {};
  return Error(ErrorKind::Exhausted,
               cat("more than ", most, " jobs, replicas among them, are not taken"));
}

}  // namespace

// ---- apply -------------------------------------------------------------------------------------

void Controller::Impl::on_submit_services(io::PeerId from,
                                          const io::LocalUser& user,
                                          std::uint32_t stream,
                                          const wire::SubmitServices& request) {
  if (user.uid == 0 && !config.allow_root_jobs) {
    return reply_error(from, stream,
                       Error(ErrorKind::Denied,
                             "root may not submit services here; submit as an ordinary user, or "
                             "let the operator set allow_root_jobs"));
  }
  const OfferedPorts before = ports_offered;
  Result<NewServices> fresh = read_services(user, request);
  // Ports of what was not taken are not there for anybody.
  if (!fresh || request.test_only()) offer_ports(before);
  if (!fresh) return reply_error(from, stream, fresh.error());

  wire::Response response;
  response.mutable_services_applied();
  const Owner owner{user.uid, user.gid, users.name_of(user.uid)};
  for (NewService& one : fresh->services) {
    const ServiceKey key{user.uid, one.spec.name};
    const Service* const known = state.find_service(key);
    wire::ServicesApplied::One* const answer = response.mutable_services_applied()->add_services();
    answer->set_name(key.name);
    const bool revises = known == nullptr || needs_revision(*known, one.spec.replica, one.job);
    answer->set_revision(!revises           ? known->progress.revision
                         : known == nullptr ? 1
                                            : known->revisions.back().number + 1);
    if (!revises && known->spec == one.spec) {
      const auto set = fresh->endpoints.find(key);
      const bool reached_otherwise =
          set != fresh->endpoints.end() &&
          (known->endpoints != set->second.endpoints || known->rules != set->second.rules);
      if (reached_otherwise) answer->set_what(wire::ServicesApplied::SCALED);
      continue;
    }
    answer->set_what(known == nullptr ? wire::ServicesApplied::CREATED
                     : revises        ? wire::ServicesApplied::UPDATED
                                      : wire::ServicesApplied::SCALED);
    if (request.test_only()) continue;
    state.record(key, service_event::Applied{owner, std::move(one.spec), std::move(one.job)},
                 now.wall, turn.batch);
    services_to_plan.insert(key);
  }
  if (!request.test_only()) {
    for (auto& [key, set] : fresh->endpoints) {
      const Service* const known = state.find_service(key);
      CHECK(known != nullptr);
      if (known->endpoints == set.endpoints && known->rules == set.rules) continue;
      state.record(key, std::move(set), now.wall, turn.batch);
      services_to_plan.insert(key);
    }
  }
  reply(from, stream, std::move(response));
}

Result<Controller::Impl::NewServices> Controller::Impl::read_services(
    const io::LocalUser& user, const wire::SubmitServices& request) {
  NewServices fresh;
  OfferedPorts ports = ports_offered;
  std::set<std::string> names;
  std::size_t more_services = 0;
  std::size_t more_replicas = 0;
  for (const wire::NewService& message : request.services()) {
    auto one = read_service(user, message);
    if (!one) return one.error().with_context(cat("service ", message.spec().name()));
    if (!names.insert(one->spec.name).second) {
      return invalid(cat("service ", one->spec.name, " stands there twice"));
    }
    const Service* const known = state.find_service({user.uid, one->spec.name});
    more_services += known == nullptr ? 1 : 0;
    more_replicas += more_of(known, one->spec.replicas);
    for (const ContainerPort& port : one->spec.replica.ports) {
      if (port.port > 0) {
        ports.fixed.insert(port.port);
      } else {
        ports.range = config.service_ports;
      }
    }
    fresh.services.push_back(*std::move(one));
  }
  GANGWAY_TRY(check_services(state.services(), user.uid, more_services));
  GANGWAY_TRY(check_jobs(unfinished_jobs, more_replicas, config.max_jobs));
  // The checks below see nodes that have these ports.
  offer_ports(std::move(ports));
  for (const NewService& one : fresh.services) {
    const auto fits = check_cluster(one.job);
    if (!fits) return fits.error().with_context(cat("service ", one.spec.name));
  }
  GANGWAY_TRY(check_service_needs(user.uid, fresh));
  GANGWAY_TRY(place_endpoints(user.uid, request, fresh));
  GANGWAY_TRY(place_rules(user.uid, request, fresh));
  GANGWAY_TRY(give_listen_ports(user.uid, fresh));
  return fresh;
}

Result<Controller::Impl::NewService> Controller::Impl::read_service(
    const io::LocalUser& user, const wire::NewService& message) {
  NewService one;
  GANGWAY_ASSIGN(one.spec, wire::from_wire(message.spec()));
  GANGWAY_ASSIGN(one.job, wire::from_wire(message.job()));
  // What is kept is kept with every change, and shown whole.
  if (message.spec().ByteSizeLong() > kMaxSpecBytes) {
    return invalid(cat("environment, arguments and all else have together more than ",
                       render_bytes(Bytes{static_cast<std::int64_t>(kMaxSpecBytes)})));
  }
  GANGWAY_TRY(validate(one.spec));
  if (const Service* const known = state.find_service({user.uid, one.spec.name});
      known != nullptr && known->deleting) {
    return conflict("it is being deleted; apply it again when it is gone");
  }
  JobSpec& job = one.job;
  if (job.components.size() != 1 || job.components.front().nodes != 1) {
    return invalid("a replica has one node");
  }
  if (job.array || !job.dependencies.empty() || job.deadline || job.not_before || job.time_limit) {
    return invalid("a replica waits for nothing and ends when it is told to");
  }
  job.name = one.spec.name;
  job.kind = JobKind::Service;
  job.requeue = true;
  job.held = false;
  job.kill_grace = one.spec.replica.kill_grace;
  ask_for_ports(one.spec.replica.ports, job.components.front().named_per_node);
  GANGWAY_TRY(validate(job));
  GANGWAY_TRY(check_spec_of_user(job, is_operator(user)));
  GANGWAY_TRY(fill_defaults(job, users.name_of(user.uid)));
  if (config.service_ports.size() == 0 &&
      std::ranges::any_of(one.spec.replica.ports,
                          [](const ContainerPort& port) { return port.port == 0; })) {
    return invalid("ports: this cluster gives none (service_ports); name one");
  }
  for (const ContainerPort& port : one.spec.replica.ports) {
    if (!config.service_ports.contains(port.port)) continue;
    return invalid(cat("ports: ", port.port, " is of those that are given out (service_ports)"));
  }
  return one;
}

// What a service waits for at its first start is there, and does not wait for it in turn.
Result<void> Controller::Impl::check_service_needs(std::uint32_t uid,
                                                   const NewServices& fresh) const {
  std::map<std::string, std::vector<std::string>> needs;
  for (const auto& [key, service] : state.services()) {
    if (key.uid != uid) continue;
    for (const auto& [name, condition] : service.spec.depends_on) needs[key.name].push_back(name);
    needs[key.name];
  }
  for (const NewService& one : fresh.services) {
    auto& list = needs[one.spec.name];
    list.clear();
    for (const auto& [name, condition] : one.spec.depends_on) list.push_back(name);
  }
  for (const NewService& one : fresh.services) {
    std::set<std::string> seen;
    std::vector<std::string> open = needs[one.spec.name];
    while (!open.empty()) {
      const std::string name = open.back();
      open.pop_back();
      if (name == one.spec.name) {
        return invalid(cat("service ", name, ": depends_on: it depends on itself"));
      }
      const auto found = needs.find(name);
      if (found == needs.end()) {
        return invalid(cat("service ", one.spec.name, ": depends_on: there is no service ", name));
      }
      if (!seen.insert(name).second) continue;
      open.insert(open.end(), found->second.begin(), found->second.end());
    }
  }
  return {};
}

// ---- lists and commands ------------------------------------------------------------------------

void Controller::Impl::fill_view(const Service& service,
                                 bool with_secrets,
                                 wire::ServiceView* out) const {
  wire::to_wire(service, out->mutable_state());
  for (wire::ServiceRevision& revision : *out->mutable_state()->mutable_revisions()) {
    revision.clear_job();
    // An environment is where passwords are, and the largest part of all.
    const bool is_wanted = revision.number() == service.progress.revision;
    if (!with_secrets || !is_wanted) revision.mutable_replica()->clear_env();
  }
  if (!with_secrets) out->mutable_state()->mutable_spec()->mutable_replica()->clear_env();
  int ready = 0;
  for (const ServiceReplica& replica : service.replicas) {
    wire::ReplicaView* const view = out->add_replicas();
    wire::to_wire(replica, view->mutable_replica());
    ready += replica.phase == ReplicaPhase::Ready && replica.alive ? 1 : 0;
    const JobKey key{replica.job};
    const Job* const job = state.find_job(key);
    if (job == nullptr) continue;
    if (const auto entry = waiting.find(key); entry != waiting.end()) {
      view->set_reason(std::string(to_string(entry->second.reason)));
    }
    if (job->allocation() == nullptr || job->allocation()->shares.empty()) continue;
    const NodeShare& share = job->allocation()->shares.front();
    view->set_node(share.node.value);
    if (const Node* const node = state.find_node(share.node)) view->set_address(node->address);
    const ServiceRevision* const revision = service.find_revision(replica.revision);
    if (revision == nullptr) continue;
    for (const ContainerPort& port : revision->replica.ports) {
      wire::HostPort* const host = view->add_ports();
      host->set_name(port.name);
      host->set_port(port.port);
      host->set_host_port(host_port(port, share).value_or(0));
    }
  }
  out->set_ready(ready);
  out->set_is_settled(settled_services.contains(service.key()));
  wire::RoutesChanged table;
  add_routes(service, table);
  out->mutable_routes()->Swap(table.mutable_routes());
}

void Controller::Impl::on_list_services(io::PeerId from,
                                        const io::LocalUser& user,
                                        std::uint32_t stream,
                                        const wire::ListServices& request) {
  const auto is_one_of = [](const auto& list, const std::string& name) {
    return list.empty() || std::ranges::find(list, name) != list.end();
  };
  wire::Response response;
  response.mutable_services()->set_now_ns(now.wall.ns);
  std::size_t bytes = 0;
  for (const auto& [key, service] : state.services()) {
    if (!is_one_of(request.names(), key.name) || !is_one_of(request.users(), service.owner.user)) {
      continue;
    }
    wire::ServiceView* const view = response.mutable_services()->add_services();
    fill_view(service, may_change(user, service.owner), view);
    bytes += view->ByteSizeLong();
    if (bytes > kResponseBytes) {
      response.set_more(true);
      reply(from, stream, std::exchange(response, {}));
      response.mutable_services()->set_now_ns(now.wall.ns);
      bytes = 0;
    }
  }
  reply(from, stream, std::move(response));
}

Result<const Service*> Controller::Impl::find_service_named(const io::LocalUser& user,
                                                            const std::string& owner,
                                                            const std::string& name) const {
  const Service* found = owner.empty() ? state.find_service({user.uid, name}) : nullptr;
  std::vector<std::string> names;
  for (const auto& [key, service] : state.services()) {
    const bool is_meant = owner.empty() ? key.uid == user.uid : service.owner.user == owner;
    if (!is_meant) continue;
    names.push_back(key.name);
    if (key.name == name) found = &service;
  }
  if (found != nullptr) return found;
  const std::string meant = nearest(name, names);
  return Error(ErrorKind::NotFound,
               cat("there is no service ", name, owner.empty() ? " of yours" : cat(" of ", owner),
                   meant.empty() ? "" : cat("; did you mean ", meant, "?")));
}

void Controller::Impl::on_service_command(io::PeerId from,
                                          const io::LocalUser& user,
                                          std::uint32_t stream,
                                          const wire::ServiceCommand& command) {
  const auto found = find_service_named(user, command.user(), command.name());
  if (!found) return reply_error(from, stream, found.error());
  const Service& service = **found;
  const ServiceKey key = service.key();
  if (!may_change(user, service.owner)) {
    return reply_error(
        from, stream,
        Error(ErrorKind::Denied, cat("service ", key.name, " is ", service.owner.user, "'s")));
  }
  const auto done = command_service(service, command, users.name_of(user.uid));
  if (!done) return reply_error(from, stream, done.error().with_context(cat("service ", key.name)));
  services_to_plan.insert(key);
  settled_services.erase(key);
  wire::Response response;
  response.mutable_services()->set_now_ns(now.wall.ns);
  // It has been carried out: the answer must not be one that cannot be sent.
  fill_view(*state.find_service(key), false, response.mutable_services()->add_services());
  reply(from, stream, std::move(response));
}

Result<void> Controller::Impl::command_service(const Service& service,
                                               const wire::ServiceCommand& command,
                                               const std::string& by) {
  const ServiceKey key = service.key();
  if (service.deleting) return conflict("it is being deleted");
  switch (command.verb()) {
    case wire::ServiceCommand::SCALE: {
      if (command.replicas() < 0 || command.replicas() > kMaxReplicas) {
        return invalid(cat(command.replicas(), " replicas are not between 0 and ", kMaxReplicas));
      }
      GANGWAY_TRY(
          check_jobs(unfinished_jobs, more_of(&service, command.replicas()), config.max_jobs));
      if (command.replicas() == service.spec.replicas) return {};
      state.record(key, service_event::Scaled{command.replicas()}, now.wall, turn.batch);
      return {};
    }
    case wire::ServiceCommand::ROLLBACK: {
      std::int64_t wanted = command.revision();
      const ServiceProgress& progress = service.progress;
      for (const ServiceRevision& revision : service.revisions) {
        // Back to what was seen to run, and never to what did not.
        if (command.revision() == 0 && revision.number < progress.revision &&
            revision.number != progress.given_up) {
          wanted = revision.number;
        }
      }
      const bool is_updating = progress.whole != 0 && progress.whole < progress.revision;
      if (command.revision() == 0 && is_updating) wanted = progress.whole;
      if (wanted == 0) {
        return conflict(cat("there is no revision before ", service.progress.revision));
      }
      if (service.find_revision(wanted) == nullptr) {
        return Error(ErrorKind::NotFound, cat("there is no revision ", wanted, " any more"));
      }
      if (wanted == service.progress.revision) return {};
      state.record(key, service_event::Wanted{wanted, cat("rolled back by ", by)}, now.wall,
                   turn.batch);
      return {};
    }
    case wire::ServiceCommand::DELETE:
      state.record(key, service_event::Deleted{}, now.wall, turn.batch);
      return {};
    default:
      return Error(ErrorKind::Unsupported, "unknown verb");
  }
}

}  // namespace gangway::scheduler
