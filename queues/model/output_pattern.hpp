// Names of files with Slurm's patterns: %j %A %a %b %x %u %N %n %t %s %J %r %%, numbers with
// padding as in %4j. Who writes a file and who looks for it later expand its name by the same
// words.
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "queues/base/strong_id.hpp"

namespace gangway {

struct PatternFacts {
  JobKey key;
  std::uint32_t restarts = 0;
  std::string job_name;
  std::string user;
  std::string node;
  std::uint32_t node_index = 0;
  std::int32_t task = 0;
  bool batch = true;
  std::uint32_t step = 0;
};

// The pattern of a job that names no file for its output.
[[nodiscard]] std::string_view default_output_pattern(const JobKey& key);
// An unknown pattern stays as it is.
[[nodiscard]] std::string expand_pattern(std::string_view pattern, const PatternFacts& facts);

}  // namespace gangway
