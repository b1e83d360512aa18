// What a screen looks like: its model as cells. Pure.
#pragma once

#include "submit/monitor/canvas.hpp"
#include "submit/monitor/screen.hpp"

namespace gangway::monitor {

// Requires: the screen is settled.
[[nodiscard]] Canvas draw(const Screen& screen);

// The lines of the details and of the help, as wide as they are.
[[nodiscard]] std::vector<std::string> details_of(const Screen& screen);
[[nodiscard]] std::vector<std::string> help_lines();

}  // namespace gangway::monitor
