// Whether a directory is a cluster's, before anything in it is changed: what `up` and `down`
// remove, unmount and end below it would be somebody else's if it is not.
#pragma once

#include "queues/base/result.hpp"
#include "submit/one_machine/cluster_layout.hpp"

namespace gangway::one_machine {

// It does not exist, is empty, holds what `up` has written, or what an `up` that failed early has
// left; and only we can change what is in it. Changes nothing. Errors: Conflict, naming the
// directory and what is in it; those of require_unchangeable_by_others().
[[nodiscard]] Result<void> require_own(const ClusterLayout& layout);

// What is at `directory`, an absolute path without links, and on the way to it belongs to us or to
// root (to root also: to who has become root by sudo), and no other user may write to it: what a
// daemon's pid file names is ended, and what a configuration names is obeyed. Errors: Denied.
[[nodiscard]] Result<void> require_unchangeable_by_others(const std::string& directory);

}  // namespace gangway::one_machine
