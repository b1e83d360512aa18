// A workflow: a DAG of jobs that is submitted, listed, cancelled and waited for as one. Pure
// values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway {

// Which ends of the job needed let the needing job run.
// Each: element by element of two arrays with the same indexes, each of which needs the other's
// success.
enum class NeedOutcome { Success, Failure, Any, Each };
[[nodiscard]] std::string_view to_string(NeedOutcome outcome);

// Members that can never run, because of how those they need ended, end as Cancelled with this
// before the reason: so they are told from those that somebody cancelled. The failure that made it
// so counts for the workflow; they do not.
inline constexpr std::string_view kSkippedPrefix = "skipped: ";

struct Need {
  std::string member;
  NeedOutcome outcome = NeedOutcome::Success;
  friend bool operator==(const Need&, const Need&) = default;
};

struct WorkflowMember {
  std::string name;
  JobId job;  // of its newest generation
  std::vector<Need> needs;
  std::string category{};  // of those of one so many run at once as the workflow says
  bool is_final = false;   // runs after all others, and again whenever the workflow is resumed
  friend bool operator==(const WorkflowMember&, const WorkflowMember&) = default;
};

struct CategoryLimit {
  std::string category;
  std::uint32_t max_running = 0;
  friend bool operator==(const CategoryLimit&, const CategoryLimit&) = default;
};
inline constexpr std::size_t kMaxCategories = 1000;

struct Workflow {
  WorkflowId id;
  std::uint32_t generation = 1;  // resuming one makes a new generation
  std::string name;
  Owner owner;
  Time submitted;
  std::optional<Time> ended;
  std::vector<WorkflowMember> members;  // in the order of the file
  std::vector<CategoryLimit> limits;
  std::uint64_t version = 0;
  friend bool operator==(const Workflow&, const Workflow&) = default;
};

}  // namespace gangway
