// Whether a directory is a cluster's, before anything in it is changed: what `up` and `down`
// remove, unmount and end below it would be somebody else's if it is not.
#pragma once

#include "queues/base/result.hpp"
#include "submit/one_machine/cluster_layout.hpp"

namespace gangway::one_machine {

// It does not exist, is empty, holds what `up` has written, or what an `up` that failed early has
// left. Changes nothing. Errors: Conflict, naming the directory and what is in it.
[[nodiscard]] Result<void> require_own(const ClusterLayout& layout);

}  // namespace gangway::one_machine
