#include "containers/program_table.hpp"

#include <csignal>
#include <utility>

namespace gangway::containers {
namespace {

bool is_ignored_by_default(int number) {
  return number == SIGCONT || number == SIGURG || number == SIGWINCH || number == SIGCHLD;
}

bool stops_by_default(int number) {
  return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

}  // namespace

void ProgramTable::add(std::uint32_t id, bool on_host, OnEnd on_end) {
  programs_.emplace(id, Program{std::move(on_end), on_host});
}

bool ProgramTable::is_on_host(std::uint32_t id) const {
  const auto found = programs_.find(id);
  return found != programs_.end() && found->second.on_host;
}

void ProgramTable::note_signal(int number, std::optional<std::uint32_t> id) {
  for (auto& [program_id, program] : programs_) {
    const bool meant = id ? program_id == *id : !program.on_host || number == SIGKILL;
    if (meant) note_early(program, number);
  }
}

void ProgramTable::note_signal_to_others(int number, std::uint32_t id) {
  for (auto& [program_id, program] : programs_) {
    if (program_id != id && !program.on_host) note_early(program, number);
  }
}

void ProgramTable::note_early(Program& program, int number) {
  if (program.sent) return;
  if (number == SIGCONT) program.early_stop = 0;
  if (is_ignored_by_default(number)) return;
  if (stops_by_default(number)) {
    program.early_stop = number;
  } else if (program.early_signal == 0) {
    program.early_signal = number;
  }
}

int ProgramTable::early_end(std::uint32_t id) const {
  const auto found = programs_.find(id);
  return found == programs_.end() ? 0 : found->second.early_signal;
}

int ProgramTable::mark_sent(std::uint32_t id) {
  const auto found = programs_.find(id);
  if (found == programs_.end()) return 0;
  found->second.sent = true;
  return found->second.early_stop;
}

void ProgramTable::end(ProgramEnd end) {
  const auto found = programs_.find(end.id);
  if (found == programs_.end()) return;
  const OnEnd on_end = std::move(found->second.on_end);
  programs_.erase(found);
  if (on_end) on_end(std::move(end));
}

void ProgramTable::end_by_signal(std::uint32_t id, int number) {
  end({.id = id, .started = true, .wait_status = number, .message = {}});
}

void ProgramTable::end_unstarted(std::uint32_t id, const std::string& why) {
  end({.id = id, .started = false, .wait_status = 0, .message = why});
}

void ProgramTable::end_those_sent(bool on_host) {
  std::vector<std::uint32_t> ids;
  for (const auto& [id, program] : programs_) {
    if (program.on_host == on_host && program.sent) ids.push_back(id);
  }
  for (const std::uint32_t id : ids) end_by_signal(id, SIGKILL);
}

void ProgramTable::end_all_unstarted(const std::string& why) {
  std::vector<std::uint32_t> ids;
  for (const auto& [id, program] : programs_) ids.push_back(id);
  for (const std::uint32_t id : ids) end_unstarted(id, why);
}

}  // namespace gangway::containers
