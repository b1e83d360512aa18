// StepControl: one step at its origin, the shepherd of the allocation's first node: what the client
// (jrun) and the step's parts on its nodes say, as a function to what is to be said and done.
//
// The parts start at once; the step is over when every part has ended. Its exit code is that of the
// worst rank (the highest, 128+n for a signal), and the detail names that rank and its node. A rank
// that fails ends the others if it was asked for or if they wait for each other (MPI): TERM, grace,
// KILL, on all nodes at the same moment. A client that is gone ends its step the same way.
//
// Output flows from a part to the client as far as its window goes, and the window grows again by
// what the client has taken: nothing piles up here. Without a client it is dropped. The client is a
// program of the user's: one that says it has taken what it was not given, or gives more input than
// may be on its way, is cut off, and its step ends.
//
// Sans-I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "executor/step_layout.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job_usage.hpp"
#include "queues/wire/step.pb.h"

namespace gangway::executor {

enum class StepAlarm { Grace, Limit, Wait };

namespace control_action {
struct ToPart {
  std::size_t place = 0;  // in StepLayout::nodes
  wire::ToPart message;
};
struct ToClient {
  wire::FromStep message;
};
struct Arm {
  StepAlarm alarm = StepAlarm::Grace;
  BootTime at;
};
struct Over {};  // nothing of it is left; the last action
struct Cut {     // who has said this is to be heard no more
  Error why;
};
}  // namespace control_action
using ControlAction = std::variant<control_action::ToPart,
                                   control_action::ToClient,
                                   control_action::Arm,
                                   control_action::Over,
                                   control_action::Cut>;
using ControlActions = std::vector<ControlAction>;

struct StepFacts {
  std::uint32_t step = 0;
  std::vector<std::string> node_names;  // of the step's nodes, in order of the layout
  Duration kill_grace = seconds(30);
  std::uint32_t window = 64 << 10;  // of each part's output
};

class StepControl {
 public:
  StepControl(StepFacts facts, wire::StepRun run, StepLayout layout);

  [[nodiscard]] ControlActions start(Now now);
  [[nodiscard]] ControlActions on_client(const wire::ToStep& message, Now now);
  [[nodiscard]] ControlActions on_client_gone(Now now);
  [[nodiscard]] ControlActions on_part(std::size_t place, wire::FromPart message, Now now);
  // That node's shepherd is gone, and with it its ranks.
  [[nodiscard]] ControlActions on_part_lost(std::size_t place, Now now);
  [[nodiscard]] ControlActions on_alarm(StepAlarm alarm, Now now);
  // A signal of the job's: to all ranks; it ends nothing by itself.
  [[nodiscard]] ControlActions signal(int number) const;

  [[nodiscard]] const wire::StepRun& run() const { return run_; }
  [[nodiscard]] const StepLayout& layout() const { return layout_; }
  [[nodiscard]] const StepFacts& facts() const { return facts_; }
  [[nodiscard]] bool is_over() const { return over_; }
  [[nodiscard]] bool sends_output() const;  // some of it comes here
  [[nodiscard]] StepRecord record(Now now) const;

 private:
  struct Part {
    bool over = false;
    bool started = false;
    std::uint64_t input_taken = 0;
    std::uint64_t output_on_its_way = 0;  // to the client, which has not taken it yet
  };

  void to_all(const wire::ToPart& message, ControlActions& out) const;
  void end_all(Now now, ControlActions& out);  // TERM, later KILL
  void fail(std::int32_t code, std::string detail);
  void note_end(const wire::TaskEnded& end, Now now, ControlActions& out);
  void part_over(std::size_t place, Now now, ControlActions& out);
  void acknowledge_input(ControlActions& out);
  [[nodiscard]] bool ends_with_first_failure() const;
  [[nodiscard]] std::optional<std::size_t> place_of(std::uint32_t rank) const;

  StepFacts facts_;
  wire::StepRun run_;
  StepLayout layout_;
  std::vector<Part> parts_;
  std::size_t open_parts_ = 0;
  std::size_t started_parts_ = 0;
  bool client_ = true;
  bool stopping_ = false;
  bool killed_ = false;
  bool over_ = false;
  bool first_end_seen_ = false;
  std::uint64_t input_given_ = 0;
  std::uint64_t input_acknowledged_ = 0;
  std::int32_t exit_code_ = 0;
  std::string detail_;
  std::vector<std::string> bindings_;
  Time started_;
  BootTime started_boot_;
  UsedAmounts used_;
};

// Input that the ranks have not taken, of all clients of a step: many times the window of one jrun.
inline constexpr std::uint64_t kMaxInputOnItsWay = 1 << 20;
// From KILL to giving up on a part.
inline constexpr Duration kPartPatience = seconds(20);

}  // namespace gangway::executor
