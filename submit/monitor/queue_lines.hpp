// Which lines the queue has on the screen and in which order: filtered, sorted, or workflows as
// trees in which a job stands below the last of those it needs.
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "submit/monitor/picture.hpp"

namespace gangway::monitor {

enum class SortBy { State, Id, Priority, Time, User, Name, Queue, Nodes, Cores };
inline constexpr SortBy kSortBys[] = {SortBy::State, SortBy::Id,    SortBy::Priority,
                                      SortBy::Time,  SortBy::User,  SortBy::Name,
                                      SortBy::Queue, SortBy::Nodes, SortBy::Cores};
[[nodiscard]] std::string_view name_of(SortBy by);

struct QueueChoices {
  SortBy by = SortBy::State;
  bool reversed = false;
  bool tree = false;
  bool ended = false;  // all that have ended, not those of the last minute alone
  std::string filter;  // in id, name, user, queue, state or nodes; case does not matter
  std::string user;    // only this one's
};

// For so long a job that has ended is shown by itself.
inline constexpr Duration kEndedShown = minutes(1);

struct QueueLine {
  const WatchedJob* job = nullptr;  // nullptr: the line of a workflow
  std::uint64_t workflow = 0;       // of such a line
  std::size_t depth = 0;
};

// The pointers are into the picture.
[[nodiscard]] std::vector<QueueLine> lines_of(const Picture& picture,
                                              const QueueChoices& choices,
                                              Time now);
[[nodiscard]] bool contains(std::string_view text, std::string_view part);  // whatever the case
[[nodiscard]] bool matches(const submit::JobRow& row, std::string_view part);

}  // namespace gangway::monitor
