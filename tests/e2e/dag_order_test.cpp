// On a real cluster with room for one job at a time, a workflow's critical path goes first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class DagOrder : public OnCluster<DagOrder> {
 public:
  static ClusterOptions options() { return {.nodes = 1, .cores = 1}; }

 protected:
  static void operator_says(const std::vector<std::string>& argv) {
    const Ran ran = cluster().as_operator(argv);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
  }
};

// The short ones stand first in the file and could all run before `middle` may: in the order of the
// file and of age it is last but one.
TEST_F(DagOrder, TheCriticalPathRunsBeforeWhatStandsBesideIt) {
  write_as_user(cluster(), directory() + "/flow.yaml", R"(version: 1
defaults: {time: 1}
jobs:
  short-1: {command: "echo short-1 >> order"}
  short-2: {command: "echo short-2 >> order"}
  start:   {command: "echo start >> order"}
  middle:  {needs: [start], time: "1:00:00", command: "echo middle >> order"}
  end:     {needs: [middle, {job: start, on: any}], time: 30, command: "echo end >> order"}
)");
  operator_says({"jctl", "node", "n01", "--drain", "--reason", "until jwhy was asked"});
  const Ran submitted = user({"jsubmit", "--parsable", "flow.yaml"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  const std::string id(trim(submitted.out));
  const std::string why = user({"jwhy"}).out;
  EXPECT_THAT(why, HasSubstr(cat("critical path: 1:00 of 01:31:00 of workflow ", id)));
  EXPECT_THAT(why, HasSubstr(cat("critical path: 01:31:00 of 01:31:00 of workflow ", id)));
  operator_says({"jctl", "node", "n01", "--resume"});
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(content(directory() + "/order"), "start\nmiddle\nend\nshort-1\nshort-2\n");
}

}  // namespace
}  // namespace gangway::e2e
