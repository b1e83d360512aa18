#include "tests/sim/sim_client.hpp"

#include "queues/base/check.hpp"

namespace gangway::sim {

SimClient::SimClient(
    World& world, Network& network, std::string host, std::string address, std::uint32_t uid)
    : process_(world, std::move(host), "client"), transport_(network, process_) {
  transport_.connect(address, io::LocalUser{uid, uid, 1}, io::ClusterMember{}, *this, true);
}

void SimClient::ask(wire::Request request, std::function<void(const wire::Response&)> on_answer) {
  const std::uint32_t stream = next_stream_++;
  open_[stream] = {std::move(request), std::move(on_answer)};
  send(stream);
  again(stream);
}

void SimClient::send(std::uint32_t stream) {
  if (!peer_) return;
  const auto sent = transport_.send(
      *peer_, {wire::FrameType::Request, stream, open_.at(stream).request.SerializeAsString()});
  (void)sent;  // a lost connection is the case this program exists for
}

void SimClient::again(std::uint32_t stream) {
  process_.arm(process_.now().boot + seconds(1), [this, stream] {
    if (!open_.contains(stream)) return;
    send(stream);
    again(stream);
  });
}

void SimClient::on_connected(io::PeerId peer, const io::PeerIdentity&) {
  peer_ = peer;
  for (const auto& [stream, question] : open_) send(stream);
}

void SimClient::on_frame(io::PeerId, wire::Frame frame) {
  const auto found = open_.find(frame.stream);
  if (found == open_.end() || frame.type != wire::FrameType::Response) return;
  wire::Response response;
  CHECK(response.ParseFromString(frame.payload));
  const bool retry =
      response.has_error() &&
      (response.error().kind() == static_cast<std::uint32_t>(ErrorKind::Unavailable) ||
       response.error().kind() == static_cast<std::uint32_t>(ErrorKind::Exhausted));
  if (retry || response.more()) return;
  const auto on_answer = std::move(found->second.on_answer);
  open_.erase(found);
  on_answer(response);
}

void SimClient::on_closed(io::PeerId, const Error&) { peer_.reset(); }

}  // namespace gangway::sim
