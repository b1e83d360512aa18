// What comes from the keyboard. Pure.
#pragma once

#include <cstdint>

namespace gangway::monitor {

struct Key {
  enum class Code : std::uint8_t {
    Letter,  // and every other character
    Function,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Tab,
    Unknown
  };
  Code code = Code::Unknown;
  char letter = 0;   // ASCII; 0: another character
  int function = 0;  // F1 is 1
  friend bool operator==(const Key&, const Key&) = default;
};

}  // namespace gangway::monitor
