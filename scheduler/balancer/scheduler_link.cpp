#include "scheduler/balancer/scheduler_link.hpp"

#include "queues/base/log.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/gangway.pb.h"
#include "queues/wire/service.pb.h"

namespace gangway::balancer {

namespace {

constexpr std::uint32_t kRoutesStream = 1;

Route route_of(const wire::Route& from) {
  Route route{.uid = from.uid(),
              .user = from.user(),
              .endpoint = from.endpoint(),
              .reach = from.reach() == 0   ? Endpoint::Reach::Cluster
                       : from.reach() == 1 ? Endpoint::Reach::Node
                                           : Endpoint::Reach::LoadBalancer,
              .port_name = from.port_name(),
              .port = from.port(),
              .listen_port = from.listen_port(),
              .backends = {},
              .rules = {}};
  for (const wire::RouteBackend& backend : from.backends()) {
    route.backends.push_back(
        {backend.replica(), backend.address(), backend.port(), backend.drain()});
  }
  for (const wire::IngressRule& rule : from.rules()) {
    route.rules.push_back(
        {rule.host(), rule.path(), rule.exact(), rule.endpoint(), rule.port(), rule.tls_secret()});
  }
  return route;
}

}  // namespace

void SchedulerLink::on_connected(io::PeerId peer, const io::PeerIdentity&) {
  peer_ = peer;
  stream_ = kRoutesStream;
  parts_.clear();
  wire::Request request;
  request.mutable_subscribe_routes();
  static_cast<void>(transport_.send(peer, {.type = wire::FrameType::Request,
                                           .stream = kRoutesStream,
                                           .payload = request.SerializeAsString()}));
}

void SchedulerLink::on_frame(io::PeerId peer, wire::Frame frame) {
  wire::Response response;
  if (frame.type != wire::FrameType::Response || !response.ParseFromString(frame.payload)) {
    log_warning("unreadable_answer", {});
    return transport_.close(peer);
  }
  if (response.has_error()) {
    log_error("scheduler_refuses", {{"why", response.error().message()}});
    // A refused subscription is no subscription; the next connection tries again.
    if (frame.stream == kRoutesStream) transport_.close(peer);
    return;
  }
  if (!response.has_routes()) return;
  for (const wire::Route& route : response.routes().routes()) parts_.push_back(route_of(route));
  if (response.routes().version() == 0) return;  // more of the same table follows
  on_routes_(response.routes().version(), std::exchange(parts_, {}));
}

void SchedulerLink::on_closed(io::PeerId peer, const Error& why) {
  if (peer_ != peer) return;
  log_warning("scheduler_away", {{"why", why.message()}});
  peer_.reset();
}

void SchedulerLink::confirm(std::uint64_t version, const std::vector<std::uint64_t>& drained) {
  if (!peer_) return;
  wire::Request request;
  request.mutable_confirm_routes()->set_version(version);
  for (const std::uint64_t replica : drained)
    request.mutable_confirm_routes()->add_drained(replica);
  static_cast<void>(transport_.send(*peer_, {.type = wire::FrameType::Request,
                                             .stream = ++stream_,
                                             .payload = request.SerializeAsString()}));
}

}  // namespace gangway::balancer
