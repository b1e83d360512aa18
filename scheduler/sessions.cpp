// Sessions: people's programs talk with the shepherd of a running job's first node, by way of its
// executor. What they say is not ours to understand; who may speak is.
//
// A session with a job that waits is opened when the job runs. It is over with either side, with
// the attempt, or with the node's connection. Both sides keep to windows (step.proto), so that
// little is on its way.
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

void Controller::Impl::on_open_session(io::PeerId from,
                                       const io::LocalUser& user,
                                       std::uint32_t stream,
                                       const wire::OpenSession& request) {
  const JobKey key = wire::from_wire(request.key());
  const Job* const job = state.find_job(key);
  if (job == nullptr || job->is_finished()) {
    return reply_error(from, stream,
                       Error(ErrorKind::NotFound, cat("job ", to_string(key), " does not run")));
  }
  if (!may_change(user, job->owner)) {
    return reply_error(
        from, stream,
        Error(ErrorKind::Denied, cat("job ", to_string(key), " belongs to ", job->owner.user)));
  }
  if (session_of.contains({from, stream})) {
    return reply_error(from, stream, Error(ErrorKind::Conflict, "this stream has a session"));
  }
  if (sessions.size() >= kMaxSessionsOpen) {
    return reply_error(from, stream,
                       Error(ErrorKind::Exhausted, "too many people talk with their jobs"));
  }
  const std::uint64_t id = next_session++;
  sessions[id] = {.peer = from, .stream = stream, .job = key};
  session_of[{from, stream}] = id;
  if (std::holds_alternative<phase::Running>(job->phase)) open_sessions_with(key);
}

void Controller::Impl::open_sessions_with(JobKey key) {
  const Job& job = state.get_job(key);
  for (auto& [id, session] : sessions) {
    if (session.job != key || session.attempt != 0) continue;
    session.attempt = job.attempt;
    session.node = job.allocation()->shares.front().node;
    wire::Response opened;
    opened.set_more(true);
    reply(session.peer, session.stream, std::move(opened));
  }
}

void Controller::Impl::on_to_session(io::PeerId from,
                                     std::uint32_t stream,
                                     const wire::Request& request) {
  const auto found = session_of.find({from, stream});
  if (found == session_of.end()) return;  // it has just ended
  const std::uint64_t id = found->second;
  const Session& session = sessions.at(id);
  if (request.has_close_session()) return close_session(id, /*tell_node=*/true);
  if (session.attempt == 0) return;  // not opened: nothing may be said yet
  wire::ToNode message;
  wire::NodeSession& said = *message.mutable_session();
  wire::to_wire(session.job, said.mutable_key());
  said.set_attempt(session.attempt);
  said.set_id(id);
  *said.mutable_to_step() = request.to_session();
  send_node(session.node, std::move(message));
}

void Controller::Impl::on_from_session(const NodeName& node, const wire::NodeSession& message) {
  const auto found = sessions.find(message.id());
  if (found == sessions.end() || found->second.node != node ||
      found->second.job != wire::from_wire(message.key())) {
    return;
  }
  if (!message.has_from_step()) return close_session(message.id(), /*tell_node=*/false);
  wire::Response response;
  response.set_more(true);
  *response.mutable_from_session() = message.from_step();
  reply(found->second.peer, found->second.stream, std::move(response));
}

void Controller::Impl::close_session(std::uint64_t id, bool tell_node) {
  const auto found = sessions.find(id);
  if (found == sessions.end()) return;
  const Session session = found->second;
  sessions.erase(found);
  session_of.erase({session.peer, session.stream});
  if (tell_node && session.attempt != 0) {
    wire::ToNode message;
    wire::to_wire(session.job, message.mutable_session()->mutable_key());
    message.mutable_session()->set_attempt(session.attempt);
    message.mutable_session()->set_id(id);
    message.mutable_session()->set_closed(true);
    send_node(session.node, std::move(message));
  }
  reply(session.peer, session.stream, wire::Response());
}

void Controller::Impl::close_sessions_with(JobKey key) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, session] : sessions) {
    if (session.job == key) ids.push_back(id);
  }
  for (const std::uint64_t id : ids) close_session(id, /*tell_node=*/false);
}

void Controller::Impl::close_sessions_on(const NodeName& node) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, session] : sessions) {
    if (session.attempt != 0 && session.node == node) ids.push_back(id);
  }
  for (const std::uint64_t id : ids) close_session(id, /*tell_node=*/false);
}

void Controller::Impl::close_sessions_of(io::PeerId peer) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, session] : sessions) {
    if (session.peer == peer) ids.push_back(id);
  }
  for (const std::uint64_t id : ids) close_session(id, /*tell_node=*/true);
}

}  // namespace gangway::scheduler
