#include "submit/one_machine/doctor.hpp"

#include <unistd.h>

#include <algorithm>

#include "queues/base/find_program.hpp"
#include "queues/base/text.hpp"
#include "submit/one_machine/command.hpp"

namespace gangway::one_machine {
namespace {

constexpr std::string_view kMissing = "MISSING";

std::string_view verdict_of(const containers::ProbeRow& row) {
  if (row.ok) return "ok     ";
  if (!row.waiver.empty()) return "waived ";
  return row.needed ? kMissing : "absent ";
}

containers::ProbeRow network_row() {
  if (::geteuid() != 0) {
    return {.name = "networks of their own",
            .ok = true,
            .detail = "for root only; this user's executors meet at 127.0.0.1",
            .remedy = {},
            .waiver = {}};
  }
  const auto version = run_command({"ip", "-V"});
  if (version) {
    return {.name = "networks of their own",
            .ok = true,
            .detail = std::string(trim(*version)),
            .remedy = {},
            .waiver = {}};
  }
  return {.name = "networks of their own",
          .ok = false,
          .detail = version.error().message(),
          .remedy = "apt-get install iproute2",
          .waiver = {}};
}

containers::ProbeRow programs_row() {
  std::vector<std::string> missing;
  for (const char* name : {"jschedd", "jexecd", "jshepherd", "jpmixd", "jimage-unpack"}) {
    if (!find_program(name)) missing.emplace_back(name);
  }
  if (missing.empty()) {
    return {.name = "programs", .ok = true, .detail = "all found", .remedy = {}, .waiver = {}};
  }
  return {.name = "programs",
          .ok = false,
          .detail = cat("not found: ", join(missing, ", ")),
          .remedy = "build or install them all, in one place",
          .waiver = {}};
}

}  // namespace

DoctorReport examine_machine() {
  const auto kernel = containers::probe_kernel();
  DoctorReport report{
      .heading = cat("kernel ", kernel.release, ", control groups ", to_string(kernel.cgroup_kind),
                     kernel.privileged ? ", as root" : ", as an ordinary user"),
      .rows = containers::render_rows(kernel),
      .jobs_can_run = true};
  report.rows.push_back(network_row());
  report.rows.push_back(programs_row());
  for (const auto& row : report.rows) {
    if (verdict_of(row) == kMissing) report.jobs_can_run = false;
  }
  return report;
}

std::string render_report(const DoctorReport& report) {
  std::size_t width = 0;
  for (const auto& row : report.rows) width = std::max(width, row.name.size());
  std::string text = report.heading + "\n";
  for (const auto& row : report.rows) {
    text += cat(verdict_of(row), "  ", row.name, std::string(width - row.name.size(), ' '), "  ",
                row.detail, '\n');
    if (!row.ok && !row.remedy.empty()) text += cat("         to have it: ", row.remedy, '\n');
    if (!row.ok && !row.waiver.empty()) {
      text += cat("         until then: the waiver ", row.waiver, " (gangway up sets it)\n");
    }
  }
  text += report.jobs_can_run ? "jobs can run here" : "jobs cannot run here: see MISSING";
  return text;
}

}  // namespace gangway::one_machine
