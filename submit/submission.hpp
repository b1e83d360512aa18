// Submitting exactly once: a key goes with every submission, and the scheduler answers a repeated
// key with the ids it gave the first time. So an answer that was lost may be asked for again.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/model/resources.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/client.hpp"

namespace gangway::submit {

// 32 random hexadecimal digits.
[[nodiscard]] std::string make_key();

// Calls `attempt` until it answers anything but Unavailable, for up to `window`, with pauses that
// double from 50 ms to 2 s; how long it tried stands in the error then. On a terminal it says once
// that it waits, unless `quiet`. `is_over` is asked between attempts, also when a signal has come:
// it ends with the last answer.
[[nodiscard]] Result<void> retry_while_unavailable(std::string_view program,
                                                   Duration window,
                                                   bool quiet,
                                                   const std::function<Result<void>()>& attempt,
                                                   const std::function<bool()>& is_over = {});

// Whether the scheduler's cluster is one of these, or "all" is. Errors: Invalid, naming both; those
// of the client.
[[nodiscard]] Result<void> check_cluster(Client& client, const std::vector<std::string>& clusters);

// What each of the cluster's nodes has, whatever its state. Errors: those of the client.
[[nodiscard]] Result<std::vector<Resources>> capacities_of_nodes(Client& client);

// Sends `parts`, all with the same key, until the scheduler has answered. Never makes a duplicate.
[[nodiscard]] Result<wire::Submitted> submit(Client& client,
                                             std::string_view program,
                                             std::span<const wire::Request> parts,
                                             Duration retry,
                                             bool quiet,
                                             const std::function<bool()>& is_over = {});

// Waits for the end of jobs and workflows; a scheduler that restarts meanwhile is waited for, up to
// `retry` each time.
[[nodiscard]] Result<wire::Waited> wait_for(Client& client,
                                            std::string_view program,
                                            const wire::WaitFor& what,
                                            Duration retry,
                                            bool quiet);

// The exit code of a waiting program: the first result that is not 0, in the order asked for; jobs
// of a workflow that were skipped count only if they were named themselves. Says on stderr, one
// line each, why jobs ended that did not end by themselves.
[[nodiscard]] int report_ends(std::string_view program,
                              const wire::WaitFor& what,
                              const wire::Waited& waited,
                              bool quiet);

}  // namespace gangway::submit
