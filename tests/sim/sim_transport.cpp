#include "tests/sim/sim_transport.hpp"

#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::sim {

Result<void> SimTransport::send(io::PeerId peer, wire::Frame frame) {
  return network_.send(process_, peer, std::move(frame));
}
void SimTransport::close(io::PeerId peer) { network_.close(process_, peer); }
void SimTransport::listen(const std::string& address, io::PeerHandler& handler) {
  network_.listen(process_, address, handler);
}
void SimTransport::connect(const std::string& address,
                           io::PeerIdentity identity,
                           io::PeerIdentity peer,
                           io::PeerHandler& handler,
                           bool again) {
  network_.connect(process_, address, std::move(identity), std::move(peer), handler, again, {});
}

Network::Network(World& world) : world_(world) {
  world_.on_leave_ = [this](std::uint64_t process) { process_left(process); };
}

void Network::listen(Process& process, const std::string& address, io::PeerHandler& handler) {
  listeners_[address] = {&process, process.id(), process.host(), &handler};
}

void Network::connect(Process& process,
                      const std::string& address,
                      io::PeerIdentity identity,
                      io::PeerIdentity peer,
                      io::PeerHandler& handler,
                      bool again,
                      Duration wait) {
  Process* self = &process;
  io::PeerHandler* mine = &handler;
  const Duration travel{
      world_.rng().between(world_.faults.delay_min.ns, world_.faults.delay_max.ns)};
  world_.schedule(world_.now().boot + wait + travel, process.id(), [=, this] {
    const auto listener = listeners_.find(address);
    const bool reachable = listener != listeners_.end() &&
                           !world_.is_cut(self->host(), listener->second.host) &&
                           !world_.is_cut(listener->second.host, self->host());
    if (!reachable) {
      const Duration next = std::min(seconds(1), wait + wait + milliseconds(100));
      connect(*self, address, identity, peer, *mine, again, next);
      return;
    }
    const std::uint64_t number = next_link_++;
    Link& link = links_[number];
    link.address = address;
    link.again = again;
    link.identity = identity;
    const BootTime made = world_.now().boot;
    link.sides[0] = {self, self->id(), self->host(), mine, {next_peer_++}, peer, made};
    link.sides[1] = {listener->second.self,
                     listener->second.process,
                     listener->second.host,
                     listener->second.handler,
                     {next_peer_++},
                     identity,
                     made};
    by_peer_[{link.sides[0].process, link.sides[0].seen_as}] = {number, 0};
    by_peer_[{link.sides[1].process, link.sides[1].seen_as}] = {number, 1};
    world_.note(cat("connected ", self->name(), " -> ", address));
    const Side server = link.sides[1];
    const Side client = link.sides[0];
    world_.schedule(world_.now().boot, server.process, [=, this] {
      if (links_.contains(number)) server.handler->on_connected(server.seen_as, server.shown);
    });
    world_.schedule(world_.now().boot, client.process, [=, this] {
      if (links_.contains(number)) client.handler->on_connected(client.seen_as, client.shown);
    });
  });
}

Result<void> Network::send(Process& process, io::PeerId peer, wire::Frame frame) {
  const auto found = by_peer_.find({process.id(), peer});
  if (found == by_peer_.end()) return Error{ErrorKind::NotFound, "peer is gone"};
  const auto [number, from] = found->second;
  Link& link = links_.at(number);
  const int to = 1 - from;
  Rng& rng = world_.rng();
  const NetworkFaults& faults = world_.faults;
  if (link.sides[0].host != link.sides[1].host && rng.chance(faults.break_per_mille)) {
    break_link(number, milliseconds(1), "connection broke");
    return {};
  }
  if (lose && lose(link.sides[from].host, link.sides[to].host, frame)) {
    world_.note("frame lost");
    return {};
  }
  Duration travel{rng.between(faults.delay_min.ns, faults.delay_max.ns)};
  if (rng.chance(faults.slow_per_mille)) travel = Duration{rng.between(0, faults.slow_max.ns)};
  BootTime at = world_.now().boot + travel;
  if (at < link.sides[to].last_delivery) at = link.sides[to].last_delivery;
  link.sides[to].last_delivery = at;
  // Only what is sent to or by the scheduler is ever said twice: by those who had no answer.
  const bool repeatable = link.sides[0].host != link.sides[1].host &&
                          (link.sides[0].host == "sched" || link.sides[1].host == "sched");
  const int copies = repeatable && rng.chance(faults.repeat_per_mille) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    link.sides[to].arriving.push_back({at, frame});
    world_.schedule(at, 0, [this, number = number, to = to] { pump(number, to); });
  }
  return {};
}

// Delivers what has arrived, in order. Across a cut nothing arrives; as with TCP it is sent again
// until the cut is over or the ends give up.
void Network::pump(std::uint64_t number, int to) {
  const auto found = links_.find(number);
  if (found == links_.end()) return;
  Link& link = found->second;
  Side& receiver = link.sides[to];
  if (receiver.arriving.empty() || receiver.arriving.front().at > world_.now().boot) return;
  if (world_.is_cut(link.sides[1 - to].host, receiver.host)) {
    time_the_cut(number);
    world_.schedule(world_.now().boot + milliseconds(200), 0,
                    [this, number, to] { pump(number, to); });
    return;
  }
  wire::Frame frame = std::move(receiver.arriving.front().frame);
  receiver.arriving.pop_front();
  io::PeerHandler* handler = receiver.handler;
  const io::PeerId from = receiver.seen_as;
  // What waited behind a cut comes in events of its own, one turn each.
  world_.schedule(world_.now().boot, 0, [this, number, to] { pump(number, to); });
  handler->on_frame(from, std::move(frame));
}

void Network::time_the_cut(std::uint64_t number) {
  Link& link = links_.at(number);
  if (link.doomed) return;
  link.doomed = true;
  world_.schedule(world_.now().boot + world_.faults.dead_after, 0, [this, number] {
    const auto still = links_.find(number);
    if (still == links_.end()) return;
    Link& l = still->second;
    l.doomed = false;
    if (world_.is_cut(l.sides[0].host, l.sides[1].host) ||
        world_.is_cut(l.sides[1].host, l.sides[0].host)) {
      break_link(number, {}, "silent for too long");
    }
  });
}

void Network::close(Process& process, io::PeerId peer) {
  const auto found = by_peer_.find({process.id(), peer});
  if (found == by_peer_.end()) return;
  const std::uint64_t number = found->second.first;
  links_.at(number).again = false;
  // What is queued is still written.
  BootTime last = world_.now().boot;
  for (const Side& side : links_.at(number).sides) last = std::max(last, side.last_delivery);
  world_.schedule(last, 0, [this, number] {
    if (links_.contains(number)) break_link(number, {}, "closed");
  });
}

void Network::break_link(std::uint64_t number, Duration notice_after, const std::string& why) {
  const Link link = std::move(links_.at(number));
  links_.erase(number);
  const BootTime noticed = world_.now().boot + notice_after;
  for (const Side& side : link.sides) {
    by_peer_.erase({side.process, side.seen_as});
    world_.schedule(noticed, side.process, [handler = side.handler, peer = side.seen_as, why] {
      handler->on_closed(peer, Error{ErrorKind::Unavailable, why});
    });
  }
  if (!link.again) return;
  // The transport of the side that had connected tries again.
  const Side& client = link.sides[0];
  world_.schedule(noticed, client.process,
                  [this, self = client.self, handler = client.handler, address = link.address,
                   identity = link.identity, peer = client.shown] {
                    connect(*self, address, identity, peer, *handler, true, milliseconds(100));
                  });
}

void Network::process_left(std::uint64_t process) {
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    it = it->second.process == process ? listeners_.erase(it) : std::next(it);
  }
  std::vector<std::uint64_t> broken;
  for (const auto& [number, link] : links_) {
    if (link.sides[0].process == process || link.sides[1].process == process) {
      broken.push_back(number);
    }
  }
  for (const std::uint64_t number : broken) break_link(number, milliseconds(1), "peer died");
}

}  // namespace gangway::sim
