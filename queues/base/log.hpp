// Structured log lines: an event's name and key=value fields, one line each on stderr, where a
// service manager collects them. In logfmt: "t=2026-11-23T20:41:07.123Z level=info event=job_start
// job=42 node=n01". Values with blanks or quotes are quoted.
//
// Not for policy or model code, which is pure and returns what happened instead.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace gangway {

enum class LogLevel { Debug, Info, Warning, Error };

struct LogField {
  std::string_view key;
  std::string value;
};

// Lines below `level` are dropped. `program` stands in every line. Call once, in main.
void set_log(std::string_view program, LogLevel level);
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::Debug, event, fields);
}
inline void log_info(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::Info, event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::Warning, event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::Error, event, fields);
}

}  // namespace gangway
