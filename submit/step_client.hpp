// StepClient: the front of a step, for a person or a script: it passes on standard input, output,
// signals and the terminal's size, and ends with the step's exit code.
//
// Output of ranks that goes through us is written as it comes, or with `label` line by line, each
// behind the number of its rank; a line longer than kMaxLabelledLine is cut. What has been written
// is told to the step, so that a reader that stops stops the ranks.
//
// Signals: HUP, INT, QUIT, TERM, USR1, USR2 and ALRM go to the ranks, unless we were started with
// them ignored; two INTs within a second kill them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "queues/base/result.hpp"
#include "submit/step_link.hpp"

namespace gangway::submit {

struct StepFront {
  std::string program = "jrun";
  bool label = false;
  bool quiet = false;     // no messages about ranks that failed
  bool terminal = false;  // ours becomes raw, its size goes to the ranks
  bool show_bindings = false;
  bool pass_signals = true;
  int input = 0;  // where input for the ranks is read; -1: there is none
  int out = 1;
  int err = 2;
  std::function<void(std::uint32_t step)> on_started;
};

// Plays `first` and what follows to the end. Value: the step's exit code. Errors: what kept the
// step from running, and a lost connection.
[[nodiscard]] Result<int> play_step(StepLink& link,
                                    const wire::ToStep& first,
                                    const StepFront& front);

// The size of our terminal; zeros without one.
[[nodiscard]] wire::TerminalSize terminal_size();

inline constexpr std::size_t kMaxLabelledLine = 64 << 10;
inline constexpr std::size_t kInputWindow = 32 << 10;

}  // namespace gangway::submit
