// A table as the text of HAProxy's configuration file.
//
// Who is ready is said by the scheduler, which probes the replicas. HAProxy's own check, a mere
// connection every two seconds, is a second opinion about the way between the two: a node whose
// cable was pulled is left out before the scheduler may call it lost, and a connection that is
// refused is tried at another server before anybody notices.
//
// Pure. Source: HAProxy's configuration manual, version 2.6.
#pragma once

#include <string>

#include "scheduler/balancer/routes.hpp"

namespace gangway::balancer {

struct HaproxySettings {
  std::string user;  // and group: whom its workers become; "": they stay who they are
  // A path for a listener where nobody comes, without which HAProxy would not run when there is
  // nothing to serve.
  std::string idle_socket;
};

// How each server is checked and watched, for the file and for `add server`.
inline constexpr const char* kServerOptions = "check inter 2s fall 2 rise 1";

[[nodiscard]] std::string render_haproxy(const Table& table, const HaproxySettings& settings);
// "10.77.0.2:8080", "[::1]:80".
[[nodiscard]] std::string render_address(const std::string& address, std::int32_t port);

}  // namespace gangway::balancer
