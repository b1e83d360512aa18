// Daemon: turns the controller's turns into the world's: commits, then sends and replies. The same
// class runs in jschedd over sockets and SQLite and in the simulator over virtual ones.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "queues/io/event_loop.hpp"
#include "queues/io/transport.hpp"
#include "queues/store/job_store.hpp"
#include "queues/wire/glance.pb.h"
#include "scheduler/controller.hpp"

namespace gangway::scheduler {

// What load_live() gave, together with the finished jobs that waiting ones depend on: the
// controller has to know how they ended. Errors: those of the store.
[[nodiscard]] Result<store::LiveState> complete_live_state(store::LiveState loaded,
                                                           store::JobStore& store);

class Daemon final : public io::PeerHandler {
 public:
  // `on_fatal` is called once when a commit was Fenced or Full: memory is ahead of the store then,
  // nothing more is performed, and the process has to end and start again. All references outlive
  // the daemon, and it outlives every callback of `loop` and `store`.
  Daemon(io::EventLoop& loop,
         io::Transport& transport,
         store::JobStore& store,
         Epoch epoch,
         Controller& controller,
         std::function<void(store::CommitEnd)> on_fatal);

  // What is to be mailed; without it nothing is.
  using Mailer = std::function<void(const effect::SendMail&)>;
  void set_mailer(Mailer mailer) { mailer_ = std::move(mailer); }

  // Call once, before the first peer comes.
  void start();

  void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
  void on_frame(io::PeerId peer, wire::Frame frame) override;
  void on_closed(io::PeerId peer, const Error& why) override;

  // Turns that wait for the store.
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }

 private:
  void perform(Turn turn);
  // Of the peers for whom that is too much, until they are closed.
  std::set<io::PeerId> count_unsent(const std::vector<Effect>& effects);
  void release_durable();
  void apply(Effect effect);
  void arm(const effect::ArmTimer& timer);
  void ask_store(const effect::AskHistory& question);
  void send(io::PeerId to, wire::FrameType type, std::uint32_t stream, std::string payload);
  void on_request(io::PeerId peer, const io::LocalUser& user, const wire::Frame& frame);
  void on_from_node(io::PeerId peer, const wire::Frame& frame);

  struct PendingTurn {
    bool durable = false;
    std::vector<Effect> effects;
  };

  io::EventLoop& loop_;
  io::Transport& transport_;
  store::JobStore& store_;
  Epoch epoch_;
  Controller& controller_;
  std::function<void(store::CommitEnd)> on_fatal_;
  Mailer mailer_;
  std::map<io::PeerId, io::PeerIdentity> peers_;
  std::map<std::uint64_t, io::TimerId> timers_;
  std::deque<PendingTurn> pending_;           // oldest first
  std::map<io::PeerId, std::size_t> unsent_;  // bytes of answers in it
  std::uint64_t first_pending_ = 0;           // number of pending_.front()
  wire::RequestGlance glance_;                // its memory is used again
  bool releasing_ = false;
  bool stopped_ = false;
};

}  // namespace gangway::scheduler
