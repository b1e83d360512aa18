// The columns of jobs: squeue's letters, and the names of squeue -O and sacct (column_format.hpp).
//
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "submit/column_format.hpp"
#include "submit/job_row.hpp"

namespace gangway::submit {

using JobColumn = RowColumn<JobRow>;
using QueueFormat = RowFormat<JobRow>;
[[nodiscard]] RowColumns<JobRow> job_columns();

// Errors: Invalid, naming the letter or the name that does not exist.
[[nodiscard]] Result<QueueFormat> parse_queue_format(std::string_view text);
[[nodiscard]] std::string render_rows(const QueueFormat& format,
                                      const std::vector<JobRow>& rows,
                                      bool header);

}  // namespace gangway::submit
