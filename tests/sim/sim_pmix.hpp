// A PMIx server that plays its part of the dialogue: it is ready after a while, then its ranks meet
// in one fence over all nodes, as MPI_Init makes them, and must get the data of all.
#pragma once

#include <memory>

#include "executor/pmix_link.hpp"
#include "tests/sim/sim_runtime.hpp"
#include "tests/sim/sim_world.hpp"

namespace gangway::sim {

[[nodiscard]] std::unique_ptr<executor::PmixLink> make_sim_pmix_link(
    Process& shepherd, Ledger& ledger, executor::PmixHandler& handler);

}  // namespace gangway::sim
