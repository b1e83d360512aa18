// What is promised of every cluster, whether it runs from an installation or from the build tree,
// for root or for an ordinary user. Each is one test's whole body: it skips where an image is
// missing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {

// Runs jsubmit with these words, as the cluster's user, in the test's directory.
using Submit = std::function<Ran(const std::vector<std::string>& words)>;

void expect_workflow_in_image(const Cluster& cluster,
                              const std::string& directory,
                              const Submit& jsubmit);
// Requires: four nodes with two cores each.
void expect_mpi_in_image(const std::string& directory, const Submit& jsubmit);

}  // namespace gangway::e2e
