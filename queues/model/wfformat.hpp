// WfFormat: workflows as WfCommons records them, in JSON. Versions 1.3 to 1.5 differ in where they
// put what.
//
// Source: T. Coleman et al., "WfCommons: A Framework for Enabling Scientific Workflow Research and
// Development", FGCS 128, 2022. Oddities do not make a file useless, but none is passed over in
// silence: each is told with the task that has it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway {

struct WfTask {
  std::string id;             // its name, if the file gives it none
  std::string name;           // may be empty
  double run_s = -1;          // as measured; below 0: not known
  bool run_is_wrong = false;  // it is given, and no number from 0 on
  double cores = -1;
  std::vector<std::string> parents;  // by id or name
  std::vector<std::string> children;
};

struct WfOddity {
  std::string where;
  std::string why;
};

struct WfFile {
  std::string name;           // may be empty
  std::vector<WfTask> tasks;  // in the order of the file; those without id and name left out
  std::vector<WfOddity> oddities;
  std::size_t read = 0;  // entries that should be tasks
};

// Errors: Invalid, if it is no JSON or has no list of tasks.
[[nodiscard]] Result<WfFile> parse_wfformat(std::string_view text);

}  // namespace gangway
