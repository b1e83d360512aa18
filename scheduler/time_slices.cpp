// Time slices: whose turn it is. The matrix (policy/slice_matrix.hpp) says who shares cores with
// whom; here a timer goes from row to row.
//
// settle_slices() compares what runs with what is to run in the slice, at the end of every turn in
// which something has changed: whoever is not to run is suspended at once; whoever is to run is
// resumed, or launched for the first time, when every gang that shares a core with it is quiet on
// all its nodes. So two of them never run in the same slice, whatever is lost or late. A row that
// has not come to run within kSwitchPatience, because a node does not answer, loses its turn; the
// silent node's lease decides about the gang there, as for any other.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

constexpr Duration kSwitchPatience = seconds(30);
// Of a queue whose gangs still take turns though its time slices were taken out of the file.
constexpr Duration kLeftOverSlice = seconds(30);

}  // namespace

// ---- which queues ------------------------------------------------------------------------------

// Before anything is told to the planner.
void Controller::Impl::make_slicers() {
  for (Queue& queue : config.queues) {
    const bool left_over = std::ranges::any_of(state.jobs(), [&](const auto& entry) {
      const auto* suspended = std::get_if<phase::Suspended>(&entry.second.phase);
      return suspended != nullptr && !suspended->by_operator &&
             entry.second.spec->queue == queue.name;
    });
    if (!queue.time_slicing && left_over) queue.time_slicing = {1, kLeftOverSlice};
    if (queue.time_slicing) {
      slicers.push_back({.queue = queue.name, .slice = queue.time_slicing->slice});
    }
  }
}

Controller::Impl::Slicer* Controller::Impl::find_slicer(const Job& job) {
  for (Slicer& slicer : slicers) {
    if (slicer.queue == job.spec->queue) return &slicer;
  }
  return nullptr;
}

void Controller::Impl::touch_slices(const Job& job) {
  if (Slicer* const slicer = find_slicer(job)) slicer->touched = true;
}

void Controller::Impl::tell_planner_started(const Job& job, const Allocation& held) {
  planner.apply(delta::Started{job.key, held, expected_end(job), job.spec->queue});
  touch_slices(job);
}

void Controller::Impl::tell_planner_started(const Job& job) {
  tell_planner_started(job, *job.allocation());
}

void Controller::Impl::tell_planner_ended(JobKey key) {
  planner.apply(delta::Ended{key});
  touch_slices(state.get_job(key));
}

// ---- turns -------------------------------------------------------------------------------------

// It could run now, if it were its turn.
bool Controller::Impl::is_willing(JobKey key) const {
  const Job& job = state.get_job(key);
  if (std::holds_alternative<phase::Running>(job.phase)) return true;
  if (const auto* suspended = std::get_if<phase::Suspended>(&job.phase)) {
    return !suspended->by_operator;
  }
  const auto gang = gangs.find(key);
  return std::holds_alternative<phase::Starting>(job.phase) && gang != gangs.end() &&
         gang->second.prepared == gang->second.parts.size();
}

// The row whose slice it is: the one of its leader. Rows move when others end, so it is not kept by
// its number.
std::optional<std::size_t> Controller::Impl::row_in_turn(const Slicer& slicer,
                                                         const SliceMatrix& matrix) const {
  if (matrix.contains(slicer.leader) && is_willing(slicer.leader)) {
    return matrix.row_of(slicer.leader);
  }
  for (std::size_t row = 0; row < matrix.rows().size(); ++row) {
    for (const JobKey key : matrix.rows()[row]) {
      if (std::holds_alternative<phase::Running>(state.get_job(key).phase)) return row;
    }
  }
  return matrix.next_row(0, [this](JobKey key) { return is_willing(key); });
}

void Controller::Impl::settle_slices() {
  for (std::size_t i = 0; i < slicers.size(); ++i) {
    // What it does to gangs touches it again, and changes nothing the second time.
    for (int round = 0; round < 2 && slicers[i].touched; ++round) {
      slicers[i].touched = false;
      settle_slice(i);
    }
    slicers[i].touched = false;
  }
}

void Controller::Impl::settle_slice(std::size_t number) {
  Slicer& slicer = slicers[number];
  const auto willing = [this](JobKey key) { return is_willing(key); };
  const SliceMatrix& matrix = *planner.slices_of(slicer.queue);
  const auto row = row_in_turn(slicer, matrix);
  if (!row) return begin_slice(slicer, {});
  const auto& gangs_of_row = matrix.rows()[*row];
  const JobKey leader = *std::ranges::find_if(gangs_of_row, willing);
  if (!matrix.contains(slicer.leader) || !is_willing(slicer.leader)) {
    begin_slice(slicer, leader);
  }

  const std::vector<JobKey> in_turn = matrix.slice(*row, willing);
  const auto is_in_turn = [&](JobKey key) { return std::ranges::binary_search(in_turn, key); };
  std::vector<JobKey> to_suspend;
  std::vector<JobKey> to_run;
  bool others_wait = false;
  for (const auto& gangs_there : matrix.rows()) {
    for (const JobKey key : gangs_there) {
      if (!willing(key)) continue;
      const bool runs = std::holds_alternative<phase::Running>(state.get_job(key).phase);
      if (runs && !is_in_turn(key)) to_suspend.push_back(key);
      if (!runs && is_in_turn(key)) to_run.push_back(key);
      others_wait = others_wait || !is_in_turn(key);
    }
  }
  std::ranges::sort(to_suspend);
  std::ranges::sort(to_run);
  for (const JobKey key : to_suspend) suspend(key, false);
  bool all_run = true;
  std::vector<JobKey> free_to_run;
  for (const JobKey key : to_run) {
    const std::vector<JobKey> rivals = matrix.rivals_of(key);
    const bool free = std::ranges::all_of(rivals, [this](JobKey rival) { return is_quiet(rival); });
    if (free) free_to_run.push_back(key);
    all_run = all_run && free;
  }
  // From here on the matrix may change: launching tells the planner of a new end.
  for (const JobKey key : free_to_run) {
    std::holds_alternative<phase::Starting>(state.get_job(key).phase) ? launch(key) : resume(key);
  }
  if (all_run && !slicer.full_since) {
    slicer.full_since = now.boot;
    put_off(slicer);
  }
  if (!others_wait) return put_off(slicer);
  if (slicer.due) return;
  const BootTime at = slicer.full_since ? std::max(now.boot, *slicer.full_since + slicer.slice)
                                        : now.boot + kSwitchPatience;
  slicer.due = Due{at, DueKind::Slice, {}, number};
  put_on_agenda(*slicer.due);
}

void Controller::Impl::begin_slice(Slicer& slicer, JobKey leader) {
  slicer.leader = leader;
  slicer.full_since.reset();
  put_off(slicer);
}

void Controller::Impl::put_off(Slicer& slicer) {
  if (slicer.due) agenda.erase(*slicer.due);
  slicer.due.reset();
}

void Controller::Impl::on_slice_due(std::size_t number) {
  Slicer& slicer = slicers[number];
  slicer.due.reset();
  slicer.touched = true;
  const SliceMatrix& matrix = *planner.slices_of(slicer.queue);
  const auto willing = [this](JobKey key) { return is_willing(key); };
  const auto row = row_in_turn(slicer, matrix);
  if (!row) return;
  const auto next = matrix.next_row(*row, willing);
  CHECK(next.has_value());
  begin_slice(slicer, *std::ranges::find_if(matrix.rows()[*next], willing));
}

// ---- for people --------------------------------------------------------------------------------

// "the slice is job 7's; its own is expected in 25s".
std::string Controller::Impl::describe_turn(const Job& job) {
  const Slicer* const slicer = find_slicer(job);
  if (slicer == nullptr) return "";
  const SliceMatrix& matrix = *planner.slices_of(slicer->queue);
  const auto row = row_in_turn(*slicer, matrix);
  if (!row || !matrix.contains(job.key)) return "";
  if (matrix.row_of(job.key) == *row)
    return "its slice has come, and others do not stand still yet";
  const auto willing = [this](JobKey key) { return is_willing(key); };
  std::size_t rows_before = 1;
  std::size_t at = *row;
  while (true) {
    at = matrix.next_row(at, willing).value_or(*row);
    if (at == *row || at == matrix.row_of(job.key)) break;
    ++rows_before;
  }
  const Duration left = slicer->due ? slicer->due->at - now.boot : slicer->slice;
  const Duration until =
      std::max(Duration{}, left) + slicer->slice * static_cast<std::int64_t>(rows_before - 1);
  std::vector<std::string> names;
  for (const JobKey rival : matrix.rivals_of(job.key)) {
    if (std::holds_alternative<phase::Running>(state.get_job(rival).phase)) {
      names.push_back(to_string(rival));
    }
  }
  const std::string whose =
      names.empty()
          ? std::string("the slice is about to change")
          : cat("this slice is of ", names.size() == 1 ? "job " : "jobs ", join(names, ", "));
  return cat(whose, "; its own is expected ",
             until < seconds(1)
                 ? std::string("at once")
                 : cat("in ", render_duration(Duration{until.ns / 1'000'000'000 * 1'000'000'000})));
}

}  // namespace gangway::scheduler
