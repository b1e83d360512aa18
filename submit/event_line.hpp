// An event of the scheduler's log as people and programs are shown it: one line each.
//
// Pure.
#pragma once

#include <string>

#include "queues/model/job_event.hpp"

namespace gangway::submit {

// {"seq":7,"time":"2026-11-23T20:41:07Z","subject":"job","id":"42","event":"Ended",…}, no line end.
[[nodiscard]] std::string render_event_json(const Event& event);
// "20:41:07 job 42 Ended: failed with exit code 3".
[[nodiscard]] std::string render_event(const Event& event);

}  // namespace gangway::submit
