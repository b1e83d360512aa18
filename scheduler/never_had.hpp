// Elements that an array never had are told from those that have ended. Pure.
#pragma once

#include <optional>

#include "queues/base/result.hpp"
#include "queues/base/text.hpp"
#include "queues/model/job.hpp"

namespace gangway::scheduler {

// NotFound, if `element` names an index that its job `whole` never had; nullopt if it had it, or if
// `element` is no element or `whole`, null, is not known any more.
[[nodiscard]] inline std::optional<Error> never_had(const Job* whole, JobKey element) {
  if (element.index == JobKey::kNoIndex || whole == nullptr) return std::nullopt;
  const std::string none = cat("there is no job ", to_string(element));
  if (!whole->spec->array) {
    return Error(ErrorKind::NotFound, cat(none, ": job ", to_string(element.job), " is no array"));
  }
  const IndexList& indexes = whole->spec->array->indexes;
  if (indexes.position_of(element.index)) return std::nullopt;
  return Error(ErrorKind::NotFound,
               cat(none, ": array ", to_string(element.job), " has ",
                   render_indexes(indexes, IntervalSet::below(indexes.count()), 60)));
}

}  // namespace gangway::scheduler
