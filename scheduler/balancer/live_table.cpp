#include "scheduler/balancer/live_table.hpp"

#include "queues/base/text.hpp"
#include "scheduler/balancer/haproxy_config.hpp"

namespace gangway::balancer {

namespace {

bool same_shape(const Table& a, const Table& b) {
  if (a.listeners != b.listeners || a.pools.size() != b.pools.size()) return false;
  for (const auto& [name, pool] : a.pools) {
    const auto other = b.pools.find(name);
    if (other == b.pools.end() || other->second.http != pool.http) return false;
  }
  return true;
}

}  // namespace

Change LiveTable::plan(const Table& wanted) const {
  Change change;
  change.reload = !same_shape(has_, wanted);
  if (change.reload) return change;
  std::vector<std::string>& commands = change.commands;
  // Who comes before who goes: so that a pool is never emptier than it was and will be.
  for (const auto& [name, pool] : wanted.pools) {
    const auto& before = has_.pools.at(name).servers;
    for (const auto& [server, what] : pool.servers) {
      const std::string full = cat(name, "/", server);
      const auto old = before.find(server);
      const bool is_new = old == before.end();
      if (is_new && !leaving_.contains(full)) {
        commands.push_back(cat("add server ", full, " ", render_address(what.address, what.port),
                               " ", kServerOptions));
        commands.push_back(cat("enable health ", full));
      }
      if (!is_new && old->second.drain == what.drain) continue;
      // One that the file had drained has no weight.
      if (!what.drain) commands.push_back(cat("set weight ", full, " 1"));
      commands.push_back(cat("set server ", full, " state ", what.drain ? "drain" : "ready"));
    }
  }
  for (const auto& [name, pool] : has_.pools) {
    const auto& after = wanted.pools.at(name).servers;
    for (const auto& [server, what] : pool.servers) {
      if (after.contains(server)) continue;
      commands.push_back(cat("set server ", name, "/", server, " state maint"));
    }
  }
  return change;
}

void LiveTable::obeyed(const Table& wanted) {
  for (const auto& [name, pool] : has_.pools) {
    const auto after = wanted.pools.find(name);
    if (after == wanted.pools.end()) continue;
    for (const auto& [server, what] : pool.servers) {
      if (!after->second.servers.contains(server)) leaving_.insert(cat(name, "/", server));
    }
  }
  for (const auto& [name, pool] : wanted.pools) {
    for (const auto& [server, what] : pool.servers) leaving_.erase(cat(name, "/", server));
  }
  has_ = wanted;
}

bool is_success(std::string_view command, std::string_view answer) {
  answer = trim(answer);
  if (command.starts_with("add server")) return answer.starts_with("New server registered");
  if (command.starts_with("del server")) return answer.starts_with("Server deleted");
  return answer.empty();
}

}  // namespace gangway::balancer
