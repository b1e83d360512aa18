#include "submit/event_line.hpp"

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "submit/job_row.hpp"
#include "submit/render.hpp"

namespace gangway::submit {

namespace {

struct Subject {
  std::string kind, id;
};

Subject subject_of(const Event& event) {
  return std::visit(overloaded{
                        [](const Event::OfJob& e) {
                          return Subject{"job", to_string(e.key)};
                        },
                        [](const Event::OfWorkflow& e) {
                          return Subject{"workflow", to_string(e.id)};
                        },
                        [](const Event::OfNode& e) {
                          return Subject{"node", e.name.value};
                        },
                        [](const Event::OfAccount& e) {
                          return Subject{"account", e.key.user.empty() ? e.key.account.value
                                                                       : cat(e.key.account.value,
                                                                             ":", e.key.user)};
                        },
                        [](const Event::OfService& e) {
                          return Subject{"service", e.key.name};
                        },
                    },
                    event.subject);
}

std::string name_of(const Event& event) {
  return std::visit(
      overloaded{
          [](const Event::OfJob& e) { return std::string(event_name(e.what)); },
          [](const Event::OfWorkflow& e) {
            return std::string(std::holds_alternative<workflow_event::Submitted>(e.what)
                                   ? "Submitted"
                                   : "Finished");
          },
          [](const Event::OfNode& e) {
            constexpr const char* kNames[] = {"Registered", "Drained", "Lost", "ConfirmedDown"};
            return std::string(kNames[e.what.index()]);
          },
          [](const Event::OfAccount& e) { return std::string(event_name(e.what)); },
          [](const Event::OfService& e) { return std::string(event_name(e.what)); },
      },
      event.subject);
}

std::string nodes_of(const Allocation& allocation) {
  std::vector<NodeName> names;
  for (const NodeShare& share : allocation.shares) names.push_back(share.node);
  return render_host_list(names);
}

// What is to be known beside the name; the keys that programs find it under.
std::vector<std::pair<std::string, std::string>> details_of(const Event& event) {
  std::vector<std::pair<std::string, std::string>> details;
  const auto* const job = std::get_if<Event::OfJob>(&event.subject);
  if (job == nullptr) return details;
  const auto outcome = [&](const Outcome& o) {
    details.emplace_back("state", std::string(to_string(o.kind)));
    details.emplace_back("exit", cat(o.exit_code, ":", o.signal));
    if (!o.detail.empty()) details.emplace_back("detail", o.detail);
  };
  std::visit(overloaded{
                 [&](const job_event::Submitted& e) { details.emplace_back("user", e.owner.user); },
                 [&](const job_event::ReasonChanged& e) {
                   details.emplace_back("reason", std::string(to_string(e.reason)));
                 },
                 [&](const job_event::Allocated& e) {
                   details.emplace_back("attempt", cat(e.attempt));
                   details.emplace_back("nodes", nodes_of(e.allocation));
                 },
                 [&](const job_event::Ended& e) {
                   details.emplace_back("attempt", cat(e.attempt));
                   outcome(e.outcome);
                   if (e.requeue) details.emplace_back("requeue", "yes");
                 },
                 [&](const job_event::CancelledWaiting& e) { outcome(e.outcome); },
                 [](const auto&) {},
             },
             job->what);
  return details;
}

}  // namespace

std::string render_event_json(const Event& event) {
  const Subject subject = subject_of(event);
  JsonWriter json;
  json.begin_object()
      .field("seq", static_cast<std::int64_t>(event.seq))
      .field("time", render_utc(event.time))
      .field("subject", subject.kind)
      .field("id", subject.id)
      .field("event", name_of(event));
  for (const auto& [key, value] : details_of(event)) json.field(key, value);
  json.end_object();
  return json.take();
}

std::string render_event(const Event& event) {
  const Subject subject = subject_of(event);
  std::string line =
      cat(render_utc(event.time), " ", subject.kind, " ", subject.id, " ", name_of(event));
  for (const auto& [key, value] : details_of(event)) line += cat(" ", key, "=", value);
  return line;
}

}  // namespace gangway::submit
