// KeptOutputs: files for programs' outputs that were opened while a sandbox was prepared, and wait
// for the programs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "containers/runtime.hpp"
#include "containers/user_files.hpp"
#include "queues/base/fd.hpp"

namespace gangway::containers {

class KeptOutputs {
 public:
  // Requires: `opened[i]` is that of `outputs[i]`.
  void keep(const std::vector<ProgramOutput>& outputs, std::vector<Fd> opened);
  // The descriptors of `files`, in their order, if all of them are kept here and are appended to;
  // else none. They are for the first programs, whose outputs they are, and for no others later: a
  // file that has been moved away meanwhile is made anew for them.
  [[nodiscard]] std::vector<Fd> take(const std::vector<UserFile>& files);
  [[nodiscard]] bool is_empty() const { return kept_.empty(); }
  void clear() { kept_.clear(); }

 private:
  std::map<std::string, Fd> kept_;  // by path
};

}  // namespace gangway::containers
