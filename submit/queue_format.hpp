// Columns as squeue's -o takes them: "%i %t", "%.18i %.8j %R". Tools parse this output, so it is as
// theirs to the letter: a width pads and cuts, "." aligns to the right, text between stands as it
// is.
//
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "submit/job_row.hpp"

namespace gangway::submit {

struct FormatItem {
  std::string text;  // literal, if `letter` is 0
  char letter = 0;
  std::size_t width = 0;  // 0: as wide as its value
  bool right = false;
};
using QueueFormat = std::vector<FormatItem>;

// Errors: Invalid, naming the letter that does not exist.
[[nodiscard]] Result<QueueFormat> parse_queue_format(std::string_view text);
[[nodiscard]] std::string render_rows(const QueueFormat& format,
                                      const std::vector<JobRow>& rows,
                                      bool header);

}  // namespace gangway::submit
