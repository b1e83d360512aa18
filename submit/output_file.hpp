// Where a job has written its output, for one whose node need not be asked any more. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "submit/job_row.hpp"

namespace gangway::submit {

// The path of the output of this task (of a job with one file: of any), its patterns filled in by
// what the scheduler tells of a job: of a script, on its first node.
[[nodiscard]] std::string output_file_of(const JobRow& job, std::uint32_t task);
// Of `text` the last so many lines; all if `lines` is negative.
[[nodiscard]] std::string last_lines(const std::string& text, std::int64_t lines);

}  // namespace gangway::submit
