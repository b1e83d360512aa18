// SchedulerLink: the balancer's conversation with the scheduler, over the socket for people: routes
// come, and what is in force goes back.
//
// The transport reconnects; routes are subscribed to anew each time, and the scheduler then sends
// all of them. While it is away the last ones stay in force.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "queues/io/transport.hpp"
#include "scheduler/balancer/routes.hpp"

namespace gangway::balancer {

class SchedulerLink final : public io::PeerHandler {
 public:
  using OnRoutes = std::function<void(std::uint64_t version, std::vector<Route> routes)>;

  // Both outlive the link.
  SchedulerLink(io::Transport& transport, OnRoutes on_routes)
      : transport_(transport), on_routes_(std::move(on_routes)) {}

  // Nothing, while there is no connection: who comes back is told again.
  void confirm(std::uint64_t version, const std::vector<std::uint64_t>& drained);

  void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
  void on_frame(io::PeerId peer, wire::Frame frame) override;
  void on_closed(io::PeerId peer, const Error& why) override;

 private:
  io::Transport& transport_;
  OnRoutes on_routes_;
  std::optional<io::PeerId> peer_;
  std::uint32_t stream_ = 0;
  std::vector<Route> parts_;  // of a table whose last part has not come yet
};

}  // namespace gangway::balancer
