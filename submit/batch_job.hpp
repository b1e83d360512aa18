// A Job of Kubernetes' as the words of a jsubmit command line: so its defaults, its checks and its
// meaning are those of every other job. Several completions are an array.
//
// Pure.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "submit/service_parse.hpp"

namespace gangway::submit {

struct BatchWords {
  std::vector<std::string> options;  // "--job-name=pi", "--array=0-3%2"
  std::vector<std::string> command;  // empty: the image's own
};

// Errors: Unsupported, naming what a job cannot have.
[[nodiscard]] Result<BatchWords> batch_words(const BatchTemplate& job);

}  // namespace gangway::submit
