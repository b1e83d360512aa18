// Terminal: the one file that knows ncurses. Takes the terminal over, shows canvases, reads keys,
// and gives the terminal back as it was: when it is destroyed, and when the process ends by a
// signal that is an error (a crash, a failed CHECK). SIGKILL alone leaves it as it is (`reset`
// helps).
#pragma once

#include <memory>
#include <optional>

#include "queues/base/result.hpp"
#include "submit/monitor/canvas.hpp"
#include "submit/monitor/key.hpp"

namespace gangway::monitor {

class Terminal {
 public:
  // At most one at a time. Errors: Unsupported (no terminal, or one that ncurses does not know).
  [[nodiscard]] static Result<std::unique_ptr<Terminal>> open(bool colours);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Of the window as it is now.
  Size size();
  void show(const Canvas& canvas);
  void redraw();  // everything, at the next show()
  // The next key that has been pressed already.
  [[nodiscard]] std::optional<Key> key();

 private:
  struct Impl;
  explicit Terminal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gangway::monitor
