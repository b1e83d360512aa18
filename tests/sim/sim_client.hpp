// A person's program in the simulator: sends a request until it is answered, as jsubmit does, with
// the same key each time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "queues/wire/gangway.pb.h"
#include "tests/sim/sim_transport.hpp"
#include "tests/sim/sim_world.hpp"

namespace gangway::sim {

class SimClient final : public io::PeerHandler {
 public:
  SimClient(World& world,
            Network& network,
            std::string host,
            std::string address,
            std::uint32_t uid = 1000);

  // Sends `request` now and again every second until a response has come. Submissions must carry a
  // key: they may arrive more than once.
  void ask(wire::Request request, std::function<void(const wire::Response&)> on_answer);
  [[nodiscard]] std::size_t unanswered() const { return open_.size(); }

  void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
  void on_frame(io::PeerId peer, wire::Frame frame) override;
  void on_closed(io::PeerId peer, const Error& why) override;

 private:
  struct Question {
    wire::Request request;
    std::function<void(const wire::Response&)> on_answer;
  };
  void send(std::uint32_t stream);
  void again(std::uint32_t stream);

  Process process_;
  SimTransport transport_;
  std::optional<io::PeerId> peer_;
  std::uint32_t next_stream_ = 1;
  std::map<std::uint32_t, Question> open_;
};

}  // namespace gangway::sim
