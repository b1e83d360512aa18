#include "submit/monitor/terminal.hpp"

// With its macros ncurses would redefine words such as `timeout` and `erase`.
#define NCURSES_NOMACROS
#include <langinfo.h>
#include <ncurses.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "queues/base/text.hpp"

// <term.h> would redefine words such as "columns".
extern "C" char* tigetstr(const char* capability);

namespace gangway::monitor {

namespace {

constexpr std::array kCrashes = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};

// What gives the terminal back, kept where a signal handler can reach it.
struct Restore {
  bool armed = false;
  termios before{};
  std::array<char, 256> bytes{};
  std::size_t length = 0;
};
Restore g_restore;  // NOLINT: a signal handler has no other way to it

void append_capability(const char* name) {
  const char* const text = ::tigetstr(name);
  if (text == nullptr || text == reinterpret_cast<const char*>(-1)) return;
  const std::size_t length = std::strlen(text);
  if (g_restore.length + length > g_restore.bytes.size()) return;
  std::memcpy(g_restore.bytes.data() + g_restore.length, text, length);
  g_restore.length += length;
}

// Only what a signal handler may call. The handler is gone by then (SA_RESETHAND).
void on_crash(int number) {
  if (g_restore.armed) {
    g_restore.armed = false;
    (void)!::write(STDOUT_FILENO, g_restore.bytes.data(), g_restore.length);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &g_restore.before);
  }
  ::raise(number);
}

short colour_of(Ink ink) {
  switch (ink) {
    case Ink::Good:
    case Ink::Heat1:
      return COLOR_GREEN;
    case Ink::Bad:
    case Ink::Heat3:
      return COLOR_RED;
    case Ink::Busy:
    case Ink::Accent:
      return COLOR_CYAN;
    case Ink::Heat2:
      return COLOR_YELLOW;
    case Ink::Plain:
    case Ink::Dim:
    case Ink::Heat0:
      break;
  }
  return -1;  // the terminal's own
}

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

}  // namespace

struct Terminal::Impl {
  SCREEN* screen = nullptr;
  bool colours = false;
  bool utf8 = false;

  [[nodiscard]] attr_t attributes(Style style) const {
    attr_t attributes = A_NORMAL;
    if (style.bold) attributes |= A_BOLD;
    if (style.reverse) attributes |= A_REVERSE;
    if (style.ink == Ink::Dim || style.ink == Ink::Heat0) attributes |= A_DIM;
    return attributes;
  }
  [[nodiscard]] short pair(Style style) const {
    return colours && colour_of(style.ink) >= 0
               ? static_cast<short>(static_cast<int>(style.ink) + 1)
               : short{0};
  }
};

Terminal::Terminal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Terminal>> Terminal::open(bool colours) {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
    return Error(ErrorKind::Unsupported,
                 "the monitor needs a terminal; jqueue --follow writes events to a file or a pipe");
  }
  std::setlocale(LC_ALL, "");
  ::tcgetattr(STDIN_FILENO, &g_restore.before);
  auto impl = std::make_unique<Impl>();
  impl->screen = ::newterm(nullptr, stdout, stdin);
  if (impl->screen == nullptr) {
    const char* const name = ::getenv("TERM");
    return Error(ErrorKind::Unsupported,
                 cat("the terminal \"", name == nullptr ? "" : name,
                     "\" cannot show the monitor; set TERM, or use jqueue --follow"));
  }
  impl->utf8 = std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
  ::cbreak();
  ::noecho();
  ::nonl();
  ::curs_set(0);
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::set_escdelay(25);
  if (colours && ::has_colors() && ::start_color() == OK) {
    ::use_default_colors();
    impl->colours = true;
    for (int ink = 0; ink < kInks; ++ink) {
      const short colour = colour_of(static_cast<Ink>(ink));
      if (colour >= 0) ::init_pair(static_cast<short>(ink + 1), colour, -1);
    }
  }
  append_capability("sgr0");
  append_capability("cnorm");
  append_capability("rmkx");
  append_capability("rmcup");
  g_restore.armed = true;
  struct sigaction crash {};
  crash.sa_handler = on_crash;
  crash.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (const int number : kCrashes) ::sigaction(number, &crash, nullptr);
  return std::unique_ptr<Terminal>(new Terminal(std::move(impl)));
}

Terminal::~Terminal() {
  g_restore.armed = false;
  ::endwin();
  ::delscreen(impl_->screen);
}

Size Terminal::size() {
  winsize window{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0 && window.ws_col > 0) {
    if (window.ws_row != LINES || window.ws_col != COLS) {
      ::resizeterm(window.ws_row, window.ws_col);
    }
  }
  return {LINES, COLS};
}

void Terminal::redraw() { ::clearok(curscr, TRUE); }

void Terminal::show(const Canvas& canvas) {
  ::werase(stdscr);
  const Size size = canvas.size();
  for (int row = 0; row < size.rows; ++row) {
    for (int column = 0; column < size.columns; ++column) {
      const Cell& cell = canvas.at(row, column);
      if (cell.glyph.empty() || (cell.glyph == " " && cell.style == Style{})) continue;
      ::wattr_set(stdscr, impl_->attributes(cell.style), impl_->pair(cell.style), nullptr);
      const bool can_show = impl_->utf8 || is_ascii(cell.glyph);
      ::mvwaddstr(stdscr, row, column, can_show ? cell.glyph.c_str() : "?");
    }
  }
  ::wrefresh(stdscr);
}

std::optional<Key> Terminal::key() {
  const int got = ::wgetch(stdscr);
  if (got == ERR) return std::nullopt;
  using Code = Key::Code;
  switch (got) {
    case KEY_UP:
      return Key{.code = Code::Up};
    case KEY_DOWN:
      return Key{.code = Code::Down};
    case KEY_LEFT:
      return Key{.code = Code::Left};
    case KEY_RIGHT:
      return Key{.code = Code::Right};
    case KEY_PPAGE:
      return Key{.code = Code::PageUp};
    case KEY_NPAGE:
      return Key{.code = Code::PageDown};
    case KEY_HOME:
      return Key{.code = Code::Home};
    case KEY_END:
      return Key{.code = Code::End};
    case KEY_ENTER:
    case '\r':
    case '\n':
      return Key{.code = Code::Enter};
    case 0x1b:
      return Key{.code = Code::Escape};
    case KEY_BACKSPACE:
    case 0x7f:
    case '\b':
      return Key{.code = Code::Backspace};
    case '\t':
      return Key{.code = Code::Tab};
    default:
      break;
  }
  if (got > KEY_F0 && got <= KEY_F0 + 12) {
    return Key{.code = Code::Function, .function = got - KEY_F0};
  }
  if (got > 0 && got < 0x80) return Key{.code = Code::Letter, .letter = static_cast<char>(got)};
  return Key{};
}

}  // namespace gangway::monitor
