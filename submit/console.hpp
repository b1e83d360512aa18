// What every program of this folder says and how it ends: one write per stream, no iostream, no
// locale, and _exit() instead of the destructors of a process that is over anyway. Short programs
// are started by the thousand from scripts; this is where their time would go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "submit/exit_code.hpp"

namespace gangway::submit {

// "<program>: <message>" as one line on stderr.
void complain(std::string_view program, std::string_view message);
// The same for an error; returns its exit code.
[[nodiscard]] int complain(std::string_view program, const Error& error);
// A usage error: the message, with a hint at --help; returns kExitUsage.
[[nodiscard]] int complain_usage(std::string_view program, const Error& error);

// Writes all of `text` to stdout, at once. False if that failed (a full disk, a closed pipe).
bool print(std::string_view text);
// Ends the process. If `text` cannot be written the code is kExitCannotCreate unless `code` is
// already a failure.
[[noreturn]] void finish(int code, std::string_view text = {});

[[nodiscard]] std::vector<std::string> words_of(int argc, char** argv);
// "" if unset.
[[nodiscard]] std::string_view environment(const char* name);
// "jqueue 0.1.0\n".
[[nodiscard]] std::string version_line(std::string_view program);

// The columns of the terminal at stdout; 0 if stdout is none.
[[nodiscard]] int terminal_columns();
// stdout is a terminal that shows colours and NO_COLOR is not set.
[[nodiscard]] bool colours_wanted();

// Reads a whole file, "-" for stdin. Errors: NotFound, Denied, Invalid (a directory, too large).
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t max_bytes);

}  // namespace gangway::submit
