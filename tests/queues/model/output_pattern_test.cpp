#include "queues/model/output_pattern.hpp"

#include <gtest/gtest.h>

namespace gangway {
namespace {

PatternFacts pattern() {
  PatternFacts p;
  p.key = {JobId{42}, 7};
  p.restarts = 2;
  p.job_name = "heat";
  p.user = "alice";
  p.node = "n1.cluster";
  p.node_index = 1;
  p.task = 3;
  return p;
}
TEST(OutputPattern, EveryLetterIsSlurms) {
  EXPECT_EQ(expand_pattern("%j %A %a %b %x %u %N %n %t %r %%", pattern()),
            "42 42 7 7 heat alice n1 1 3 2 %");
}
TEST(OutputPattern, NumbersCanBePadded) {
  EXPECT_EQ(expand_pattern("o-%4j-%03t-%2x", pattern()), "o-0042-003-heat");
  EXPECT_EQ(expand_pattern("%99j", pattern()), "0000000042");
}
TEST(OutputPattern, AnIndexIsShortenedToItsLastDigit) {
  PatternFacts p = pattern();
  p.key.index = 604;
  EXPECT_EQ(expand_pattern("%b-%2b", p), "4-04");
}
TEST(OutputPattern, AStepIsNamedInTasksOnly) {
  PatternFacts p = pattern();
  EXPECT_EQ(expand_pattern("%J %s", p), "42 batch");
  p.batch = false;
  EXPECT_EQ(expand_pattern("%J %s", p), "42.0 0");
}
TEST(OutputPattern, UnknownLettersStay) {
  EXPECT_EQ(expand_pattern("a%q%", pattern()), "a%q%");
  EXPECT_EQ(expand_pattern("%4", pattern()), "%4");
}

}  // namespace
}  // namespace gangway
