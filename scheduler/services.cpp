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

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMaxServices = 10'000;

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }
Error conflict(std::string message) { return {ErrorKind::Conflict, std::move(message)}; }

// The endpoint's port that a rule means: by its number or name, or the only one.
const Endpoint::Port* find_port(const Endpoint& endpoint, std::string_view which) {
  if (which.empty() && endpoint.ports.size() == 1) return &endpoint.ports.front();
  for (const Endpoint::Port& port : endpoint.ports) {
    if (port.name == which || cat(port.port) == which) return &port;
  }
  return nullptr;
}

std::string place_of(const IngressRule& rule) {
  return cat(rule.host.empty() ? "any host" : rule.host, rule.path);
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
  Result<NewServices> fresh = read_services(user, request);
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
    if (!revises && known->spec == one.spec) continue;
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
  if (state.services().size() + static_cast<std::size_t>(request.services_size()) > kMaxServices) {
    return Error(ErrorKind::Exhausted, cat("there are at most ", kMaxServices, " services"));
  }
  OfferedPorts ports = ports_offered;
  std::set<std::string> names;
  std::size_t replicas = unfinished_jobs;
  for (const wire::NewService& message : request.services()) {
    auto one = read_service(user, message);
    if (!one) return one.error().with_context(cat("service ", message.spec().name()));
    if (!names.insert(one->spec.name).second) {
      return invalid(cat("service ", one->spec.name, " stands there twice"));
    }
    replicas += static_cast<std::size_t>(one->spec.replicas);
    for (const ContainerPort& port : one->spec.replica.ports) {
      if (port.port > 0) {
        ports.fixed.insert(port.port);
      } else {
        ports.range = config.service_ports;
      }
    }
    fresh.services.push_back(*std::move(one));
  }
  if (replicas > config.max_jobs) {
    return Error(ErrorKind::Exhausted,
                 cat("more than ", config.max_jobs, " jobs, replicas among them, are not taken"));
  }
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
  GANGWAY_TRY(fill_defaults(job, users.name_of(user.uid)));
  if (config.service_ports.size() == 0 &&
      std::ranges::any_of(one.spec.replica.ports,
                          [](const ContainerPort& port) { return port.port == 0; })) {
    return invalid("ports: this cluster gives none (service_ports); name one");
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

service_event::EndpointsSet& Controller::Impl::endpoints_of(NewServices& fresh,
                                                            const ServiceKey& key) const {
  const auto [entry, is_new] = fresh.endpoints.try_emplace(key);
  if (const Service* const known = state.find_service(key); is_new && known != nullptr) {
    entry->second = {known->endpoints, known->rules};
  }
  return entry->second;
}

// Each endpoint goes to the one service whose replicas it selects.
Result<void> Controller::Impl::place_endpoints(std::uint32_t uid,
                                               const wire::SubmitServices& request,
                                               NewServices& fresh) const {
  std::map<std::string, const ReplicaTemplate*> templates;
  for (const auto& [key, service] : state.services()) {
    if (key.uid == uid && !service.deleting) templates[key.name] = &service.spec.replica;
  }
  for (const NewService& one : fresh.services) templates[one.spec.name] = &one.spec.replica;

  std::set<std::string> names;
  for (const wire::ServiceEndpoint& message : request.endpoints()) {
    GANGWAY_ASSIGN(const Endpoint endpoint, wire::from_wire(message));
    const std::string which = cat("endpoint ", endpoint.name);
    GANGWAY_TRY_CONTEXT(validate(endpoint), which);
    if (!names.insert(endpoint.name).second) return invalid(cat(which, " stands there twice"));
    std::vector<std::string> selected;
    for (const auto& [name, replica] : templates) {
      if (selects(endpoint.selector, replica->labels)) selected.push_back(name);
    }
    if (selected.size() != 1) {
      return invalid(cat(which, ": selector: ",
                         selected.empty()
                             ? "no service of yours has these labels"
                             : cat("selects more than one service: ", join(selected, ", "))));
    }
    for (const Endpoint::Port& port : endpoint.ports) {
      if (find_target(*templates.at(selected.front()), port) != nullptr) continue;
      return invalid(cat(which, ": port ", port.port, ": service ", selected.front(),
                         " has no port ", port.target.empty() ? cat(port.port) : port.target));
    }
    // It may have been another service's before.
    for (const auto& [key, service] : state.services()) {
      if (key.uid != uid || key.name == selected.front()) continue;
      const auto is_it = [&](const Endpoint& e) { return e.name == endpoint.name; };
      if (std::ranges::any_of(service.endpoints, is_it)) {
        std::erase_if(endpoints_of(fresh, key).endpoints, is_it);
        std::erase_if(endpoints_of(fresh, key).rules,
                      [&](const IngressRule& rule) { return rule.endpoint == endpoint.name; });
      }
    }
    auto& list = endpoints_of(fresh, {uid, selected.front()}).endpoints;
    const auto old = std::ranges::find(list, endpoint.name, &Endpoint::name);
    if (old == list.end()) {
      if (list.size() >= kMaxEndpointsOfService) {
        return Error(ErrorKind::Exhausted, cat(which, ": its service has too many"));
      }
      list.push_back(endpoint);
      std::ranges::sort(list, {}, &Endpoint::name);
      continue;
    }
    Endpoint changed = endpoint;
    for (Endpoint::Port& port : changed.ports) {
      // Where it listens stays, whatever else changes.
      const auto same = std::ranges::find(old->ports, port.port, &Endpoint::Port::port);
      if (same != old->ports.end() && port.node_port == 0 && old->reach == changed.reach) {
        port.node_port = same->node_port;
      }
    }
    *old = std::move(changed);
  }
  return {};
}

// The rules of an endpoint are those of the last request that named it in a rule.
Result<void> Controller::Impl::place_rules(std::uint32_t uid,
                                           const wire::SubmitServices& request,
                                           NewServices& fresh) const {
  // Whose endpoint it is.
  const auto find_owner = [&](const std::string& endpoint) -> std::optional<ServiceKey> {
    for (const auto& [key, set] : fresh.endpoints) {
      if (std::ranges::find(set.endpoints, endpoint, &Endpoint::name) != set.endpoints.end()) {
        return key;
      }
    }
    for (const auto& [key, service] : state.services()) {
      if (key.uid != uid || fresh.endpoints.contains(key)) continue;
      if (std::ranges::find(service.endpoints, endpoint, &Endpoint::name) !=
          service.endpoints.end()) {
        return key;
      }
    }
    return std::nullopt;
  };
  std::set<std::string> begun;
  for (const wire::IngressRule& message : request.rules()) {
    GANGWAY_ASSIGN(const IngressRule rule, wire::from_wire(message));
    const std::string which = cat("rule ", place_of(rule));
    GANGWAY_TRY_CONTEXT(validate(rule), which);
    const auto owner = find_owner(rule.endpoint);
    if (!owner) return invalid(cat(which, ": you have no endpoint ", rule.endpoint));
    auto& set = endpoints_of(fresh, *owner);
    const auto endpoint = std::ranges::find(set.endpoints, rule.endpoint, &Endpoint::name);
    if (find_port(*endpoint, rule.port) == nullptr) {
      return invalid(cat(which, ": endpoint ", rule.endpoint, " has no port ", rule.port));
    }
    if (begun.insert(rule.endpoint).second) {
      std::erase_if(set.rules, [&](const IngressRule& r) { return r.endpoint == rule.endpoint; });
    }
    if (set.rules.size() >= kMaxRulesOfService) {
      return Error(ErrorKind::Exhausted, cat(which, ": its service has too many"));
    }
    set.rules.push_back(rule);
  }
  // One place leads to one endpoint.
  std::map<std::pair<std::string, std::string>, ServiceKey> places;
  const auto claim = [&](const ServiceKey& key,
                         const std::vector<IngressRule>& rules) -> Result<void> {
    for (const IngressRule& rule : rules) {
      const auto [entry, is_free] = places.emplace(std::pair(rule.host, rule.path), key);
      if (is_free) continue;
      const Service* const other = state.find_service(entry->second);
      return conflict(cat("rule ", place_of(rule), ": leads to service ", entry->second.name,
                          other == nullptr ? "" : cat(" of ", other->owner.user), " already"));
    }
    return {};
  };
  for (const auto& [key, service] : state.services()) {
    if (!fresh.endpoints.contains(key)) GANGWAY_TRY(claim(key, service.rules));
  }
  for (const auto& [key, set] : fresh.endpoints) GANGWAY_TRY(claim(key, set.rules));
  return {};
}

// Every port of an endpoint listens somewhere, and nobody else's does there.
Result<void> Controller::Impl::give_listen_ports(std::uint32_t uid, NewServices& fresh) const {
  std::map<std::int32_t, ServiceKey> taken;
  int own = 0;
  for (const auto& [key, service] : state.services()) {
    if (fresh.endpoints.contains(key)) continue;
    for (const Endpoint& endpoint : service.endpoints) {
      for (const Endpoint::Port& port : endpoint.ports) {
        taken.emplace(port.node_port, key);
        own += key.uid == uid && config.endpoint_ports.contains(port.node_port) ? 1 : 0;
      }
    }
  }
  const auto take = [&](const ServiceKey& key, const Endpoint& endpoint,
                        std::int32_t port) -> Result<void> {
    const auto [entry, is_free] = taken.emplace(port, key);
    if (is_free) return {};
    const Service* const other = state.find_service(entry->second);
    return conflict(cat("endpoint ", endpoint.name, ": port ", port, " is that of service ",
                        entry->second.name,
                        other == nullptr ? "" : cat(" of ", other->owner.user)));
  };
  // Those that ask for one first.
  for (auto& [key, set] : fresh.endpoints) {
    for (Endpoint& endpoint : set.endpoints) {
      for (Endpoint::Port& port : endpoint.ports) {
        if (endpoint.reach == Endpoint::Reach::LoadBalancer) {
          port.node_port = port.port;
          if (config.endpoint_ports.contains(port.port)) {
            return invalid(cat("endpoint ", endpoint.name, ": port ", port.port,
                               " is of those that are given out (endpoint_ports)"));
          }
        } else if (port.node_port != 0 && !config.endpoint_ports.contains(port.node_port)) {
          return invalid(cat("endpoint ", endpoint.name, ": node port ", port.node_port,
                             " is not between ", config.endpoint_ports.first, " and ",
                             config.endpoint_ports.last));
        }
        if (port.node_port == 0) continue;
        GANGWAY_TRY(take(key, endpoint, port.node_port));
        own += config.endpoint_ports.contains(port.node_port) ? 1 : 0;
      }
    }
  }
  for (auto& [key, set] : fresh.endpoints) {
    for (Endpoint& endpoint : set.endpoints) {
      for (Endpoint::Port& port : endpoint.ports) {
        if (port.node_port != 0) continue;
        std::int32_t free = config.endpoint_ports.first;
        while (config.endpoint_ports.contains(free) && taken.contains(free)) ++free;
        if (!config.endpoint_ports.contains(free)) {
          return Error(ErrorKind::Exhausted,
                       cat("endpoint ", endpoint.name, ": no port is left to listen at"));
        }
        port.node_port = free;
        GANGWAY_TRY(take(key, endpoint, free));
        ++own;
      }
    }
  }
  if (own > config.endpoint_ports_per_user) {
    return Error(ErrorKind::Exhausted,
                 cat("a user has at most ", config.endpoint_ports_per_user, " ports of endpoints"));
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
    // An environment is where passwords are.
    if (!with_secrets) revision.mutable_replica()->clear_env();
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
  fill_view(*state.find_service(key), true, response.mutable_services()->add_services());
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
      if (unfinished_jobs + static_cast<std::size_t>(command.replicas()) > config.max_jobs) {
        return Error(ErrorKind::Exhausted, cat("more than ", config.max_jobs,
                                               " jobs, replicas among them, are not taken"));
      }
      if (command.replicas() == service.spec.replicas) return {};
      state.record(key, service_event::Scaled{command.replicas()}, now.wall, turn.batch);
      return {};
    }
    case wire::ServiceCommand::ROLLBACK: {
      std::int64_t wanted = command.revision();
      for (const ServiceRevision& revision : service.revisions) {
        if (command.revision() == 0 && revision.number < service.progress.revision) {
          wanted = revision.number;
        }
      }
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
