#include "queues/store/replay.hpp"

#include <utility>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/model/account_machine.hpp"
#include "queues/model/job_machine.hpp"
#include "queues/model/node_machine.hpp"
#include "queues/model/service_machine.hpp"
#include "queues/model/workflow_machine.hpp"

namespace gangway::store {

namespace {
// gangway::apply is spelled out below: std::apply would be found beside it by the argument's type.
Error impossible(std::string message) { return {ErrorKind::Corrupt, std::move(message)}; }

Result<void> check_version(std::uint64_t event_version, std::uint64_t subject_version) {
  if (event_version == subject_version) return {};
  return impossible(
      cat("its version ", event_version, " does not follow, ", subject_version, " would"));
}
}  // namespace

Result<void> Replay::add(const Event& event) {
  const std::string clause = cat("event ", event.seq);
  const std::uint64_t before = std::exchange(last_seq_, event.seq);
  GANGWAY_TRY_CONTEXT(
      std::visit(
          overloaded{
              [&](const Event::OfJob& subject) { return add_to_job(event, subject); },
              [&](const Event::OfWorkflow& subject) { return add_to_workflow(event, subject); },
              [&](const Event::OfNode& subject) { return add_to_node(event, subject); },
              [&](const Event::OfAccount& subject) { return add_to_account(event, subject); },
              [&](const Event::OfService& subject) { return add_to_service(event, subject); },
          },
          event.subject),
      clause);
  if (event.seq != before + 1) return impossible(cat(clause, ": follows ", before));
  return {};
}

Result<void> Replay::add_to_job(const Event& event, const Event::OfJob& subject) {
  const auto found = jobs_.find(subject.key);
  if (const auto* split = std::get_if<job_event::Split>(&subject.what)) {
    const auto array = jobs_.find({subject.key.job});
    if (found != jobs_.end() || array == jobs_.end()) {
      return impossible(cat("job ", to_string(subject.key), " is split off twice or from nothing"));
    }
    auto element = split_element(array->second, subject.key, split->position);
    if (!element) return impossible(element.error().message());
    GANGWAY_TRY(check_version(event.version, element->version));
    jobs_.emplace(subject.key, *std::move(element));
    return {};
  }
  if (const auto* submitted = std::get_if<job_event::Submitted>(&subject.what)) {
    if (found != jobs_.end()) {
      return impossible(cat("job ", to_string(subject.key), " is submitted twice"));
    }
    Job job = make_job(subject.key, *submitted, no_spec_, event.time);
    GANGWAY_TRY(check_version(event.version, job.version));
    jobs_.emplace(subject.key, std::move(job));
    return {};
  }
  if (found == jobs_.end()) {
    return impossible(cat(event_name(subject.what), " of job ", to_string(subject.key),
                          ", which was never submitted"));
  }
  auto job = gangway::apply(found->second, subject.what, event.time);
  if (!job) return impossible(job.error().message());
  GANGWAY_TRY(check_version(event.version, job->version));
  found->second = *std::move(job);
  if (found->second.is_element() && found->second.is_finished()) {
    const auto array = jobs_.find({subject.key.job});
    if (array == jobs_.end() || !array->second.array) {
      return impossible(cat("job ", to_string(subject.key), " is of no array"));
    }
    tally(array->second, found->second);
  }
  return {};
}

Result<void> Replay::add_to_workflow(const Event& event, const Event::OfWorkflow& subject) {
  const auto found = workflows_.find(subject.id);
  const auto* submitted = std::get_if<workflow_event::Submitted>(&subject.what);
  if ((submitted != nullptr) != (found == workflows_.end())) {
    return impossible(cat("workflow ", to_string(subject.id), " is submitted twice or never"));
  }
  if (submitted != nullptr) {
    Workflow workflow = make_workflow(subject.id, *submitted, event.time);
    GANGWAY_TRY(check_version(event.version, workflow.version));
    workflows_.emplace(subject.id, std::move(workflow));
    return {};
  }
  auto workflow = gangway::apply(found->second, subject.what, event.time);
  if (!workflow) return impossible(workflow.error().message());
  GANGWAY_TRY(check_version(event.version, workflow->version));
  found->second = *std::move(workflow);
  return {};
}

Result<void> Replay::add_to_node(const Event& event, const Event::OfNode& subject) {
  Node known;
  known.name = subject.name;
  if (const auto found = nodes_.find(subject.name); found != nodes_.end()) known = found->second;
  Node node = gangway::apply(known, subject.what);
  GANGWAY_TRY(check_version(event.version, node.version));
  nodes_[subject.name] = std::move(node);
  return {};
}

Result<void> Replay::add_to_account(const Event& event, const Event::OfAccount& subject) {
  const auto found = associations_.find(subject.key);
  const bool is_set = std::holds_alternative<account_event::Set>(subject.what);
  if (found == associations_.end() && !is_set) {
    return impossible(cat(event_name(subject.what), " of account ", to_string(subject.key),
                          ", which is not there"));
  }
  const Association before =
      found == associations_.end() ? Association{.key = subject.key} : found->second;
  Association association = gangway::apply(before, subject.what, event.time);
  GANGWAY_TRY(check_version(event.version, association.version));
  if (std::holds_alternative<account_event::Removed>(subject.what)) {
    associations_.erase(found);
  } else {
    associations_[subject.key] = std::move(association);
  }
  return {};
}

Result<void> Replay::add_to_service(const Event& event, const Event::OfService& subject) {
  const auto found = services_.find(subject.key);
  auto service = gangway::apply(found == services_.end() ? Service{} : found->second, subject.what,
                                event.time);
  if (!service) return impossible(service.error().message());
  GANGWAY_TRY(check_version(event.version, service->version));
  if (std::holds_alternative<service_event::Removed>(subject.what)) {
    services_.erase(found);
  } else {
    services_[subject.key] = *std::move(service);
  }
  return {};
}

}  // namespace gangway::store
