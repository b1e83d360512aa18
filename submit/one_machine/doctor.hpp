// What this machine can and cannot do for jobs, in lines for people.
#pragma once

#include <string>
#include <vector>

#include "containers/kernel_probe.hpp"

namespace gangway::one_machine {

struct DoctorReport {
  std::string heading;  // kernel, user
  std::vector<containers::ProbeRow> rows;
  bool jobs_can_run = false;  // all that is missing has a waiver
};

[[nodiscard]] DoctorReport examine_machine();
// Pure.
[[nodiscard]] std::string render_report(const DoctorReport& report);

}  // namespace gangway::one_machine
