// Answers as HAProxy 2.6 has given them.
#include "scheduler/balancer/haproxy_answers.hpp"

#include <gtest/gtest.h>

namespace gangway::balancer {
namespace {

TEST(HaproxyAnswers, ProcessesAreTheMasterItsWorkerAndTheOldOnes) {
  const auto found = parse_processes(
      "#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
      "22372           master          1 [failed: 0]   0d00h00m19s     2.6.12-1+deb12u4\n"
      "# workers\n"
      "22760           worker          0               0d00h00m03s     2.6.12-1+deb12u4\n"
      "# old workers\n"
      "22390           worker          1               0d00h00m16s     2.6.12-1+deb12u4\n"
      "# programs\n\n\n");
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (Processes{22372, 22760, {22390}}));
  EXPECT_FALSE(parse_processes("Unknown command\n"));
}

TEST(HaproxyAnswers, WhatIsInFlightIsAddedUpOverPools) {
  const auto counts = parse_in_flight(
      "# pxname,svname,qcur,qmax,scur,smax,status,\n"
      "tcp.7.web.80,r3_10.0.0.2_8080,0,0,2,5,UP,\n"
      "http.7.web.80,r3_10.0.0.2_8080,1,0,4,5,UP,\n"
      "http.7.web.80,r12_10.0.0.3_8080,0,0,0,5,DRAIN,\n"
      "http.7.web.80,other,0,0,9,5,UP,\n\n");
  EXPECT_EQ(counts, (std::map<std::uint64_t, std::int64_t>{{3, 7}, {12, 0}}));
}

}  // namespace
}  // namespace gangway::balancer
