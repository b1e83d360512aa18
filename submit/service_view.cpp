#include "submit/service_view.hpp"

#include "queues/base/text.hpp"
#include "queues/model/service_state.hpp"

namespace gangway::submit {
namespace {

std::string state_of(const wire::ServiceView& view) {
  if (view.state().deleting()) return "deleting";
  if (view.is_settled()) return "settled";
  const wire::ServiceProgress& progress = view.state().progress();
  return progress.whole() == progress.revision() ? "changing" : "updating";
}

std::string_view phase_of(const wire::ServiceReplica& replica) {
  if (replica.phase() > static_cast<std::uint32_t>(ReplicaPhase::Ended)) return "?";
  return to_string(static_cast<ReplicaPhase>(replica.phase()));
}

std::string age_of(std::int64_t since_ns, Time now) {
  return render_duration(std::max(Duration{}, now - Time{since_ns}));
}

std::string ports_of(const wire::ReplicaView& view) {
  std::vector<std::string> ports;
  for (const wire::HostPort& port : view.ports()) ports.push_back(cat(port.host_port()));
  return join(ports, ",");
}

std::string endpoints_of(const wire::ServiceView& view) {
  std::vector<std::string> listens;
  for (const wire::Route& route : view.routes()) {
    listens.push_back(cat(route.endpoint(), ':', route.listen_port()));
  }
  return join(listens, ",");
}

}  // namespace

Result<ServiceList> list_services(Client& client,
                                  const std::vector<std::string>& names,
                                  const std::vector<std::string>& users) {
  wire::Request request;
  for (const std::string& name : names) request.mutable_list_services()->add_names(name);
  for (const std::string& user : users) request.mutable_list_services()->add_users(user);
  request.mutable_list_services();
  ServiceList list;
  GANGWAY_TRY(client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
    list.now = Time{response.services().now_ns()};
    for (wire::ServiceView& view : *response.mutable_services()->mutable_services()) {
      list.services.push_back(std::move(view));
    }
  }));
  return list;
}

std::string render_services(const ServiceList& list, const TableStyle& style) {
  Table table({{"SERVICE"},
               {"USER"},
               {"READY", Align::Right},
               {"WANTED", Align::Right},
               {"REVISION", Align::Right},
               {"STATE"},
               {"ENDPOINTS", Align::Left, true}});
  for (const wire::ServiceView& view : list.services) {
    table.add({{view.state().spec().name()},
               {view.state().owner().user()},
               {cat(view.ready())},
               {cat(view.state().spec().replicas())},
               {cat(view.state().progress().revision())},
               {state_of(view)},
               {endpoints_of(view)}});
  }
  return table.render(style);
}

std::string render_service(const wire::ServiceView& view, Time now) {
  const wire::ServiceState& state = view.state();
  std::string text =
      cat("service ", state.spec().name(), " of ", state.owner().user(), ": ", view.ready(), " of ",
          state.spec().replicas(), " ready, revision ", state.progress().revision(), ", ",
          state_of(view), "\n  image ", state.spec().replica().image(), '\n');
  if (state.progress().given_up() != 0) {
    text += cat("  revision ", state.progress().given_up(), " was given up\n");
  }
  if (state.progress().failures() > 0) {
    text += cat("  replicas have ended by themselves ", state.progress().failures(),
                " times in a row\n");
  }
  for (const wire::Route& route : view.routes()) {
    text += cat("  endpoint ", route.endpoint(), ": port ", route.port(), " at ",
                route.listen_port(), ", ", route.backends_size(), " replicas\n");
  }
  Table table({{"REPLICA"},
               {"JOB", Align::Right},
               {"REVISION", Align::Right},
               {"PHASE"},
               {"SINCE", Align::Right},
               {"NODE"},
               {"ADDRESS"},
               {"PORTS"},
               {"NOTE"}});
  for (const wire::ReplicaView& replica : view.replicas()) {
    const wire::ServiceReplica& kept = replica.replica();
    table.add({{cat(state.spec().name(), '-', kept.revision(), '-', kept.number())},
               {cat(kept.job())},
               {cat(kept.revision())},
               {std::string(phase_of(kept))},
               {age_of(kept.since_ns(), now)},
               {replica.node()},
               {replica.address()},
               {ports_of(replica)},
               {replica.reason().empty() ? kept.note() : replica.reason()}});
  }
  text += table.render({});
  for (const wire::ServiceRevision& revision : state.revisions()) {
    text += cat("revision ", revision.number(), ": image ", revision.replica().image(), ", ",
                age_of(revision.at_ns(), now), " ago\n");
  }
  return text;
}

std::string render_services_json(const ServiceList& list) {
  JsonWriter json;
  json.begin_object().key("services").begin_array();
  for (const wire::ServiceView& view : list.services) {
    const wire::ServiceState& state = view.state();
    json.begin_object();
    json.field("name", state.spec().name()).field("user", state.owner().user());
    json.field("wanted", std::int64_t{state.spec().replicas()});
    json.field("ready", std::int64_t{view.ready()});
    json.field("revision", state.progress().revision()).field("state", state_of(view));
    json.key("replicas").begin_array();
    for (const wire::ReplicaView& replica : view.replicas()) {
      json.begin_object();
      json.field("number", replica.replica().number());
      json.field("revision", replica.replica().revision());
      json.field("job", static_cast<std::int64_t>(replica.replica().job()));
      json.field("phase", phase_of(replica.replica())).field("node", replica.node());
      json.field("address", replica.address()).field("note", replica.replica().note());
      json.key("ports").begin_array();
      for (const wire::HostPort& port : replica.ports()) {
        json.value(std::int64_t{port.host_port()});
      }
      json.end_array().end_object();
    }
    json.end_array();
    json.key("endpoints").begin_array();
    for (const wire::Route& route : view.routes()) {
      json.begin_object().field("name", route.endpoint());
      json.field("port", std::int64_t{route.port()});
      json.field("listen", std::int64_t{route.listen_port()}).end_object();
    }
    json.end_array().end_object();
  }
  json.end_array().end_object();
  return cat(json.take(), "\n");
}

}  // namespace gangway::submit
