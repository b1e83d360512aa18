// What the scheduler expects of a job that waits or is only tested, in the words that people are
// shown. Pure but for local time.
#pragma once

#include <string>

#include "queues/base/time.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/render.hpp"

namespace gangway::submit {

void write_json(const wire::Outlook& outlook, JsonWriter& json);

// "The job would start at ..." and what there is beside that, of a job that is not submitted yet;
// `what` is "The job" or "Job solve". With line ends.
[[nodiscard]] std::string describe_outlook(const wire::Outlook& outlook,
                                           const std::string& what,
                                           Time now);

}  // namespace gangway::submit
