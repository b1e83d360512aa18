// Identifiers that cannot be confused with each other: each is a type of its own over a number or a
// string, ordered, hashable, and printed as people write it.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace gangway {

template <typename Tag>
struct NumberId {
  std::uint64_t value = 0;  // 0 is never given out
  friend constexpr auto operator<=>(NumberId, NumberId) = default;
};

template <typename Tag>
struct NameId {
  std::string value;
  NameId() = default;
  explicit NameId(std::string name) : value(std::move(name)) {}
  friend auto operator<=>(const NameId&, const NameId&) = default;
  [[nodiscard]] bool empty() const { return value.empty(); }
};

using JobId = NumberId<struct JobIdTag>;
using WorkflowId = NumberId<struct WorkflowIdTag>;
// One life of the scheduler; it rises with each start, and orders of an older life are refused.
using Epoch = NumberId<struct EpochTag>;
using NodeName = NameId<struct NodeNameTag>;
using QueueName = NameId<struct QueueNameTag>;
using AccountName = NameId<struct AccountNameTag>;

// The n-th time a job runs, from 1. It fences late messages of an earlier time.
using Attempt = std::uint32_t;

// A job, or one element of an array job. Everything is keyed by it: tables, messages, events.
struct JobKey {
  static constexpr std::uint32_t kNoIndex = 0xffffffff;
  JobId job;
  std::uint32_t index = kNoIndex;
  friend constexpr auto operator<=>(JobKey, JobKey) = default;
};

// "42", "42_7", "w7".
[[nodiscard]] std::string to_string(JobId id);
[[nodiscard]] std::string to_string(JobKey key);
[[nodiscard]] std::string to_string(WorkflowId id);
[[nodiscard]] std::optional<JobKey> parse_job_key(std::string_view text);
[[nodiscard]] std::optional<WorkflowId> parse_workflow_id(std::string_view text);

}  // namespace gangway

template <typename Tag>
struct std::hash<gangway::NumberId<Tag>> {
  std::size_t operator()(gangway::NumberId<Tag> id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value);
  }
};
template <typename Tag>
struct std::hash<gangway::NameId<Tag>> {
  std::size_t operator()(const gangway::NameId<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.value);
  }
};
template <>
struct std::hash<gangway::JobKey> {
  std::size_t operator()(gangway::JobKey key) const noexcept {
    return std::hash<std::uint64_t>{}(key.job.value * 0x9e3779b97f4a7c15ULL ^ key.index);
  }
};
