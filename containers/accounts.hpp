// The user databases that a sandbox sees: the image's own, with the job's user in them.
//
// The image's texts are hostile input: lines that are not plain entries are dropped. Pure.
#pragma once

#include <string>
#include <string_view>

#include "containers/runtime.hpp"

namespace gangway::containers {

// `image_text` with every line that has the user's name or uid replaced by the user's own.
[[nodiscard]] std::string merge_passwd(std::string_view image_text, const UserIdentity& user);
// The user's primary group gets the user's name if the image has no group of that number.
[[nodiscard]] std::string merge_group(std::string_view image_text, const UserIdentity& user);

}  // namespace gangway::containers
