// Images are resolved when a job is submitted, with the submitting user's rights, by running
// `jimage resolve PATH[:TAG]`: so that jsubmit itself reads no archives, and a tag that moves later
// does not change what runs.
#pragma once

#include <string>
#include <string_view>

#include "queues/base/result.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway::submit {

// Errors: NotFound (no such image), Corrupt (no image, or a broken one), Denied, Internal (jimage
// is missing or failed otherwise); the message is jimage's own line.
[[nodiscard]] Result<ImageSpec> resolve_image(const std::string& image);

// What `jimage resolve` prints: lines of a word and its value ("kind", "path", "digest" and perhaps
// "reference"; others are passed over). This is the contract with containers/jimage_main.cpp.
// Errors: Internal.
[[nodiscard]] Result<ImageSpec> parse_resolved(std::string_view answer);

}  // namespace gangway::submit
