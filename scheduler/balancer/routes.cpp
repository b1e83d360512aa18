#include "scheduler/balancer/routes.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "queues/base/text.hpp"
#include "queues/model/ingress_rule.hpp"

namespace gangway::balancer {

namespace {

// Names and paths become words of HAProxy's configuration: whatever could be more than a word there
// is refused, whoever should have refused it before.
bool consists_of(std::string_view text, std::string_view more) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}
bool is_name(std::string_view text) { return !text.empty() && consists_of(text, "-_."); }
// A name would have to be found while the file is read, and one that is not found costs all.
bool is_address(const std::string& text) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

// As Kubernetes' Ingress has it: a named host before any, then the longest path, and of equal ones
// the exact.
auto rank(const HostRule& rule) {
  const int host = rule.host.empty() ? 2 : rule.host.starts_with('*') ? 1 : 0;
  return std::tuple(host, rule.host, -static_cast<std::int64_t>(rule.path.size()), !rule.exact);
}

class TableMaker {
 public:
  TableMaker(const config::BalancerConfig& settings, const Machine& machine)
      : settings_(settings), machine_(machine) {}

  MadeTable make(const std::vector<Route>& routes) {
    // Rules are of many users, a port is of one: they listen first.
    for (const Route& route : routes) {
      for (const IngressRule& rule : route.rules) take_rule(route, rule);
    }
    listen_for_rules(settings_.ingress, plain_, {});
    listen_for_rules(settings_.ingress_tls, secure_, {certificates_.begin(), certificates_.end()});
    for (const Route& route : routes) listen(route);
    return std::move(made_);
  }

 private:
  void refuse(const Route& route, std::string_view what) {
    made_.refused.push_back(cat("endpoint ", route.endpoint, " of ", route.user, ": ", what));
  }

  [[nodiscard]] std::int32_t mapped(std::int64_t port) const {
    for (const auto& [from, to] : settings_.ports) {
      if (from == cat(port)) return static_cast<std::int32_t>(to);
    }
    return static_cast<std::int32_t>(port);
  }

  [[nodiscard]] ListenAddress outside(std::int64_t port) const {
    return {settings_.address, mapped(port), settings_.network};
  }

  [[nodiscard]] bool can_listen(const ListenAddress& where) const {
    return !machine_.can_listen || machine_.can_listen(where);
  }

  // The pool of a route, made at first use; "": it cannot be one.
  std::string pool_of(const Route& route, bool http) {
    if (!is_name(route.endpoint)) return "";
    std::string name =
        cat(http ? "http" : "tcp", ".", route.uid, ".", route.endpoint, ".", route.port);
    const auto [found, is_new] = made_.table.pools.try_emplace(name);
    if (!is_new) return name;
    found->second.http = http;
    for (const Backend& backend : route.backends) {
      if (!is_address(backend.address) || backend.port < 1 || backend.port > 65535) {
        refuse(route, cat("replica ", backend.replica, " has no address to be reached at"));
        continue;
      }
      found->second.servers[server_name(backend)] = {backend.address, backend.port, backend.drain};
    }
    return name;
  }

  void listen(const Route& route) {
    if (route.listen_port == 0) return;
    const bool inside = route.reach == Endpoint::Reach::Cluster;
    const ListenAddress where = inside ? ListenAddress{settings_.inside, mapped(route.listen_port)}
                                       : outside(route.listen_port);
    if (const auto other = made_.table.listeners.find(where);
        other != made_.table.listeners.end()) {
      return refuse(route, cat("port ", where.port, " is ",
                               other->second.rules.empty() ? "another endpoint's"
                                                           : "that of rules of Ingress"));
    }
    if (!can_listen(where)) {
      return refuse(route, cat("port ", where.port, " of ", where.address,
                               " is taken on this machine; balancer.ports may name another"));
    }
    const bool http = route.port_name == "http" || route.port_name.starts_with("http-");
    const std::string pool = pool_of(route, http);
    if (pool.empty()) return refuse(route, "its name cannot be used");
    made_.table.listeners[where] = {.http = http, .pool = pool, .rules = {}, .certificates = {}};
  }

  void take_rule(const Route& route, const IngressRule& written) {
    const IngressRule rule = in_normal_form(written);
    HostRule taken{rule.host, rule.path, rule.exact, ""};
    const std::string called = cat("rule ", written.host, written.path);
    if (!check_place(rule)) {
      return refuse(route, cat(called, ": host or path cannot be used"));
    }
    std::optional<std::string> certificate;
    if (!rule.tls_secret.empty()) {
      certificate = cat(settings_.certificates, "/", route.user, "/", rule.tls_secret, ".pem");
      const bool good = is_name(rule.tls_secret) && is_name(route.user) &&
                        (!machine_.is_certificate || machine_.is_certificate(*certificate));
      if (!good) return refuse(route, cat(called, ": ", *certificate, " is no certificate"));
    }
    std::vector<HostRule>& rules = certificate ? secure_ : plain_;
    const bool taken_before = std::ranges::any_of(rules, [&](const HostRule& other) {
      return rank(other) == rank(taken) && other.path == taken.path;
    });
    if (taken_before) return refuse(route, cat(called, ": is another endpoint's already"));
    taken.pool = pool_of(route, true);
    if (taken.pool.empty()) return refuse(route, "its name cannot be used");
    if (certificate && std::ranges::find(certificates_, *certificate) == certificates_.end()) {
      certificates_.push_back(*certificate);
    }
    rules.push_back(std::move(taken));
  }

  void listen_for_rules(std::int64_t port,
                        std::vector<HostRule> rules,
                        std::vector<std::string> certificates) {
    if (rules.empty()) return;
    const ListenAddress where = outside(port);
    const bool free = port != 0 && !made_.table.listeners.contains(where) && can_listen(where);
    if (!free) {
      made_.refused.push_back(cat(rules.size(), " rules of Ingress: port ", where.port, " of ",
                                  where.address, port == 0 ? " is none" : " is taken"));
      return;
    }
    std::ranges::stable_sort(rules, {}, rank);
    made_.table.listeners[where] = {.http = true,
                                    .pool = "",
                                    .rules = std::move(rules),
                                    .certificates = std::move(certificates)};
  }

  const config::BalancerConfig& settings_;
  const Machine& machine_;
  MadeTable made_;
  std::vector<HostRule> plain_;
  std::vector<HostRule> secure_;
  std::vector<std::string> certificates_;
};

}  // namespace

std::string server_name(const Backend& backend) {
  return cat("r", backend.replica, "_", backend.address, "_", backend.port);
}

std::uint64_t replica_of(std::string_view server) {
  if (!server.starts_with('r')) return 0;
  return parse_integer<std::uint64_t>(server.substr(1, server.find('_') - 1)).value_or(0);
}

MadeTable make_table(const std::vector<Route>& routes,
                     const config::BalancerConfig& settings,
                     const Machine& machine) {
  return TableMaker(settings, machine).make(routes);
}

}  // namespace gangway::balancer
