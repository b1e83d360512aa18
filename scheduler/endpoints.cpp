// Where services are reached: each endpoint goes to the service it selects, each rule to its
// endpoint, and every port and every host to one user.
//
// A request is checked whole before anything of it is recorded (services.cpp).
#include <algorithm>
#include <set>
#include <tuple>

#include "queues/base/text.hpp"
#include "queues/model/ingress_rule.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMaxRulesOfUser = 1000;

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }
Error conflict(std::string message) { return {ErrorKind::Conflict, std::move(message)}; }

std::string place_of(const IngressRule& rule) {
  return cat(rule.host.empty() ? "any host" : rule.host, rule.path);
}

// A host is one user's, with all its paths: who has the longer path would get the requests of who
// has the shorter one. With "*.example.org" go all names that it takes.
Result<void> check_hosts(const std::map<ServiceKey, Service>& services,
                         std::uint32_t uid,
                         const std::map<ServiceKey, service_event::EndpointsSet>& wanted) {
  struct Claim {
    const Service* service = nullptr;
    const IngressRule* rule = nullptr;
  };
  std::map<std::string_view, Claim> hosts;
  std::map<std::string_view, Claim> below;  // by what comes after the first dot
  for (const auto& [key, service] : services) {
    if (key.uid == uid) continue;
    for (const IngressRule& rule : service.rules) {
      hosts.emplace(rule.host, Claim{&service, &rule});
      if (!rule.host.starts_with('*')) {
        below.emplace(parent_of_host(rule.host), Claim{&service, &rule});
      }
    }
  }
  for (const auto& [key, set] : wanted) {
    for (const IngressRule& rule : set.rules) {
      const auto parent = parent_of_host(rule.host);
      auto found = hosts.find(rule.host);
      bool is_taken = found != hosts.end();
      if (!is_taken && rule.host.starts_with('*')) {
        found = below.find(parent);
        is_taken = found != below.end();
      } else if (!is_taken && !parent.empty()) {
        found = hosts.find(cat("*.", parent));
        is_taken = found != hosts.end();
      }
      if (!is_taken) continue;
      const Claim& other = found->second;
      return conflict(cat("rule ", place_of(rule), ": host ", other.rule->host,
                          " is that of service ", other.service->spec.name, " of ",
                          other.service->owner.user));
    }
  }
  return {};
}

}  // namespace

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
  // A new template has the ports that what is there leads to.
  for (const NewService& one : fresh.services) {
    const ServiceKey key{uid, one.spec.name};
    const Service* const known = state.find_service(key);
    const auto set = fresh.endpoints.find(key);
    if (set == fresh.endpoints.end() && known == nullptr) continue;
    for (const Endpoint& endpoint :
         set == fresh.endpoints.end() ? known->endpoints : set->second.endpoints) {
      for (const Endpoint::Port& port : endpoint.ports) {
        if (find_target(one.spec.replica, port) != nullptr) continue;
        return invalid(cat("service ", key.name, ": its endpoint ", endpoint.name,
                           " leads to port ", port.target.empty() ? cat(port.port) : port.target,
                           ", which the template has no more; submit both"));
      }
    }
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
    GANGWAY_ASSIGN(IngressRule written, wire::from_wire(message));
    const IngressRule rule = in_normal_form(std::move(written));
    const std::string which = cat("rule ", place_of(rule));
    GANGWAY_TRY_CONTEXT(validate(rule), which);
    GANGWAY_TRY_CONTEXT(check_place(rule), which);
    if (rule.host.empty() && !is_operator(io::LocalUser{.uid = uid})) {
      return Error(ErrorKind::Denied,
                   cat(which,
                       ": a rule without a host is for all names there are; only an "
                       "operator sets it"));
    }
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
  GANGWAY_TRY(check_hosts(state.services(), uid, fresh.endpoints));
  // One place leads to one endpoint.
  using RulePlace = std::tuple<std::string_view, std::string_view, bool>;
  std::map<RulePlace, const ServiceKey*> places;
  const auto claim = [&](const ServiceKey& key,
                         const std::vector<IngressRule>& rules) -> Result<void> {
    for (const IngressRule& rule : rules) {
      const RulePlace place(rule.host, rule.path, rule.exact);
      const auto [entry, is_free] = places.emplace(place, &key);
      if (is_free) continue;
      return conflict(
          cat("rule ", place_of(rule), ": leads to service ", entry->second->name, " already"));
    }
    return {};
  };
  std::size_t rules = 0;
  for (const auto& [key, service] : state.services()) {
    if (key.uid != uid || fresh.endpoints.contains(key)) continue;
    GANGWAY_TRY(claim(key, service.rules));
    rules += service.rules.size();
  }
  for (const auto& [key, set] : fresh.endpoints) {
    GANGWAY_TRY(claim(key, set.rules));
    rules += set.rules.size();
  }
  if (request.rules_size() > 0 && rules > kMaxRulesOfUser) {
    return Error(ErrorKind::Exhausted, cat("a user has at most ", kMaxRulesOfUser, " rules"));
  }
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
        own += key.uid == uid ? 1 : 0;
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
        ++own;
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
  if (!fresh.endpoints.empty() && own > config.endpoint_ports_per_user) {
    return Error(ErrorKind::Exhausted,
                 cat("a user has at most ", config.endpoint_ports_per_user, " ports of endpoints"));
  }
  return {};
}

}  // namespace gangway::scheduler
