#include "executor/step_control.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "executor/exit_status.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway::executor {

namespace {
constexpr std::int32_t kLostCode = 1;        // a node went away
constexpr std::int32_t kNotStartedCode = 1;  // a part could not be started

wire::ToPart signal_message(int number) {
  wire::ToPart message;
  message.mutable_signal()->set_number(static_cast<std::uint32_t>(number));
  return message;
}
}  // namespace

StepControl::StepControl(StepFacts facts, wire::StepRun run, StepLayout layout)
    : facts_(std::move(facts)), run_(std::move(run)), layout_(std::move(layout)) {
  CHECK(facts_.node_names.size() == layout_.nodes.size());
  parts_.resize(layout_.nodes.size());
  open_parts_ = parts_.size();
}

ControlActions StepControl::start(Now now) {
  ControlActions out;
  started_ = now.wall;
  started_boot_ = now.boot;
  wire::PartStart all;
  all.set_tasks(layout_.tasks);
  all.set_cpus_per_task(layout_.cpus_per_task);
  all.set_window(facts_.window);
  for (std::size_t i = 0; i < layout_.nodes.size(); ++i) {
    all.add_nodes(facts_.node_names[i]);
    all.add_node_indices(layout_.nodes[i].node_index);
    all.add_ranks_of_node(render_ranks(layout_.nodes[i].ranks));
    all.add_tasks_of_node(static_cast<std::uint32_t>(layout_.nodes[i].ranks.size()));
  }
  *all.mutable_run() = run_;
  for (std::size_t i = 0; i < layout_.nodes.size(); ++i) {
    const StepNode& node = layout_.nodes[i];
    control_action::ToPart order{.place = i, .message = {}};
    wire::PartStart& start = *order.message.mutable_start();
    start = all;
    start.set_place(static_cast<std::uint32_t>(i));
    start.set_bound(node.bound);
    for (const std::int32_t core : node.cores) start.add_cores(core);
    for (const std::uint32_t rank : node.ranks) {
      wire::PartRank* const one = start.add_ranks();
      one->set_rank(rank);
      for (int p = 0; p < run_.programs_size(); ++p) {
        const auto& spans = run_.programs(p).ranks();
        for (int s = 0; s + 1 < spans.size(); s += 2) {
          if (rank >= spans[s] && rank - spans[s] < spans[s + 1]) {
            one->set_program(static_cast<std::uint32_t>(p));
          }
        }
      }
    }
    out.emplace_back(std::move(order));
  }
  if (run_.time_limit_ns() > 0) {
    out.emplace_back(
        control_action::Arm{StepAlarm::Limit, now.boot + Duration{run_.time_limit_ns()}});
  }
  return out;
}

bool StepControl::sends_output() const {
  return run_.terminal() || !run_.pass_out() || layout_.nodes.size() > 1;
}

void StepControl::to_all(const wire::ToPart& message, ControlActions& out) const {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (!parts_[i].over) out.emplace_back(control_action::ToPart{i, message});
  }
}

std::optional<std::size_t> StepControl::place_of(std::uint32_t rank) const {
  for (std::size_t i = 0; i < layout_.nodes.size(); ++i) {
    const auto& ranks = layout_.nodes[i].ranks;
    if (std::binary_search(ranks.begin(), ranks.end(), rank)) return i;
  }
  return std::nullopt;
}

ControlActions StepControl::on_client(const wire::ToStep& message, Now) {
  ControlActions out;
  if (over_) return out;
  if (message.has_input()) {
    const std::uint64_t size = message.input().data().size();
    if (input_given_ + size - input_acknowledged_ > kMaxInputOnItsWay) {
      out.emplace_back(control_action::Cut{
          Error(ErrorKind::Exhausted, cat("step ", facts_.step, ": more than ", kMaxInputOnItsWay,
                                          " bytes of input that its ranks have not taken"))});
      return out;
    }
    input_given_ += size;
    wire::ToPart input;
    *input.mutable_input() = message.input();
    if (run_.input() == wire::INPUT_ONE) {
      const auto place = place_of(run_.input_rank());
      if (place && !parts_[*place].over) out.emplace_back(control_action::ToPart{*place, input});
    } else if (run_.input() == wire::INPUT_ALL) {
      to_all(input, out);
    }
    acknowledge_input(out);
  } else if (message.has_consumed()) {
    const std::size_t place = message.consumed().node();
    const std::uint64_t taken = message.consumed().bytes();
    if (place >= parts_.size() || taken > parts_[place].output_on_its_way) {
      out.emplace_back(control_action::Cut{
          Error(ErrorKind::Invalid,
                cat("step ", facts_.step, ": output is said to be taken that was not given"))});
      return out;
    }
    parts_[place].output_on_its_way -= taken;
    if (!parts_[place].over) {
      control_action::ToPart consumed{.place = place, .message = {}};
      *consumed.message.mutable_consumed() = message.consumed();
      out.emplace_back(std::move(consumed));
    }
  } else if (message.has_signal()) {
    to_all(signal_message(static_cast<int>(message.signal().number())), out);
  } else if (message.has_size()) {
    wire::ToPart size;
    *size.mutable_size() = message.size();
    if (!parts_[0].over) out.emplace_back(control_action::ToPart{0, size});
  }
  return out;
}

ControlActions StepControl::on_client_gone(Now now) {
  ControlActions out;
  if (over_ || !client_) return out;
  client_ = false;
  fail(128 + SIGHUP, "its jrun is gone");
  end_all(now, out);
  return out;
}

ControlActions StepControl::signal(int number) const {
  ControlActions out;
  if (!over_) to_all(signal_message(number), out);
  return out;
}

ControlActions StepControl::on_part(std::size_t place, wire::FromPart message, Now now) {
  ControlActions out;
  if (place >= parts_.size() || parts_[place].over) return out;
  Part& part = parts_[place];
  if (message.has_started()) {
    if (part.started) return out;
    part.started = true;
    ++started_parts_;
    for (const std::string& binding : message.started().bindings()) bindings_.push_back(binding);
    if (started_parts_ == parts_.size()) {
      control_action::ToClient started;
      wire::StepStarted& what = *started.message.mutable_started();
      what.set_step(facts_.step);
      what.set_tasks(layout_.tasks);
      for (const std::string& name : facts_.node_names) what.add_nodes(name);
      for (const std::string& binding : bindings_) what.add_bindings(binding);
      out.emplace_back(std::move(started));
    }
  } else if (message.has_output()) {
    wire::StepOutput& output = *message.mutable_output();
    if (!client_) {
      control_action::ToPart taken{.place = place, .message = {}};
      taken.message.mutable_consumed()->set_bytes(output.data().size());
      out.emplace_back(std::move(taken));
      return out;
    }
    part.output_on_its_way += output.data().size();
    output.set_node(static_cast<std::uint32_t>(place));
    control_action::ToClient pass;
    *pass.message.mutable_output() = std::move(output);
    out.emplace_back(std::move(pass));
  } else if (message.has_input_consumed()) {
    part.input_taken += message.input_consumed().bytes();
    acknowledge_input(out);
  } else if (message.has_task_ended()) {
    message.mutable_task_ended()->set_node(facts_.node_names[place]);
    note_end(message.task_ended(), now, out);
  } else if (message.has_aborted()) {
    // Of a rank that others wait for its end has been told already.
    if (!message.aborted().reason().empty()) {
      fail(message.aborted().status(), message.aborted().reason());
    } else if (message.aborted().message().empty()) {
      fail(abort_exit_code(message.aborted().status()),
           cat("task ", message.aborted().rank(), " on ", facts_.node_names[place],
               " called abort with ", message.aborted().status()));
    }
    end_all(now, out);
  } else if (message.has_ended()) {
    const wire::PartEnded& ended = message.ended();
    if (!ended.error().empty()) {
      fail(kNotStartedCode, cat(facts_.node_names[place], ": ", ended.error()));
      end_all(now, out);
    }
    used_.cpu = used_.cpu + Duration{ended.usage().cpu_ns()};
    used_.peak_memory = std::max(used_.peak_memory, Bytes{ended.usage().peak_memory_bytes()});
    used_.read = used_.read + Bytes{ended.usage().read_bytes()};
    used_.written = used_.written + Bytes{ended.usage().written_bytes()};
    part_over(place, now, out);
  }
  return out;
}

ControlActions StepControl::on_part_lost(std::size_t place, Now now) {
  ControlActions out;
  if (place >= parts_.size() || parts_[place].over) return out;
  fail(kLostCode, cat("lost the connection to the shepherd on ", facts_.node_names[place]));
  parts_[place].over = true;
  --open_parts_;
  end_all(now, out);
  parts_[place].over = false;
  ++open_parts_;
  part_over(place, now, out);
  return out;
}

// What the slowest part has taken; a part that is over takes everything.
void StepControl::acknowledge_input(ControlActions& out) {
  std::optional<std::uint64_t> least;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].over) continue;
    if (run_.input() == wire::INPUT_ONE && place_of(run_.input_rank()) != i) continue;
    least = std::min(least.value_or(parts_[i].input_taken), parts_[i].input_taken);
  }
  if (!least || *least <= input_acknowledged_) return;
  control_action::ToClient taken;
  taken.message.mutable_input_consumed()->set_bytes(*least - input_acknowledged_);
  input_acknowledged_ = *least;
  if (client_) out.emplace_back(std::move(taken));
}

bool StepControl::ends_with_first_failure() const { return run_.kill_on_bad_exit(); }

void StepControl::fail(std::int32_t code, std::string detail) {
  // The worst decides; what comes of our own TERM is no news.
  if (code <= exit_code_ || (stopping_ && exit_code_ != 0)) return;
  exit_code_ = code;
  detail_ = std::move(detail);
}

void StepControl::note_end(const wire::TaskEnded& end, Now now, ControlActions& out) {
  const ProgramResult result{.exit_code = end.exit_code(), .signal = end.signal()};
  const bool failed = !end.started() || !result.is_success();
  if (failed) {
    fail(result.shell_code(),
         end.started() ? cat("task ", end.task(), " on ", end.node(), ": ", describe(result))
                       : cat("task ", end.task(), " on ", end.node(), ": ", end.message()));
  }
  if (client_ && ((failed && !stopping_) || run_.report_tasks())) {
    control_action::ToClient tell;
    *tell.message.mutable_task_ended() = end;
    out.emplace_back(std::move(tell));
  }
  if (failed && ends_with_first_failure()) end_all(now, out);
  if (!first_end_seen_ && run_.wait_ns() > 0) {
    out.emplace_back(control_action::Arm{StepAlarm::Wait, now.boot + Duration{run_.wait_ns()}});
  }
  first_end_seen_ = true;
}

void StepControl::end_all(Now now, ControlActions& out) {
  if (stopping_ || over_) return;
  stopping_ = true;
  to_all(signal_message(SIGTERM), out);
  to_all(signal_message(SIGCONT), out);
  out.emplace_back(control_action::Arm{StepAlarm::Grace, now.boot + facts_.kill_grace});
}

ControlActions StepControl::on_alarm(StepAlarm alarm, Now now) {
  ControlActions out;
  if (over_) return out;
  switch (alarm) {
    case StepAlarm::Limit:
      if (stopping_) break;
      fail(128 + SIGTERM, "its time limit is over");
      end_all(now, out);
      break;
    case StepAlarm::Wait:
      if (stopping_) break;
      fail(128 + SIGTERM, "its first task ended, and the time to wait for the others is over");
      end_all(now, out);
      break;
    case StepAlarm::Grace:
      if (!stopping_) break;
      if (!killed_) {
        killed_ = true;
        to_all(signal_message(SIGKILL), out);
        out.emplace_back(control_action::Arm{StepAlarm::Grace, now.boot + kPartPatience});
        break;
      }
      for (std::size_t i = 0; i < parts_.size(); ++i) {
        if (!parts_[i].over) part_over(i, now, out);
      }
      break;
  }
  return out;
}

void StepControl::part_over(std::size_t place, Now, ControlActions& out) {
  if (parts_[place].over) return;
  parts_[place].over = true;
  --open_parts_;
  if (open_parts_ > 0) {
    acknowledge_input(out);
    return;
  }
  over_ = true;
  if (client_) {
    control_action::ToClient ended;
    ended.message.mutable_ended()->set_exit_code(exit_code_);
    ended.message.mutable_ended()->set_detail(detail_);
    out.emplace_back(std::move(ended));
  }
  out.emplace_back(control_action::Over{});
}

StepRecord StepControl::record(Now now) const {
  StepRecord record;
  record.step = facts_.step;
  record.name = run_.name();
  record.nodes = static_cast<std::int32_t>(layout_.nodes.size());
  record.tasks = static_cast<std::int32_t>(layout_.tasks);
  record.exit_code = exit_code_;
  record.started = started_;
  record.used = used_;
  record.used.wall = now.boot - started_boot_;
  return record;
}

}  // namespace gangway::executor
