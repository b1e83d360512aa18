#include "scheduler/policy/failures.hpp"

#include <gtest/gtest.h>

#include "policy_builders.hpp"

namespace gangway::scheduler {
namespace {

RequestPart part(const Candidate& job) {
  Kinds kinds;
  return make_request(job.queue, job.limit, job.components, kinds).parts.front();
}

bool are_fewer_than(const Failures& failures, std::size_t nodes, const Candidate& job, Time end) {
  const RequestPart wanted = part(job);
  const auto most = failures.most_nodes(0, wanted.per_node, wanted.exclusive, end);
  return most && *most < nodes;
}

TEST(Failures, WhoAsksForAsMuchOrMoreFindsNoMoreNodes) {
  Failures failures;
  failures.note(0, part(job(1).cores(4).memory(gibibytes(2))), at_s(10), 3);
  EXPECT_TRUE(are_fewer_than(failures, 4, job(2).cores(4).memory(gibibytes(2)), at_s(10)));
  EXPECT_TRUE(are_fewer_than(failures, 4, job(2).cores(5).memory(gibibytes(3)), at_s(11)));
  EXPECT_FALSE(are_fewer_than(failures, 3, job(2).cores(4).memory(gibibytes(2)), at_s(10)));
}

TEST(Failures, WhoAsksForLessOfAnythingMayFindMore) {
  Failures failures;
  failures.note(0, part(job(1).cores(4).memory(gibibytes(2))), at_s(10), 3);
  EXPECT_FALSE(are_fewer_than(failures, 4, job(2).cores(3).memory(gibibytes(9)), at_s(10)));
  EXPECT_FALSE(are_fewer_than(failures, 4, job(2).cores(9).memory(gibibytes(1)), at_s(10)));
  EXPECT_FALSE(are_fewer_than(failures, 4, job(2).cores(4).memory(gibibytes(2)), at_s(9)));
}

TEST(Failures, WholeNodesAreFewerThanParts) {
  Failures failures;
  failures.note(0, part(job(1).cores(2).exclusive()), at_s(10), 0);
  EXPECT_FALSE(are_fewer_than(failures, 1, job(2).cores(2), at_s(10)));
  EXPECT_TRUE(are_fewer_than(failures, 1, job(2).cores(2).exclusive(), at_s(10)));
  failures.note(0, part(job(1).cores(2)), at_s(10), 0);
  EXPECT_TRUE(are_fewer_than(failures, 1, job(2).cores(2).exclusive(), at_s(10)));
}

TEST(Failures, OfSomeNodesTheySayNothingOfOthers) {
  Failures failures;
  failures.note(0, part(job(1).only({1})), at_s(10), 0);
  failures.note(0, part(job(1).constraint("a")), at_s(10), 0);
  failures.note(1, part(job(1)), at_s(10), 0);
  EXPECT_FALSE(are_fewer_than(failures, 1, job(2), at_s(10)));
}

}  // namespace
}  // namespace gangway::scheduler
