// OutputText: what a job has written, as lines for a screen.
//
// Escape sequences are dropped, tabs become blanks, and "\r" begins the line anew, as a terminal
// would show a progress bar in the end. Bounded: the last kMostLines lines, each at most
// kMostOfLine bytes.
//
// Pure.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

namespace gangway::monitor {

inline constexpr std::size_t kMostLines = 5'000;
inline constexpr std::size_t kMostOfLine = 4'096;

class OutputText {
 public:
  void add(std::string_view bytes);
  // The last one is the one that is being written, and may be empty.
  [[nodiscard]] const std::deque<std::string>& lines() const { return lines_; }

 private:
  enum class Escape { None, Begun, Csi, Osc };
  void end_line();

  std::deque<std::string> lines_{1};
  Escape escape_ = Escape::None;
  bool returned_ = false;  // "\r" came; what follows replaces the line
};

}  // namespace gangway::monitor
