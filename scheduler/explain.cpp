// Explanations: why a job is where it is, when it would start, and what would start sooner.
#include <algorithm>
#include <limits>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"
#include "scheduler/never_had.hpp"

namespace gangway::scheduler {

namespace {

constexpr int kMaxExplained = 1000;
// Each is a look into the future; the first ones of a request get one.
constexpr std::size_t kMaxOutlooks = 20;

// "age 12 + fair share 2500 - nice 3": what there is of the formula, in whole points.
std::string describe_terms(const PriorityTerms& terms) {
  const std::pair<std::string_view, double> parts[] = {{"age", terms.age},
                                                       {"fair share", terms.fair_share},
                                                       {"size", terms.size},
                                                       {"queue", terms.queue},
                                                       {"qos", terms.qos},
                                                       {"resources", terms.resources},
                                                       {"nice", -static_cast<double>(terms.nice)}};
  std::string out;
  for (const auto& [name, points] : parts) {
    const auto whole = static_cast<std::int64_t>(points);
    // Age and fair share are what people ask for, so they are told even when they are nothing.
    if (whole == 0 && name != "age" && name != "fair share") continue;
    if (!out.empty()) out += whole < 0 ? " - " : " + ";
    out += cat(name, ' ', out.empty() || whole >= 0 ? whole : -whole);
  }
  return out;
}

std::string in_words(Duration d) {
  if (d < seconds(1)) return "at once";
  return cat("in ", render_duration(Duration{d.ns / 1'000'000'000 * 1'000'000'000}));
}

std::string node_list_of(const Allocation& allocation) {
  std::vector<NodeName> names;
  for (const NodeShare& share : allocation.shares) names.push_back(share.node);
  return render_host_list(names);
}

// "FAILED with exit code 3, on n02"; "CANCELLED, cancelled by ann".
std::string describe_end(const phase::Finished& over) {
  const Outcome& outcome = over.outcome;
  std::string text(to_string(outcome.kind));
  if (outcome.kind == OutcomeKind::Failed) text += cat(" with exit code ", outcome.exit_code);
  if (outcome.kind == OutcomeKind::Signaled) text += cat(" by signal ", outcome.signal);
  if (!over.ran_on.shares.empty()) text += cat(", on ", node_list_of(over.ran_on));
  if (!outcome.detail.empty()) text += cat(", ", outcome.detail);
  return text;
}

void put_terms(const PriorityTerms& terms, wire::PriorityTerms* out) {
  out->set_age(terms.age);
  out->set_fair_share(terms.fair_share);
  out->set_size(terms.size);
  out->set_queue(terms.queue);
  out->set_qos(terms.qos);
  out->set_resources(terms.resources);
  out->set_nice(terms.nice);
}

void put_outlook(const Explanation& why, wire::Outlook* out) {
  out->set_reason(static_cast<std::uint32_t>(why.reason));
  out->set_rank(why.rank);
  out->set_ahead(why.ahead);
  put_terms(why.priority, out->mutable_priority());
  out->set_priority_total(why.priority.total());
  if (why.expected_start) out->set_expected_start_ns(why.expected_start->ns);
  for (const NodeName& node : why.nodes) out->add_nodes(node.value);
  out->set_waits_for(why.waits_for);
  out->set_rests_on(why.rests_on);
  for (const BetterStart& better : why.better) {
    wire::Outlook::Variant* const variant = out->add_variants();
    variant->set_change(better.change);
    variant->set_start_at_ns(better.start.ns);
  }
}

}  // namespace

void Controller::Impl::on_explain(io::PeerId from,
                                  std::uint32_t stream,
                                  const wire::Explain& request) {
  if (request.keys_size() > kMaxExplained) {
    return reply_error(from, stream, Error(ErrorKind::Exhausted, "too many jobs are named"));
  }
  std::vector<std::string> lines;
  wire::Response response;
  for (const wire::JobKey& message : request.keys()) {
    const JobKey key = wire::from_wire(message);
    begin_now(key);
    const Job* job = state.find_job(key);
    if (job == nullptr) job = find_array_with(key);  // it waits as the others of its array do
    if (job == nullptr && !state.is_given(key.job)) {
      return reply_error(from, stream,
                         Error(ErrorKind::NotFound, cat("there is no job ", to_string(key))));
    }
    if (job == nullptr) {
      if (const auto error = never_had(state.find_job({key.job}), key)) {
        return reply_error(from, stream, *error);
      }
      lines.push_back(cat("job ", to_string(key), " has ended; jhist tells how"));
      continue;
    }
    const std::string title =
        cat("job ", to_string(key), job->spec->name.empty() ? "" : cat(" (", job->spec->name, ")"));
    const auto nodes_of = [&] { return node_list_of(*job->allocation()); };
    std::visit(
        overloaded{
            [&](const phase::Waiting&) {
              if (job->array && job->array->waiting.empty()) {
                lines.push_back(cat(title, ": none of its elements waits, ", job->array->ended(),
                                    " have ended"));
                return;
              }
              lines.push_back(cat(title, " waits: ", to_string(waiting.at(job->key).reason)));
              if (job->array) {
                lines.push_back(cat(
                    "  of ", job->spec->array->indexes.count(), " elements ",
                    job->array->waiting.size(),
                    " wait: ", render_indexes(job->spec->array->indexes, job->array->waiting, 60)));
              }
              explain_waiting(*job, lines, *response.mutable_explained());
            },
            [&](const phase::Starting&) {
              lines.push_back(cat(title, " is starting on ", nodes_of()));
              for (const Part& part : gangs.at(key).parts) {
                if (part.state == PartState::Asked) {
                  lines.push_back(cat("  ", part.node.value, " is preparing it"));
                }
              }
              if (is_willing(key)) {
                lines.push_back(
                    cat("  it is ready and waits for its time slice; ", describe_turn(*job)));
              }
            },
            [&](const phase::Running& running) {
              lines.push_back(cat(title, " runs on ", nodes_of(), " for ",
                                  render_duration(running.clock.elapsed(now.wall))));
            },
            [&](const phase::Suspended& suspended) {
              lines.push_back(cat(title, " is suspended on ", nodes_of(), " after ",
                                  render_duration(suspended.clock.accumulated), " of running"));
              lines.push_back(suspended.by_operator
                                  ? cat("  an operator has suspended it; jctl resume ",
                                        to_string(key), " lets it go on")
                                  : cat("  it takes turns with others; ", describe_turn(*job)));
            },
            [&](const phase::Completing& completing) {
              lines.push_back(cat(title, " is ending: ", to_string(completing.outcome.kind),
                                  completing.outcome.detail.empty() ? "" : ", ",
                                  completing.outcome.detail));
              for (const Part& part : gangs.at(key).parts) {
                if (part.state == PartState::Over) continue;
                const Contact contact = state.find_node(part.node) != nullptr
                                            ? state.find_node(part.node)->contact
                                            : Contact::Unknown;
                lines.push_back(
                    cat("  ", part.node.value, " still cleans up (", to_string(contact), ")"));
              }
            },
            [&](const phase::Finished& over) {
              lines.push_back(cat(title, " has ended: ", describe_end(over)));
            },
        },
        job->phase);
  }
  for (std::string& line : lines) response.mutable_explained()->add_lines(std::move(line));
  response.mutable_explained();
  reply(from, stream, std::move(response));
}

std::string Controller::Impl::describe_condition(const Condition& condition) const {
  const Job* const on = state.find_job(condition.on);
  std::string name = cat("job ", to_string(condition.on));
  std::string how = "which is not known any more";
  if (on != nullptr) {
    if (on->membership) name += cat(" (", on->membership->member, ")");
    how = on->outcome() != nullptr ? cat("which ended as ", to_string(on->outcome()->kind))
                                   : cat("which is ", phase_name(on->phase));
  }
  switch (condition.until) {
    case Until::Started:
      return cat("the start of ", name, ", ", how);
    case Until::Ended:
      return cat("the end of ", name, ", ", how);
    case Until::Succeeded:
      return cat("the success of ", name, ", ", how);
    case Until::NotSucceeded:
    case Until::Failed:
      return cat("a failure of ", name, ", ", how);
  }
  return name;
}

void Controller::Impl::explain_waiting(const Job& job,
                                       std::vector<std::string>& lines,
                                       wire::Explained& explained) const {
  constexpr std::size_t kMostConditions = 10;
  if (job.membership) lines.push_back(cat("  ", describe_path(job)));
  switch (waiting.at(job.key).reason) {
    case PendingReason::JobHeldUser:
      lines.push_back(cat("  it is held; jrelease ", to_string(job.key), " lets it go"));
      return;
    case PendingReason::JobHeldAdmin:
      lines.emplace_back("  an operator holds it");
      return;
    case PendingReason::Dependency:
    case PendingReason::DependencyNeverSatisfied: {
      std::size_t open = 0;
      for (const Keeping::Corresponding& one : waiting.at(job.key).corresponding) {
        lines.push_back(
            cat("  each of its elements waits for the success of that of job ", to_string(one.on)));
      }
      if (book.find(job.key) == nullptr) return;
      if (book.is_any(job.key)) lines.emplace_back("  one of these is enough:");
      for (const Condition& condition : *book.find(job.key)) {
        if (condition.met) continue;
        if (++open <= kMostConditions) {
          lines.push_back(cat("  it waits for ", describe_condition(condition)));
        }
      }
      if (open > kMostConditions) lines.push_back(cat("  and ", open - kMostConditions, " more"));
      return;
    }
    case PendingReason::BeginTime: {
      const Time begin = std::max(job.spec->not_before.value_or(Time{}), book.earliest(job.key));
      lines.push_back(
          cat("  it may start from ", render_local_time(begin), ", ", in_words(begin - now.wall)));
      return;
    }
    case PendingReason::JobArrayTaskLimit:
      lines.push_back(cat("  at most ", job.spec->array->max_running,
                          " elements of its array run at once (--array=...%",
                          job.spec->array->max_running, ")"));
      return;
    case PendingReason::ThrottledByCategory:
      lines.emplace_back("  as many jobs of its category run in its workflow as may at once");
      return;
    case PendingReason::RetryBackoff:
      lines.push_back(
          cat("  it has failed; retry ", job.retries_used, " of ", job.spec->retries, " begins ",
              in_words(waiting.at(job.key).back_off_until.value_or(now.boot) - now.boot)));
      return;
    case PendingReason::LaunchFailedRequeued:
      lines.push_back(
          cat("  its start has failed ", job.launch_failures,
              job.launch_failures == 1 ? " time" : " times", "; the next try is ",
              in_words(waiting.at(job.key).back_off_until.value_or(now.boot) - now.boot)));
      if (const std::string& why = waiting.at(job.key).last_failure; !why.empty()) {
        lines.push_back(cat("  the last time: ", why));
      }
      return;
    default:
      break;
  }
  const std::size_t before = static_cast<std::size_t>(explained.outlooks_size());
  const auto why = planner.explain(planned_key(job), now.wall,
                                   before < kMaxOutlooks ? LookAhead::Whole : LookAhead::None);
  if (!why) return;
  lines.push_back(cat("  ", why->waits_for));
  lines.push_back(cat("  place in line: ", why->rank, ", priority ", why->priority.total()));
  lines.push_back(cat("  priority: ", describe_terms(why->priority)));
  lines.push_back(cat("  charged to: ", to_string(payer_of(job))));
  if (why->expected_start) {
    lines.push_back(cat("  expected start: ", render_local_time(*why->expected_start), ", ",
                        in_words(*why->expected_start - now.wall),
                        why->nodes.empty() ? "" : cat(", on ", render_host_list(why->nodes)),
                        why->rests_on.empty() ? "" : ", ", why->rests_on));
  } else if (before < kMaxOutlooks) {
    lines.emplace_back("  expected start: not known; jobs without a time limit are in the way");
  }
  if (promise && promise->key == planned_key(job)) {
    lines.push_back(cat("  promised on ", render_host_list(promise->nodes), " at the latest at ",
                        render_local_time(promise->start)));
  }
  for (const BetterStart& better : why->better) {
    lines.push_back(cat("  ", better.change, " it would start at ", render_local_time(better.start),
                        ", ", in_words(better.start - now.wall)));
  }
  wire::Outlook* const outlook = explained.add_outlooks();
  put_outlook(*why, outlook);
  wire::to_wire(job.key, outlook->mutable_key());
}

// What a submission that is only tested would come to; of a workflow for the jobs that need no
// other.
void Controller::Impl::foresee(const Submission& submission, wire::Submitted& answer) const {
  const std::string user = users.name_of(submission.user.uid);
  for (const NewMember& member : submission.jobs) {
    if (!member.needs.empty()) continue;
    if (static_cast<std::size_t>(answer.outlooks_size()) == kMaxOutlooks) return;
    Job job;
    job.key = {JobId{std::numeric_limits<std::uint64_t>::max()}};
    job.owner = {submission.user.uid, submission.user.gid, user};
    job.spec = member.spec;
    const JobSpec& spec = *member.spec;
    const Candidate candidate{.key = job.key,
                              .queue = spec.queue,
                              .user = payer_number_if(job),
                              .qos = qos_factor(spec),
                              .nice = spec.nice,
                              .eligible = now.wall,
                              .limit = spec.time_limit,
                              .components = spec.components};
    wire::Outlook* const outlook = answer.add_outlooks();
    put_outlook(planner.explain_as_if(candidate, now.wall), outlook);
    outlook->set_member(member.name);
  }
}

}  // namespace gangway::scheduler
