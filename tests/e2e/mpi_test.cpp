// Open MPI ranks over four nodes in an image that has neither mpirun nor orted nor ssh.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

TEST(Mpi, Placeholder) { GTEST_SKIP() << "examples/mpi has not landed"; }

}  // namespace
}  // namespace gangway::e2e
