// Which way of finding each other a program's tasks are offered, by what the program links. Pure.
//
// Open MPI speaks PMIx, and so does whatever links libpmix; MPICH and its relatives speak PMI-1 or,
// with libpmi2, PMI-2. A program that links none of them may still be one (a script, an
// interpreter, a static program): it is offered all there is, and nothing is expected of it. Only
// of a few commands that people start many times is it known that they do not want it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "queues/model/job_spec.hpp"

namespace gangway::executor {

struct MpiChoice {
  MpiMode mode = MpiMode::Auto;  // Auto: everything is offered
  // The program is known to be an MPI program: one that ends without having connected has run as if
  // it were alone.
  bool is_sure = false;
  std::string why;  // "it links libmpi.so.40, of Open MPI"
};

// `asked` as the user said it; `libraries` as containers::find_linked_libraries() finds them for
// `program`, the name it is called by.
[[nodiscard]] MpiChoice choose_mpi(MpiMode asked,
                                   const std::vector<std::string>& libraries,
                                   std::string_view program = {});

// Why a job fails of whose tasks this one has ended well without having met the others, and what to
// do.
[[nodiscard]] std::string render_alone(std::uint32_t task,
                                       std::string_view node,
                                       std::uint32_t tasks,
                                       const MpiChoice& choice);

[[nodiscard]] constexpr bool offers_pmix(MpiMode mode) {
  return mode == MpiMode::Pmix || mode == MpiMode::Auto;
}
[[nodiscard]] constexpr bool offers_pmi(MpiMode mode) {
  return mode == MpiMode::Pmi1 || mode == MpiMode::Pmi2 || mode == MpiMode::Auto;
}

}  // namespace gangway::executor
