// What the monitor knows after lists and news.
#include "submit/monitor/picture.hpp"

#include <gtest/gtest.h>

#include "monitor_facts.hpp"

namespace gangway::monitor {
namespace {

using test::kNow;

const submit::JobRow& row_of(const Picture& picture, std::uint64_t id) {
  static const submit::JobRow kNone;
  const WatchedJob* const job = picture.find(JobKey{.job = {id}});
  return job == nullptr ? kNone : job->row;
}

submit::JobFilter everything() {
  submit::JobFilter filter;
  filter.finished_too = true;
  return filter;
}

TEST(Picture, NewsReplaceWhatTheListSaid) {
  Picture picture(everything());
  picture.put(test::list_of({{.id = 1}, {.id = 2}}));
  EXPECT_EQ(row_of(picture, 1).letters, "PD");
  picture.put(test::news_of({{.id = 1, .phase = 2, .node = "n01", .version = 2}}));
  EXPECT_EQ(row_of(picture, 1).letters, "R");
  EXPECT_EQ(row_of(picture, 1).node_list, "n01");
  picture.put(test::news_of({{.id = 1, .phase = 5, .version = 3}}));
  EXPECT_EQ(row_of(picture, 1).letters, "CD");
  EXPECT_EQ(picture.jobs().size(), 2U);
}

TEST(Picture, AListThatComesLateDoesNotTakeNewsBack) {
  Picture picture(everything());
  picture.put(test::news_of({{.id = 1, .phase = 5, .version = 4}}));
  picture.put(test::list_of({{.id = 1, .phase = 2, .version = 3}}));
  EXPECT_EQ(row_of(picture, 1).letters, "CD");
}

TEST(Picture, ARunningJobsTimeGoesOnByItself) {
  Picture picture(everything());
  picture.put(test::list_of({{.id = 1, .phase = 2}}));
  const WatchedJob* const job = picture.find(JobKey{.job = {1}});
  ASSERT_NE(job, nullptr);
  EXPECT_EQ(job->elapsed(kNow), seconds(10));
  EXPECT_EQ(job->elapsed(kNow + seconds(7)), seconds(17));
}

TEST(Picture, OnlyWhatTheFilterWantsIsKept) {
  submit::JobFilter filter = everything();
  filter.users = {"ann"};
  Picture picture(filter);
  picture.put(test::news_of({{.id = 1}, {.id = 2, .user = "bob"}}));
  EXPECT_EQ(picture.jobs().size(), 1U);
}

TEST(Picture, EndedJobsAreForgottenOldestFirst) {
  Picture picture(everything());
  for (std::uint64_t id = 1; id <= kMostEnded + 5; ++id) {
    picture.put(test::news_of({{.id = id, .phase = 5}}));
  }
  EXPECT_EQ(picture.jobs().size(), kMostEnded);
  EXPECT_EQ(picture.find(JobKey{.job = {5}}), nullptr);
  EXPECT_NE(picture.find(JobKey{.job = {6}}), nullptr);
}

TEST(Picture, JobsBeyondItsBoundAreCountedAndRoomIsUsedAgain) {
  Picture picture(everything());
  for (std::uint64_t id = 1; id <= kMostJobs + 3; ++id) picture.put(test::news_of({{.id = id}}));
  EXPECT_EQ(picture.jobs().size(), kMostJobs);
  EXPECT_EQ(picture.left_out(), 3U);
  picture.put(test::news_of({{.id = 1, .phase = 5, .version = 2}, {.id = kMostJobs + 9}}));
  EXPECT_NE(picture.find(JobKey{.job = {kMostJobs + 9}}), nullptr);
}

TEST(Picture, AnEventWithoutAViewMakesAShownJobDoubtfulAndNoOther) {
  Picture picture(everything());
  picture.put(test::list_of({{.id = 1, .version = 3}}));
  wire::News news;
  wire::to_wire(test::event_of(1, 3), news.add_events());
  wire::to_wire(test::event_of(2, 9), news.add_events());
  picture.put(news);
  EXPECT_TRUE(picture.take_doubtful().empty());
  news.clear_events();
  wire::to_wire(test::event_of(1, 4), news.add_events());
  picture.put(news);
  EXPECT_EQ(picture.take_doubtful(), std::set<JobKey>{JobKey{.job = {1}}});
}

TEST(Picture, NodesAreAsTheNewsPutThem) {
  Picture picture(everything());
  wire::Nodes nodes;
  *nodes.add_nodes() = test::node_of("n01", 0, 4);
  picture.put(nodes);
  EXPECT_EQ(picture.nodes().at("n01").state, "idle");
  wire::News news;
  *news.add_nodes() = test::node_of("n01", 4, 4);
  picture.put(news);
  EXPECT_EQ(picture.nodes().at("n01").state, "allocated");
}

}  // namespace
}  // namespace gangway::monitor
