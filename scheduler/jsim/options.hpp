// What jsim was asked for. Pure, but for the state that getopt keeps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/model/backfill_policy.hpp"
#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/swf.hpp"
#include "scheduler/jsim/workflow_trace.hpp"

namespace gangway::jsim {

struct WorkflowArgument {
  std::string user;  // empty: one of its own
  std::string file;
  friend bool operator==(const WorkflowArgument&, const WorkflowArgument&) = default;
};

struct Options {
  std::string trace;  // "-": standard input
  std::vector<WorkflowArgument> workflows;
  std::vector<BackfillPolicy> policies;  // at least one
  std::vector<DagOrder> dag_orders;      // likewise
  std::optional<EventOrder> order;
  SwfOptions swf;
  Machine machine;
  Duration apart;
  std::string fair_share;  // "users", "groups" or a file; empty: none
  std::optional<Duration> half_life;
  int shakes = 0;
  Duration shake_by = minutes(1);
  std::uint64_t seed = 1;
  bool users = false;
  bool quiet = false;
  std::string csv;
  std::string gantt;
  std::string utilisation;
  std::string left_out;
};

inline constexpr std::int32_t kMostProcessors = 10'000'000;

// Errors: Invalid, a sentence for people.
[[nodiscard]] Result<Options> parse_options(int argc, char** argv);

[[nodiscard]] std::string_view help_text();

}  // namespace gangway::jsim
