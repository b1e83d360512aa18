// The short way to an image that the node has already: its tree is in the store, and a child with
// the user's ids finds that this user, who was seen to have all of it before, can still read it
// where it comes from. It reads one blob of an OCI layout and compares its digest; nothing is
// parsed, so it may be done in the shepherd. Archives, and whatever does not succeed here, are the
// image helper's.
#pragma once

#include <optional>
#include <string>

#include "containers/image_ref.hpp"
#include "containers/image_report.hpp"
#include "containers/privileges.hpp"
#include "containers/runtime.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// The image's report, if the short way is open for this source and user.
[[nodiscard]] std::optional<ImageReport> find_stored_layout(const std::string& store,
                                                            const ImageSource& source,
                                                            uid_t user,
                                                            bool readable_by_all);

// With the rights that the caller has: can it read the manifest blob of the layout at source.path?
// No link into a process leads there (/proc/self/fd): it could be a descriptor that is not the
// user's.
[[nodiscard]] Result<void> check_access(const ImageSource& source);

// A child that ends with code 0 if `user` can.
// Requires: a process with one thread.
[[nodiscard]] Result<pid_t> spawn_access_check(const Credentials& user, const ImageSource& source);

}  // namespace gangway::containers
