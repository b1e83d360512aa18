#include "executor/probe_machine.hpp"

#include <algorithm>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

constexpr ProbeKind kAll[] = {ProbeKind::Startup, ProbeKind::Readiness, ProbeKind::Liveness};

}  // namespace

std::string_view to_string(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::Startup:
      return "startup probe";
    case ProbeKind::Readiness:
      return "readiness probe";
    case ProbeKind::Liveness:
      return "liveness probe";
  }
  return "probe";
}

const std::optional<Probe>& ReplicaProbes::of(ProbeKind kind) const {
  return kind == ProbeKind::Startup ? startup : kind == ProbeKind::Readiness ? readiness : liveness;
}

ProbeMachine::ProbeMachine(ReplicaProbes probes, BootTime now) : probes_(std::move(probes)) {
  for (const ProbeKind kind : kAll) {
    if (const auto& probe = probes_.of(kind)) state(kind).due = now + probe->initial_delay;
  }
}

bool ProbeMachine::has_started() const {
  return !probes_.startup || state(ProbeKind::Startup).is_good;
}

bool ProbeMachine::is_asked(ProbeKind kind) const {
  if (!probes_.of(kind) || !alive_) return false;
  return kind == ProbeKind::Startup ? !has_started() : has_started();
}

std::vector<ProbeKind> ProbeMachine::ask(BootTime now) {
  std::vector<ProbeKind> asked;
  for (const ProbeKind kind : kAll) {
    State& s = state(kind);
    if (!is_asked(kind) || s.outstanding || s.due > now) continue;
    s.outstanding = true;
    s.due = now + probes_.of(kind)->period;
    asked.push_back(kind);
  }
  return asked;
}

void ProbeMachine::answered(ProbeKind kind, bool good, std::string why, BootTime now) {
  State& s = state(kind);
  CHECK(s.outstanding);
  s.outstanding = false;
  s.due = std::max(s.due, now);
  const Probe& probe = *probes_.of(kind);
  if (good) {
    s.bad = 0;
    s.good = std::min(s.good + 1, probe.successes);
    if (s.good < probe.successes) return;
    s.is_good = true;
    s.why.clear();
    return;
  }
  s.good = 0;
  s.bad = std::min(s.bad + 1, probe.failures);
  s.why = cat(to_string(kind), ": ", why);
  if (s.bad < probe.failures) return;
  s.is_good = false;
  if (kind != ProbeKind::Readiness) alive_ = false;
}

std::optional<BootTime> ProbeMachine::next() const {
  std::optional<BootTime> first;
  for (const ProbeKind kind : kAll) {
    const State& s = state(kind);
    if (!is_asked(kind) || s.outstanding) continue;
    if (!first || s.due < *first) first = s.due;
  }
  return first;
}

ReplicaHealth ProbeMachine::health() const {
  ReplicaHealth health;
  health.alive = alive_;
  health.ready =
      alive_ && has_started() && (!probes_.readiness || state(ProbeKind::Readiness).is_good);
  // What keeps it from being well, not each single bad answer.
  if (!alive_) {
    const bool is_startup = !state(ProbeKind::Startup).why.empty();
    health.note = state(is_startup ? ProbeKind::Startup : ProbeKind::Liveness).why;
  } else if (!has_started()) {
    health.note = state(ProbeKind::Startup).why;
  } else if (!health.ready) {
    health.note = state(ProbeKind::Readiness).why;
  }
  return health;
}

}  // namespace gangway::executor
