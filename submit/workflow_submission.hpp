// A workflow as the requests that submit it: parts of at most 512 jobs or 1 MiB, all with one key,
// the environment and the script that jobs share sent once.
//
// Pure.
#pragma once

#include <string>
#include <vector>

#include "queues/wire/gangway.pb.h"
#include "submit/workflow_parse.hpp"

namespace gangway::submit {

inline constexpr std::size_t kMaxJobsPerPart = 512;
inline constexpr std::size_t kMaxBytesPerPart = 1 << 20;

// At least one part; the first carries the workflow's name. Requires: file.errors is empty.
[[nodiscard]] std::vector<wire::Request> make_parts(const WorkflowFile& file,
                                                    const std::string& key,
                                                    bool test_only);

}  // namespace gangway::submit
