// Asking the scheduler for jobs, with the filters that jqueue, jhist, jwhy and jcancel share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "submit/client.hpp"
#include "submit/job_row.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {

// An empty list lets everything through.
struct JobFilter {
  Targets targets;
  std::vector<std::string> users;
  std::optional<std::uint32_t> mine;  // only this user id's
  std::vector<std::string> names;
  std::vector<std::string> queues;
  std::vector<std::string> accounts;
  std::vector<std::string> nodes;   // it has at least one of these
  std::vector<std::string> states;  // letters
  bool finished_too = false;
  std::uint32_t limit = 0;    // 0: what the scheduler allows
  bool each_element = false;  // of arrays, also those that have no row of their own

  [[nodiscard]] bool lets_through(const JobRow& row) const;
  // The same, and it is one of the targets if there are any.
  [[nodiscard]] bool wants(const JobRow& row) const;
};

struct JobList {
  std::vector<JobRow> rows;  // as the scheduler orders them
  Time now;
  bool truncated = false;  // there are more than the scheduler sends
};

[[nodiscard]] std::vector<std::string> words_of_list(std::string_view text);

// From --user, --me, --name, --partition, --account, --nodelist, --jobs and the option
// `states_option`, those of them that the program has, and its operands. Ends the process on bad
// ones.
[[nodiscard]] JobFilter make_filter(const Invocation& invocation, std::string_view states_option);

[[nodiscard]] wire::Request make_list_request(const JobFilter& filter);
[[nodiscard]] Result<JobList> list_jobs(Client& client, const JobFilter& filter);

// The name of `uid` in the text of /etc/passwd; "" if it is not there. A static program cannot ask
// the user database, and a user of a directory service is not in the file: then the scheduler sends
// all jobs and this side chooses.
[[nodiscard]] std::string find_user_name(std::string_view passwd, std::uint32_t uid);

// {"jobs":[...]} with a line end.
[[nodiscard]] std::string render_json(const std::vector<JobRow>& rows);

}  // namespace gangway::submit
