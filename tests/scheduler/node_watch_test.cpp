#include "scheduler/node_watch.hpp"

#include <gtest/gtest.h>

namespace gangway::scheduler {
namespace {

const NodeName kNode("n1");
BootTime at(int s) { return BootTime{seconds(s).ns}; }

std::vector<std::pair<int, Contact>> changes(NodeWatch& watch, int until) {
  std::vector<std::pair<int, Contact>> out;
  for (int s = 0; s <= until; ++s) {
    for (const auto& change : watch.due(at(s))) out.emplace_back(s, change.contact);
  }
  return out;
}

using Changes = std::vector<std::pair<int, Contact>>;

TEST(NodeWatch, SilenceMakesSuspectThenLost) {
  NodeWatch watch(seconds(15), seconds(60));
  watch.heard(kNode, at(0));
  EXPECT_EQ(changes(watch, 100), (Changes{{15, Contact::Suspect}, {60, Contact::Lost}}));
  EXPECT_FALSE(watch.next_due());
}

TEST(NodeWatch, ASignOfLifeStartsAnew) {
  NodeWatch watch(seconds(15), seconds(60));
  watch.heard(kNode, at(0));
  EXPECT_EQ(changes(watch, 20), (Changes{{15, Contact::Suspect}}));
  watch.heard(kNode, at(20));
  EXPECT_EQ(watch.next_due(), at(35));
  EXPECT_EQ(watch.silence(kNode, at(25)), seconds(5));
}

TEST(NodeWatch, AClosedConnectionIsSuspectAndLostAtTheSameTime) {
  NodeWatch watch(seconds(15), seconds(60));
  watch.heard(kNode, at(0));
  watch.closed(kNode);
  EXPECT_EQ(changes(watch, 100), (Changes{{60, Contact::Lost}}));
}

TEST(NodeWatch, NobodyIsLostWhileAnOlderLeaseMayRun) {
  NodeWatch watch(seconds(15), seconds(60), at(90));
  watch.heard(kNode, at(0));
  EXPECT_EQ(changes(watch, 200), (Changes{{15, Contact::Suspect}, {90, Contact::Lost}}));
  NodeWatch later(seconds(15), seconds(60), at(90));
  later.heard(kNode, at(50));
  EXPECT_EQ(changes(later, 200), (Changes{{65, Contact::Suspect}, {110, Contact::Lost}}));
}

TEST(NodeWatch, WhoeverSleptThroughBothIsLostOnce) {
  NodeWatch watch(seconds(15), seconds(60));
  watch.heard(kNode, at(0));
  const auto due = watch.due(at(1000));
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].contact, Contact::Lost);
}

}  // namespace
}  // namespace gangway::scheduler
