#include "submit/monitor/output_text.hpp"

namespace gangway::monitor {

void OutputText::end_line() {
  lines_.emplace_back();
  if (lines_.size() > kMostLines) lines_.pop_front();
  returned_ = false;
}

void OutputText::add(std::string_view bytes) {
  for (const char c : bytes) {
    switch (escape_) {
      case Escape::None:
        break;
      case Escape::Begun:
        escape_ = c == '[' ? Escape::Csi : c == ']' ? Escape::Osc : Escape::None;
        continue;
      case Escape::Csi:
        if (c >= '@' && c <= '~') escape_ = Escape::None;
        continue;
      case Escape::Osc:
        // Ended by BEL or ESC "\".
        if (c == '\a') escape_ = Escape::None;
        if (c == '\x1b') escape_ = Escape::Begun;
        continue;
    }
    if (c == '\x1b') {
      escape_ = Escape::Begun;
    } else if (c == '\n') {
      end_line();
    } else if (c == '\r') {
      returned_ = true;
    } else {
      std::string& line = lines_.back();
      if (returned_) line.clear();
      returned_ = false;
      if (c == '\b') {
        if (!line.empty()) line.pop_back();
      } else if (c == '\t') {
        line.append(8 - line.size() % 8, ' ');
      } else if (line.size() < kMostOfLine && c != '\a') {
        line.push_back(c);
      }
    }
  }
}

}  // namespace gangway::monitor
