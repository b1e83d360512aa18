#include "scheduler/balancer/haproxy_config.hpp"

#include "queues/base/text.hpp"

namespace gangway::balancer {

namespace {

// Written for HTTP's shortest steps and TCP's longest silence. Old processes end at last, also when
// somebody holds a connection for ever.
constexpr std::string_view kDefaults = R"(
defaults
  mode tcp
  balance roundrobin
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  timeout queue 30s
  timeout http-request 10s
  timeout http-keep-alive 60s
  retries 3
  option redispatch 1
)";

std::string host_condition(const std::string& host) {
  if (host.empty()) return "";
  std::string pattern;
  const bool any_name = host.starts_with("*.");
  if (!any_name) return cat(" { req.hdr(host),field(1,:),lower -m str -- ", host, " }");
  for (const char c : host.substr(1)) pattern += c == '.' ? std::string("\\.") : std::string(1, c);
  return cat(" { req.hdr(host),field(1,:),lower -m reg -- ^[^.]+", pattern, "$ }");
}

void write_rule(const HostRule& rule, std::string& out) {
  const std::string host = host_condition(rule.host);
  const auto use = [&](const std::string& path) {
    out += cat("  use_backend ", rule.pool, host.empty() && path.empty() ? "" : " if", host, path,
               "\n");
  };
  if (rule.exact) return use(cat(" { path -m str -- ", rule.path, " }"));
  // By whole components: /api takes /api and /api/users, but not /apis.
  std::string prefix = rule.path;
  while (prefix.ends_with('/')) prefix.pop_back();
  if (prefix.empty()) return use("");
  use(cat(" { path -m str -- ", prefix, " }"));
  use(cat(" { path -m beg -- ", prefix, "/ }"));
}

void write_listener(const ListenAddress& where, const Listener& listener, std::string& out) {
  out +=
      cat("\nfrontend ", where.address, "_", where.port, "\n  mode ",
          listener.http ? "http" : "tcp", "\n  bind ", render_address(where.address, where.port));
  if (!where.network.empty()) out += cat(" namespace ", where.network);
  if (!listener.certificates.empty()) {
    out += " ssl alpn h2,http/1.1";
    for (const std::string& file : listener.certificates) out += cat(" crt ", file);
  }
  out += "\n";
  if (listener.http) out += "  option forwardfor\n";
  for (const HostRule& rule : listener.rules) write_rule(rule, out);
  if (!listener.pool.empty()) out += cat("  default_backend ", listener.pool, "\n");
}

void write_pool(const std::string& name, const Pool& pool, std::string& out) {
  out += cat("\nbackend ", name, "\n  mode ", pool.http ? "http" : "tcp", "\n");
  for (const auto& [server, what] : pool.servers) {
    // Weight 0 is what the runtime calls drain.
    out += cat("  server ", server, " ", render_address(what.address, what.port), " ",
               kServerOptions, what.drain ? " weight 0" : "", "\n");
  }
}

}  // namespace

std::string render_address(const std::string& address, std::int32_t port) {
  const bool is_v6 = address.find(':') != std::string::npos;
  return cat(is_v6 ? "[" : "", address, is_v6 ? "]:" : ":", port);
}

std::string render_haproxy(const Table& table, const HaproxySettings& settings) {
  std::string out = "# Written by jbalancerd; what is changed here is lost.\nglobal\n";
  if (!settings.user.empty()) {
    out += cat("  user ", settings.user, "\n  group ", settings.user, "\n");
  }
  // Each time the file is read again an old worker stays until its last connection is over.
  out +=
      "  mworker-max-reloads 20\n  hard-stop-after 1h\n  ssl-default-bind-options ssl-min-ver "
      "TLSv1.2\n";
  out += kDefaults;
  if (table.listeners.empty()) {
    out += cat("\nfrontend nobody\n  bind unix@", settings.idle_socket, " mode 600\n");
  }
  for (const auto& [where, listener] : table.listeners) write_listener(where, listener, out);
  for (const auto& [name, pool] : table.pools) write_pool(name, pool, out);
  return out;
}

}  // namespace gangway::balancer
