// Daemon: turns the controller's turns into the world's: commits, then sends and replies. The same
// class runs in jschedd over sockets and SQLite and in the simulator over virtual ones.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>

#include "queues/io/event_loop.hpp"
#include "queues/io/transport.hpp"
#include "queues/store/job_store.hpp"
#include "scheduler/controller.hpp"

namespace gangway::scheduler {

class Daemon final : public io::PeerHandler {
 public:
  // `on_fatal` is called when a commit was Fenced or Full: memory is ahead of the store then, and
  // the process has to end and start again. All references outlive the daemon.
  Daemon(io::EventLoop& loop, io::Transport& transport, store::JobStore& store, Epoch epoch,
         Controller& controller, std::function<void(store::CommitEnd)> on_fatal);

  void start();

  void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
  void on_frame(io::PeerId peer, wire::Frame frame) override;
  void on_closed(io::PeerId peer, const Error& why) override;

 private:
  void perform(Turn turn);
  void release_durable();
  void apply(Effect effect);

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
  std::map<io::PeerId, io::PeerIdentity> peers_;
  std::map<std::uint64_t, io::TimerId> timers_;
  std::deque<PendingTurn> pending_;     // oldest first
  std::uint64_t first_pending_ = 0;     // number of pending_.front()
  bool stopped_ = false;
};

}  // namespace gangway::scheduler
