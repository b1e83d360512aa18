#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/config/config_text.hpp"
#include "queues/config/keys.hpp"

namespace gangway::config {

namespace {

constexpr std::int64_t kMaxPort = 65535;

// Also what is safe in HAProxy's configuration: an address and nothing else.
Result<void> check_address(const std::string& text) {
  constexpr std::string_view kOfAddresses = "0123456789abcdefABCDEF.:";
  if (!text.empty() && text.find_first_not_of(kOfAddresses) == std::string::npos) return {};
  return Error(ErrorKind::Invalid, "must be an IP address of this machine");
}

const Key<BalancerConfig> kBalancerKeys[] = {
    {"enabled",
     "whether a jbalancerd runs, which replicas are taken out of before they are stopped",
     [](const Value& v, BalancerConfig& b) { v.read(b.enabled); },
     [](const BalancerConfig& b) { return std::string(b.enabled ? "true" : "false"); }},
    {"address", "where services listen that are to be reached from outside",
     [](const Value& v, BalancerConfig& b) {
       v.read(b.address);
       v.check(check_address(b.address));
     },
     [](const BalancerConfig& b) { return quoted(b.address); }},
    {"network", "network namespace of that address, as ip-netns(8) names it; not set: its own",
     [](const Value& v, BalancerConfig& b) {
       v.read(b.network);
       if (!is_name(b.network)) v.fail("must be a name that ip netns shows");
     },
     [](const BalancerConfig& b) { return b.network.empty() ? b.network : quoted(b.network); }},
    {"inside", "where services listen that are meant for the cluster alone",
     [](const Value& v, BalancerConfig& b) {
       v.read(b.inside);
       v.check(check_address(b.inside));
     },
     [](const BalancerConfig& b) { return quoted(b.inside); }},
    {"ingress", "port for rules by host and path; 0: none",
     [](const Value& v, BalancerConfig& b) { v.read(b.ingress, 0, kMaxPort); },
     [](const BalancerConfig& b) { return cat(b.ingress); }},
    {"ingress_tls", "the same with a certificate; 0: none",
     [](const Value& v, BalancerConfig& b) { v.read(b.ingress_tls, 0, kMaxPort); },
     [](const BalancerConfig& b) { return cat(b.ingress_tls); }},
    {"ports", "ports that are taken here, and what is listened on instead, as {80: 8080}",
     [](const Value& v, BalancerConfig& b) {
       v.read_amounts(b.ports,
                      [](const Value& item, std::int64_t& port) { item.read(port, 1, kMaxPort); });
       const bool good = std::ranges::all_of(b.ports, [](const auto& one) {
         const auto port = parse_integer<std::int64_t>(one.first);
         return port && *port >= 1 && *port <= kMaxPort;
       });
       if (!good) v.fail("must be ports with ports, as {80: 8080}");
     },
     [](const BalancerConfig& b) {
       std::string out;
       for (const auto& [port, instead] : b.ports) {
         out += cat(out.empty() ? "{" : ", ", port, ": ", instead);
       }
       return out.empty() ? out : out + "}";
     }},
    {"certificates", "directory of <user>/<secret>.pem, certificate and key, for rules with TLS",
     [](const Value& v, BalancerConfig& b) {
       v.read(b.certificates);
       v.check(check_path(b.certificates));
     },
     [](const BalancerConfig& b) { return quoted(b.certificates); }},
    {"spool", "directory of HAProxy's configuration and sockets",
     [](const Value& v, BalancerConfig& b) {
       v.read(b.spool);
       v.check(check_path(b.spool));
     },
     [](const BalancerConfig& b) { return quoted(b.spool); }},
    {"drain", "for requests in flight when a replica is to be stopped; then it is, all the same",
     [](const Value& v, BalancerConfig& b) { v.read(b.drain, Duration{}); },
     [](const BalancerConfig& b) { return render_exactly(b.drain); }},
};

}  // namespace

std::span<const Key<BalancerConfig>> balancer_keys() { return kBalancerKeys; }

}  // namespace gangway::config
