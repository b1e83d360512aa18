// What the balancer is told: where each endpoint listens, and which replicas are behind it.
//
// The order of an end is ours to keep: a replica that is to go stands in the table as one that
// drains until the balancer has confirmed that nothing is in flight to it; only then it is told to
// end. A balancer that does not answer holds a replica for `drain_timeout` and no longer.
#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

// A table may be larger than a frame. Its parts have no version but the last one.
std::vector<wire::Response> parts_of(const wire::RoutesChanged& table) {
  std::vector<wire::Response> parts;
  std::size_t bytes = 0;
  for (const wire::Route& route : table.routes()) {
    if (parts.empty() || bytes > kResponseBytes) {
      parts.emplace_back().set_more(true);
      bytes = 0;
    }
    *parts.back().mutable_routes()->add_routes() = route;
    bytes += route.ByteSizeLong();
  }
  if (parts.empty()) parts.emplace_back().set_more(true);
  parts.back().mutable_routes()->set_version(table.version());
  return parts;
}

}  // namespace

void Controller::Impl::on_subscribe_routes(io::PeerId from,
                                           const io::LocalUser& user,
                                           std::uint32_t stream) {
  if (!is_operator(user)) {
    return reply_error(
        from, stream,
        Error(ErrorKind::Denied, cat(users.name_of(user.uid), " is no operator of this cluster")));
  }
  route_subscribers.insert({from, stream});
  for (wire::Response& part : parts_of(routes)) reply(from, stream, std::move(part));
}

void Controller::Impl::on_confirm_routes(io::PeerId from,
                                         const io::LocalUser& user,
                                         std::uint32_t stream,
                                         const wire::ConfirmRoutes& message) {
  if (!is_operator(user)) {
    return reply_error(
        from, stream,
        Error(ErrorKind::Denied, cat(users.name_of(user.uid), " is no operator of this cluster")));
  }
  for (const std::uint64_t job : message.drained()) {
    const auto known = replica_of.find(JobId{job});
    if (known == replica_of.end()) continue;
    const Service& service = *state.find_service(known->second.service);
    if (service.find_replica(known->second.number)->phase != ReplicaPhase::Draining) continue;
    set_phase(known->second.service, known->second.number, ReplicaPhase::Drained);
  }
  reply(from, stream, {});
}

bool Controller::Impl::is_routed(const Service& service, const ServiceReplica& replica) const {
  if (service.endpoints.empty()) return false;
  const Job* const job = state.find_job({replica.job});
  return job != nullptr && job->allocation() != nullptr;
}

void Controller::Impl::begin_draining(const ServiceKey& key, std::int64_t number) {
  const Service& service = *state.find_service(key);
  const ServiceReplica replica = *service.find_replica(number);
  // One that does not run gets no requests, and one that nobody sends any need not be waited for.
  // One that has just stopped being ready gets none that is new, but may have some in flight.
  const Job* const job = state.find_job({replica.job});
  const bool has_run = job != nullptr && (std::holds_alternative<phase::Running>(job->phase) ||
                                          std::holds_alternative<phase::Suspended>(job->phase));
  const bool has_users = replica.alive && has_run && is_routed(service, replica) &&
                         (config.has_balancer || !route_subscribers.empty());
  set_phase(key, number, ReplicaPhase::Draining);
  if (!has_users) set_phase(key, number, ReplicaPhase::Drained);
}

void Controller::Impl::end_late_drains(const ServiceKey& key) {
  const std::vector<ServiceReplica> replicas = state.find_service(key)->replicas;
  for (const ServiceReplica& replica : replicas) {
    if (replica.phase == ReplicaPhase::Draining &&
        replica.since + config.drain_timeout <= now.wall) {
      set_phase(key, replica.number, ReplicaPhase::Drained);
    }
  }
}

void Controller::Impl::add_routes(const Service& service, wire::RoutesChanged& out) const {
  for (const Endpoint& endpoint : service.endpoints) {
    for (const Endpoint::Port& port : endpoint.ports) {
      wire::Route* const route = out.add_routes();
      route->set_uid(service.owner.uid);
      route->set_user(service.owner.user);
      route->set_service(service.spec.name);
      route->set_endpoint(endpoint.name);
      route->set_reach(static_cast<std::uint32_t>(endpoint.reach));
      route->set_port_name(port.name);
      route->set_port(port.port);
      route->set_listen_port(port.node_port);
      for (const ServiceReplica& replica : service.replicas) {
        const bool drains = replica.phase == ReplicaPhase::Draining;
        const bool is_up = replica.phase == ReplicaPhase::Ready && replica.alive;
        if ((!drains && !is_up) || !is_routed(service, replica)) continue;
        const NodeShare& share = state.get_job({replica.job}).allocation()->shares.front();
        const ServiceRevision* const revision = service.find_revision(replica.revision);
        const ContainerPort* const target = find_target(revision->replica, port);
        const auto at = target == nullptr ? std::nullopt : host_port(*target, share);
        const Node* const node = state.find_node(share.node);
        if (!at || node == nullptr) continue;
        wire::RouteBackend* const backend = route->add_backends();
        backend->set_replica(replica.job.value);
        backend->set_node(share.node.value);
        backend->set_address(node->address);
        backend->set_port(*at);
        backend->set_drain(drains);
      }
      for (const IngressRule& rule : service.rules) {
        const bool is_meant = rule.endpoint == endpoint.name &&
                              (rule.port == port.name || rule.port == cat(port.port) ||
                               (rule.port.empty() && endpoint.ports.size() == 1));
        if (is_meant) wire::to_wire(rule, route->add_rules());
      }
    }
  }
}

void Controller::Impl::tell_routes() {
  if (!routes_touched) return;
  routes_touched = false;
  wire::RoutesChanged table;
  for (const auto& [key, service] : state.services()) add_routes(service, table);
  std::string bytes = table.SerializeAsString();
  if (bytes == routes_told && routes.version() != 0) return;
  routes_told = std::move(bytes);
  // Rises also over our restarts.
  constexpr int kVersionsOfEpoch = 32;
  table.set_version(std::max(routes.version(), epoch.value << kVersionsOfEpoch) + 1);
  routes = std::move(table);
  for (const auto& [peer, stream] : route_subscribers) {
    for (wire::Response& part : parts_of(routes)) reply(peer, stream, std::move(part));
  }
}

}  // namespace gangway::scheduler
