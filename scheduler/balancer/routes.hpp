// What the balancer is told, and what becomes of it: routes of services to tables of HAProxy's
// listeners and pools.
//
// A route is one port of one endpoint with the replicas behind it. A table is the same as HAProxy
// sees it: who listens where, and which servers are in which pool. One user's mistake must not cost
// the others their service: whatever cannot be served is left out, and said.
//
// Pure but for what a Machine is asked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "queues/config/config.hpp"
#include "queues/model/service.hpp"

namespace gangway::balancer {

struct Backend {
  std::uint64_t replica = 0;
  std::string address;  // IP
  std::int32_t port = 0;
  bool drain = false;  // gets nothing new
  friend bool operator==(const Backend&, const Backend&) = default;
};

struct Route {
  std::uint32_t uid = 0;
  std::string user;
  std::string endpoint;
  Endpoint::Reach reach = Endpoint::Reach::Cluster;
  std::string port_name;
  std::int32_t port = 0;         // the endpoint's own
  std::int32_t listen_port = 0;  // no other route's
  std::vector<Backend> backends;
  std::vector<IngressRule> rules;
  friend bool operator==(const Route&, const Route&) = default;
};

// By name; a name holds replica and address, so that one that comes back elsewhere is another.
struct PoolServer {
  std::string address;
  std::int32_t port = 0;
  bool drain = false;
  friend bool operator==(const PoolServer&, const PoolServer&) = default;
};
struct Pool {
  bool http = false;  // request by request; else connection by connection
  std::map<std::string, PoolServer> servers;
  friend bool operator==(const Pool&, const Pool&) = default;
};

struct HostRule {
  std::string host;  // "": any; "*.example.org": any one name before it
  std::string path;
  bool exact = false;
  std::string pool;
  friend bool operator==(const HostRule&, const HostRule&) = default;
};
struct Listener {
  bool http = false;
  std::string pool;                       // for what no rule takes; "": refused
  std::vector<HostRule> rules;            // the first that fits counts
  std::vector<std::string> certificates;  // files; any make it TLS
  friend bool operator==(const Listener&, const Listener&) = default;
};
struct ListenAddress {
  std::string address;
  std::int32_t port = 0;
  std::string network{};  // namespace, as ip-netns(8) names it; "": HAProxy's own
  friend auto operator<=>(const ListenAddress&, const ListenAddress&) = default;
};

struct Table {
  std::map<ListenAddress, Listener> listeners;
  std::map<std::string, Pool> pools;
  friend bool operator==(const Table&, const Table&) = default;
};

struct MadeTable {
  Table table;
  std::vector<std::string> refused;  // a line each: what is not served, and why
};

// What the machine allows; where nothing is given, everything.
struct Machine {
  std::function<bool(const ListenAddress& where)> can_listen;
  std::function<bool(const std::string& file)> is_certificate;
};

[[nodiscard]] MadeTable make_table(const std::vector<Route>& routes,
                                   const config::BalancerConfig& settings,
                                   const Machine& machine = {});

[[nodiscard]] std::string server_name(const Backend& backend);
// Of a server's name; 0 if it is none of ours.
[[nodiscard]] std::uint64_t replica_of(std::string_view server);

}  // namespace gangway::balancer
