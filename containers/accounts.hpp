// The user databases that a sandbox sees: the image's own, with the job's user in them.
//
// The image's texts are hostile input: lines that are not plain entries are dropped. Pure.
#pragma once

#include <string>
#include <string_view>

#include "containers/runtime.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// `image_text` with every line that has the user's name or uid replaced by the user's own.
[[nodiscard]] std::string merge_passwd(std::string_view image_text, const UserIdentity& user);
// The user's primary group gets the user's name if the image has no group of that number.
[[nodiscard]] std::string merge_group(std::string_view image_text, const UserIdentity& user);

// Whom an image's User means: "", "0", "name", "uid:gid", "name:group", by the image's own
// databases. A user that is named and not numbered has the groups the image gives her, unless one
// is named. Errors: NotFound (a name the image does not know), Invalid (no user at all).
[[nodiscard]] Result<UserIdentity> find_image_user(std::string_view passwd,
                                                   std::string_view group,
                                                   std::string_view user);

}  // namespace gangway::containers
