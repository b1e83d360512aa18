#include "queues/base/log.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <ctime>

namespace gangway {
namespace {
// The one state of the process that is not handed on: a log line must be possible everywhere, also
// where a broken invariant is reported.
std::string& program_name() {
  static std::string name;
  return name;
}
std::atomic<LogLevel> lowest_level{LogLevel::Info};

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "debug";
    case LogLevel::Info:
      return "info";
    case LogLevel::Warning:
      return "warning";
    case LogLevel::Error:
      return "error";
  }
  return "error";
}

// UTC to the millisecond. Not through localtime: a log is compared across machines.
void append_now(std::string& out) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  std::array<char, 80> buffer{};
  const int length =
      std::snprintf(buffer.data(), buffer.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                    parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                    parts.tm_min, parts.tm_sec, static_cast<int>(now.tv_nsec / 1'000'000));
  out.append(buffer.data(), static_cast<std::size_t>(length));
}

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7f || c == '"' || c == '=' || c == '\\') return true;
  }
  return false;
}

// Control characters are escaped, so that what a user sent cannot forge a line or move a cursor.
void append_value(std::string& out, std::string_view value) {
  if (!needs_quotes(value)) {
    out.append(value);
    return;
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  out.push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (byte < ' ' || byte == 0x7f) {
      out.append("\\x");
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}
}  // namespace

void set_log(std::string_view program, LogLevel level) {
  program_name() = program;
  lowest_level = level;
}

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  // What somebody else sent must not fill the disk by one line.
  constexpr std::size_t kMaxValue = 4096;
  std::string line = "t=";
  append_now(line);
  line.append(" level=").append(level_name(level));
  if (!program_name().empty()) {
    line.append(" program=");
    append_value(line, program_name());
  }
  line.append(" event=");
  append_value(line, event);
  for (const auto& field : fields) {
    line.append(" ").append(field.key).append("=");
    append_value(line, std::string_view(field.value).substr(0, kMaxValue));
  }
  line.push_back('\n');
  // One write per line: lines of several processes on one pipe do not mix (below PIPE_BUF).
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nowhere to complain
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace gangway
