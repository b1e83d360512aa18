// Executors: who is in contact, what they hold, and what the loss of one means (PROTOCOL.md 6.1,
// 6.4).
//
// Heartbeats are acknowledged only on a connection that has registered: an acknowledgement renews
// the leases of the attempts there, so a node that was declared lost has to register, and to have
// what it still holds compared with our record, before it gets one.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

void Controller::Impl::send_node(const NodeName& node, wire::ToNode message) {
  const auto link = links.find(node);
  // What a node did not hear it is told again when it registers.
  if (link == links.end() || !link->second.peer || !link->second.registered) return;
  message.set_epoch(epoch.value);
  turn.effects.emplace_back(effect::SendNode{*link->second.peer, std::move(message)});
}

void Controller::Impl::tell_planner_of(const NodeName& name) {
  const Node& node = *state.find_node(name);
  const auto link = links.find(name);
  const bool registered = link != links.end() && link->second.registered;
  if (link != links.end()) {
    usable_cores -= link->second.usable_cores;
    link->second.usable_cores = node.can_take_jobs() && registered ? node.capacity.cores : 0;
    usable_cores += link->second.usable_cores;
  }
  planner.apply(
      delta::NodeIs{name, capacity_of(node), node.can_take_jobs() && registered, node.features});
  want_pass();
}

void Controller::Impl::set_contact(const NodeName& name, Contact contact) {
  if (state.find_node(name)->contact == contact) return;
  state.set_contact(name, contact);
  nodes_changed.insert(name);
  tell_planner_of(name);
}

void Controller::Impl::on_node_connected(io::PeerId peer, const NodeName& node) {
  // An executor that came back before its old connection was seen to be dead.
  const auto link = links.find(node);
  if (link != links.end() && link->second.peer) {
    turn.effects.emplace_back(effect::ClosePeer{*link->second.peer});
    on_node_closed(*link->second.peer);
  }
  links[node].peer = peer;
  node_of_peer[peer] = node;
}

void Controller::Impl::on_node_closed(io::PeerId peer) {
  const auto found = node_of_peer.find(peer);
  if (found == node_of_peer.end()) return;
  const NodeName name = found->second;
  node_of_peer.erase(found);
  close_sessions_on(name);
  Link& link = links.at(name);
  link.peer.reset();
  link.registered = false;
  if (state.find_node(name) == nullptr) {
    if (link.gangs.empty()) links.erase(name);  // it never registered
    return;
  }
  watch.closed(name);
  if (state.find_node(name)->contact == Contact::Reached) {
    set_contact(name, Contact::Suspect);
  }
  tell_planner_of(name);
  arm_watch();
}

void Controller::Impl::on_node_message(io::PeerId from, const wire::FromNode& message) {
  const auto found = node_of_peer.find(from);
  if (found == node_of_peer.end()) return;
  const NodeName node = found->second;
  if (message.has_register_()) return on_register(from, node, message.register_());
  if (message.has_heartbeat()) return on_heartbeat(from, node, message.heartbeat());
  if (!links.at(node).registered) return;  // it will say so again
  if (message.has_prepared()) return on_prepared(node, message.prepared());
  if (message.has_finished()) return on_step_finished(node, message.finished());
  if (message.has_refused()) return on_refused(node, message.refused());
  if (message.has_session()) return on_from_session(node, message.session());
  if (message.has_paused()) return on_paused(node, message.paused());
  if (message.has_health()) return on_replica_health(node, message.health());
}

void Controller::Impl::on_heartbeat(io::PeerId from,
                                    const NodeName& node,
                                    const wire::Heartbeat& message) {
  const Link& link = links.at(node);
  if (!link.registered || link.peer != from) return;
  watch.heard(node, now.boot);
  set_contact(node, Contact::Reached);
  wire::ToNode answer;
  answer.mutable_heartbeat_ack()->set_boot_ns(message.boot_ns());
  send_node(node, std::move(answer));
  // Orders to stop, to stand still and to go on are repeated, in case a shepherd missed one.
  for (const JobKey key : link.gangs) {
    const Job& job = state.get_job(key);
    const Gang& gang = gangs.at(key);
    if (job.outcome() == nullptr && gang.pause_number == 0) continue;
    for (std::size_t i = 0; i < gang.parts.size(); ++i) {
      if (gang.parts[i].node != node || gang.parts[i].state == PartState::Over) continue;
      job.outcome() != nullptr ? send_stop(job, gang, i) : send_pause(key, gang, i);
    }
  }
  for (const auto& [key, attempt] : std::set(link.orphans)) stop_orphan(node, key, attempt);
}

void Controller::Impl::on_register(io::PeerId from,
                                   const NodeName& name,
                                   const wire::Register& message) {
  Result<Resources> capacity = wire::from_wire(message.capacity());
  Result<std::vector<std::string>> features = wire::features_from_wire(message.features());
  if (!capacity || !features || message.node() != name.value) {
    turn.effects.emplace_back(effect::ClosePeer{from});
    return;
  }
  Link& link = links.at(name);
  const Node* const known = state.find_node(name);
  const bool rebooted = known != nullptr && known->boot_id != message.boot_id();
  const bool changed = known == nullptr || rebooted || known->contact == Contact::Lost ||
                       !(known->capacity == *capacity) || known->address != message.address() ||
                       known->features != *features;
  if (changed) {
    state.record(name,
                 node_event::Registered{*std::move(capacity), message.boot_id(), message.address(),
                                        *std::move(features)},
                 now.wall, turn.batch);
  }
  link.registered = true;
  state.set_contact(name, Contact::Reached);
  nodes_changed.insert(name);
  watch.heard(name, now.boot);
  arm_watch();
  tell_planner_of(name);

  wire::ToNode answer;
  answer.mutable_registered()->set_lease_ns(config.lease.ns);
  answer.mutable_registered()->set_heartbeat_every_ns(config.heartbeat_every.ns);
  send_node(name, std::move(answer));
  if (rebooted) end_parts_on(name, "was started anew", true);
  reconcile(name, message);
}

// Compares what the node holds with our record: the table of PROTOCOL.md 6.1.
void Controller::Impl::reconcile(const NodeName& node, const wire::Register& message) {
  std::map<std::pair<JobKey, Attempt>, wire::HeldAttempt::State> held;
  for (const wire::HeldAttempt& attempt : message.attempts()) {
    held[{wire::from_wire(attempt.key()), attempt.attempt()}] = attempt.state();
  }
  links.at(node).orphans.clear();
  for (const auto& [attempt, held_state] : held) {
    const auto found = find_part(node, attempt.first, attempt.second);
    // One that has finished reports it again and is released then.
    const bool is_ours = found && found->part().state != PartState::Over;
    if (!is_ours && held_state != wire::HeldAttempt::FINISHED) {
      stop_orphan(node, attempt.first, attempt.second);
    }
  }
  for (const JobKey key : std::set(links.at(node).gangs)) {
    const auto gang = gangs.find(key);
    if (gang == gangs.end()) continue;
    const auto found = find_part(node, key, gang->second.attempt);
    if (!found || found->part().state == PartState::Over) continue;
    const Job& job = *found->job;
    Part& part = found->part();
    const auto at_node = held.find({key, gang->second.attempt});
    if (std::holds_alternative<phase::Starting>(job.phase)) {
      if (at_node == held.end() && part.state == PartState::Prepared) {
        part.state = PartState::Asked;
        --gang->second.prepared;
        await_preparation(key, gang->second);
      }
      if (part.state == PartState::Asked) send_prepare(job, gang->second, found->index);
    } else if (at_node == held.end()) {
      part_over(key, found->index,
                make_outcome(OutcomeKind::NodeFailed, 0,
                             cat(node.value, " does not hold the job any more")));
    } else if (job.outcome() != nullptr) {
      send_stop(job, gang->second, found->index);
    } else if (at_node->second == wire::HeldAttempt::PREPARED ||
               at_node->second == wire::HeldAttempt::PREPARING) {
      order_pause_again(key, gang->second, found->index);  // before it is launched
      part.wants_launch = true;
      launch_late(job, gang->second);
    } else if (gang->second.due && part.address.empty()) {
      // Others wait for its address, and it may not have heard the question.
      send_prepare(job, gang->second, found->index);
    }
    if (at_node != held.end() && at_node->second == wire::HeldAttempt::RUNNING) {
      order_pause_again(key, gang->second, found->index);
    }
  }
}

void Controller::Impl::on_lost(const NodeName& name) {
  if (state.find_node(name)->contact == Contact::Lost) return;
  state.record(name, node_event::Lost{}, now.wall, turn.batch);
  Link& link = links.at(name);
  link.registered = false;
  if (link.peer) turn.effects.emplace_back(effect::ClosePeer{*link.peer});
  tell_planner_of(name);
  end_parts_on(name, "was silent for longer than its lease", false);
}

// A part that was never launched is nothing but a sandbox: it may be given up even without a lease.
void Controller::Impl::end_parts_on(const NodeName& node,
                                    std::string_view why,
                                    bool also_unleased) {
  for (const JobKey key : std::set(links.at(node).gangs)) {
    const auto gang = gangs.find(key);
    if (gang == gangs.end()) continue;
    const auto found = find_part(node, key, gang->second.attempt);
    if (!found || found->part().state == PartState::Over) continue;
    const bool never_launched =
        std::holds_alternative<phase::Starting>(found->job->phase) || !found->job->started;
    if (!gang->second.leased && !also_unleased && !never_launched) continue;
    part_over(key, found->index,
              make_outcome(OutcomeKind::NodeFailed, 0, cat(node.value, ' ', why)));
  }
}

void Controller::Impl::fill_view(const Node& node, wire::NodeView* out) {
  wire::to_wire(node, out->mutable_state());
  Resources used;
  std::set<std::int32_t> shared_cores;  // of gangs that take turns each core counts once
  if (const auto link = links.find(node.name); link != links.end()) {
    for (const JobKey key : link->second.gangs) {
      const Job& job = state.get_job(key);
      if (const NodeShare* const share = job.allocation()->find(node.name)) {
        used = used + share->resources;
        if (find_slicer(job) != nullptr) {
          used.cores -= share->resources.cores;
          shared_cores.insert(share->cores.begin(), share->cores.end());
        }
        wire::to_wire(key, out->add_jobs());
      }
    }
  }
  used.cores += static_cast<std::int64_t>(shared_cores.size());
  wire::to_wire(used, out->mutable_used());
  out->set_silent_ns(watch.silence(node.name, now.boot).value_or(Duration{}).ns);
}

void Controller::Impl::on_list_nodes(io::PeerId from,
                                     std::uint32_t stream,
                                     const wire::ListNodes& request) {
  std::vector<NodeName> names;
  for (const std::string& name : request.names()) {
    if (state.find_node(NodeName(name)) == nullptr) {
      return reply_error(from, stream, Error(ErrorKind::NotFound, cat("no node ", name)));
    }
    names.emplace_back(name);
  }
  if (names.empty()) {
    for (const auto& [name, node] : state.nodes()) names.push_back(name);
  }
  wire::Response response;
  std::size_t bytes = 0;
  response.mutable_nodes();
  for (const NodeName& name : names) {
    wire::NodeView* const view = response.mutable_nodes()->add_nodes();
    fill_view(*state.find_node(name), view);
    bytes += view->ByteSizeLong();
    if (bytes > kResponseBytes) {
      response.set_more(true);
      reply(from, stream, std::exchange(response, {}));
      response.mutable_nodes();
      bytes = 0;
    }
  }
  reply(from, stream, std::move(response));
}

void Controller::Impl::on_node_command(io::PeerId from,
                                       const io::LocalUser& user,
                                       std::uint32_t stream,
                                       const wire::NodeCommand& command) {
  const NodeName name(command.name());
  const std::string by = users.name_of(user.uid);
  if (!is_operator(user)) {
    return reply_error(from, stream,
                       Error(ErrorKind::Denied, cat(by, " is no operator of this cluster")));
  }
  const Node* const node = state.find_node(name);
  if (node == nullptr) {
    return reply_error(from, stream, Error(ErrorKind::NotFound, cat("no node ", name.value)));
  }
  switch (command.verb()) {
    case wire::NodeCommand::DRAIN:
    case wire::NodeCommand::RESUME: {
      const bool on = command.verb() == wire::NodeCommand::DRAIN;
      if (on || node->drain) {
        state.record(name, node_event::Drained{on, command.reason(), by}, now.wall, turn.batch);
        tell_planner_of(name);
        look_at_services_on(name);
      }
      break;
    }
    case wire::NodeCommand::CONFIRM_DOWN:
      if (links[name].peer) {
        return reply_error(
            from, stream,
            Error(ErrorKind::Conflict,
                  cat(name.value, " is in contact; drain it, or stop its executor first")));
      }
      state.record(name, node_event::ConfirmedDown{by}, now.wall, turn.batch);
      watch.forget(name);
      tell_planner_of(name);
      end_parts_on(name, cat("was confirmed down by ", by), true);
      break;
    default:
      return reply_error(from, stream, Error(ErrorKind::Unsupported, "unknown node command"));
  }
  wire::ListNodes same;
  same.add_names(name.value);
  on_list_nodes(from, stream, same);
}

}  // namespace gangway::scheduler
