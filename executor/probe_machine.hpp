// ProbeMachine: when a replica's probes are to be asked, and what their answers come to.
//
// Before the startup probe has been good the others are not asked. Readiness is a matter of so many
// good answers in a row, and lost by so many bad ones; liveness and startup are lost for good: the
// replica is then replaced. A probe is asked again a period after it was asked the last time, and
// never while its answer is outstanding.
//
// The rules and the numbers are Kubernetes'. Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/model/service.hpp"

namespace gangway::executor {

enum class ProbeKind { Startup, Readiness, Liveness };
inline constexpr std::size_t kProbeKinds = 3;
[[nodiscard]] std::string_view to_string(ProbeKind kind);  // "readiness probe"

struct ReplicaProbes {
  std::optional<Probe> startup;
  std::optional<Probe> readiness;
  std::optional<Probe> liveness;
  std::vector<ContainerPort> ports;
  friend bool operator==(const ReplicaProbes&, const ReplicaProbes&) = default;
  [[nodiscard]] const std::optional<Probe>& of(ProbeKind kind) const;
};

struct ReplicaHealth {
  bool ready = false;
  bool alive = true;
  std::string note;  // the last bad answer that counts, for people
  friend bool operator==(const ReplicaHealth&, const ReplicaHealth&) = default;
};

class ProbeMachine {
 public:
  // The replica's programs have been started at `now`.
  ProbeMachine(ReplicaProbes probes, BootTime now);

  // Those to be asked now; each is outstanding until it is answered.
  [[nodiscard]] std::vector<ProbeKind> ask(BootTime now);
  // `why` is one clause, of a bad answer. Requires: it is outstanding.
  void answered(ProbeKind kind, bool good, std::string why, BootTime now);
  // When ask() has something to ask; nullopt: not before an answer.
  [[nodiscard]] std::optional<BootTime> next() const;
  [[nodiscard]] ReplicaHealth health() const;

 private:
  struct State {
    BootTime due;
    bool outstanding = false;
    int good = 0;  // in a row
    int bad = 0;
    bool is_good = false;
    std::string why;
  };
  [[nodiscard]] bool is_asked(ProbeKind kind) const;
  [[nodiscard]] bool has_started() const;
  State& state(ProbeKind kind) { return states_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] const State& state(ProbeKind kind) const {
    return states_[static_cast<std::size_t>(kind)];
  }

  ReplicaProbes probes_;
  std::array<State, kProbeKinds> states_;
  bool alive_ = true;
};

}  // namespace gangway::executor
