// From program requests to the packets that start them: which of the user's files to open, and
// which program gets which descriptor of which packet.
//
// One descriptor for each path, whoever asks: programs that share an output share its position, so
// none overwrites another's lines. Pure: descriptors are numbers here.
#pragma once

#include <string>
#include <vector>

#include "containers/init_protocol.hpp"
#include "containers/runtime.hpp"
#include "containers/user_files.hpp"

namespace gangway::containers {

// The files that these programs need, each path once for reading and once for writing.
[[nodiscard]] std::vector<UserFile> files_of(const std::vector<ProgramRequest>& programs);

struct ProgramBatch {
  bool host_files = false;
  std::vector<ProgramOrder> programs;  // with indices into fds
  std::vector<int> fds;
};
// `opened[i]` is the descriptor of files_of(programs)[i]. No batch has more descriptors than a
// packet takes beside the list of programs.
[[nodiscard]] std::vector<ProgramBatch> make_batches(const std::vector<ProgramRequest>& programs,
                                                     const std::vector<UserFile>& files,
                                                     const std::vector<int>& opened);

}  // namespace gangway::containers
