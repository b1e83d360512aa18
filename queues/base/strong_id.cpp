#include "queues/base/strong_id.hpp"

#include "queues/base/text.hpp"

namespace gangway {
namespace {
// 0 is never given out, so no text names it.
std::optional<std::uint64_t> parse_id(std::string_view text) {
  const auto number = parse_integer<std::uint64_t>(text);
  return number && *number != 0 ? number : std::nullopt;
}
}  // namespace

std::string to_string(JobId id) { return cat(id.value); }

std::string to_string(JobKey key) {
  return key.index == JobKey::kNoIndex ? to_string(key.job) : cat(key.job.value, '_', key.index);
}

std::string to_string(WorkflowId id) { return cat('w', id.value); }

std::optional<JobKey> parse_job_key(std::string_view text) {
  const auto underscore = text.find('_');
  const auto job = parse_id(text.substr(0, underscore));
  if (!job) return std::nullopt;
  if (underscore == std::string_view::npos) return JobKey{.job = {*job}};
  const auto index = parse_integer<std::uint32_t>(text.substr(underscore + 1));
  if (!index || *index == JobKey::kNoIndex) return std::nullopt;
  return JobKey{.job = {*job}, .index = *index};
}

std::optional<WorkflowId> parse_workflow_id(std::string_view text) {
  if (!text.starts_with('w')) return std::nullopt;
  const auto id = parse_id(text.substr(1));
  return id ? std::optional(WorkflowId{*id}) : std::nullopt;
}

}  // namespace gangway
