// A look at what a program links, by a child of the sandbox's init, and the choice that follows
// from it (mpi_choice.hpp).
#pragma once

#include <functional>

#include "containers/runtime.hpp"
#include "executor/mpi_choice.hpp"

namespace gangway::executor {

// `program` is the one to look at; it is not run. `then` is called once, in a turn of the loop
// behind `runtime`; if nothing can be seen, with what is chosen then.
void inspect_mpi(containers::ContainerRuntime& runtime,
                 containers::ProgramRequest program,
                 std::function<void(const MpiChoice&)> then);

}  // namespace gangway::executor
