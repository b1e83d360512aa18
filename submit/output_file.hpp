// Where a job has written its output, for one whose node need not be asked any more. Pure but for
// read_end().
#pragma once

#include <cstdint>
#include <string>

#include "queues/base/result.hpp"
#include "submit/job_row.hpp"

namespace gangway::submit {

// The path of the output of this task (of a job with one file: of any), its patterns filled in by
// what the scheduler tells of a job: of a script, on its first node.
[[nodiscard]] std::string output_file_of(const JobRow& job, std::uint32_t task);
// The end of a file: its last so many lines (all, if negative), but of at most `most` bytes. It is
// read from behind, however long it is.
struct FileEnd {
  std::string text;
  bool is_cut = false;  // there is more before it than was asked for lines
};
// Errors: NotFound or Denied; Unsupported of what keeps nothing to read, as a FIFO; Exhausted, if
// all lines are wanted of a file that has more than `most` bytes.
[[nodiscard]] Result<FileEnd> read_end(const std::string& path,
                                       std::int64_t lines,
                                       std::int64_t most);
// Of `text` the last so many lines; all if `lines` is negative.
[[nodiscard]] std::string last_lines(const std::string& text, std::int64_t lines);

}  // namespace gangway::submit
