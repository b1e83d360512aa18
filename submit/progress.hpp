// jwait --progress: a line on stdout whenever a job changes its state, until all have ended.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "submit/client.hpp"
#include "submit/job_row.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {

// Remembers what was last said of each job. Pure.
class ProgressLines {
 public:
  // The lines for what changed since the last call, in the order of `rows`.
  [[nodiscard]] std::vector<std::string> update(const std::vector<JobRow>& rows);

 private:
  std::map<JobKey, std::string> said_;
};

// Asks every 200 ms. Errors: those of the client; Unavailable after `retry`.
[[nodiscard]] Result<void> show_progress(
    Client& client, std::string_view program, const Targets& targets, Duration retry, bool quiet);

}  // namespace gangway::submit
