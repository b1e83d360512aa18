// Facts and keys in, wishes and cells out: no terminal.
#include "submit/monitor/screen.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "monitor_facts.hpp"
#include "queues/base/text.hpp"

namespace gangway::monitor {
namespace {

using test::JobFact;
using test::kNow;
using testing::HasSubstr;
using testing::Not;
using Code = Key::Code;

submit::JobFilter everything() {
  submit::JobFilter filter;
  filter.finished_too = true;
  return filter;
}

class Screens : public testing::Test {
 protected:
  Screens() : screen(everything()) {
    screen.on_time(kNow, {});
    screen.on_link({.live = true, .trouble = {}, .since = {}, .times_lost = 0});
    screen.on_size({.rows = 24, .columns = 80});
  }
  void tell(const std::vector<JobFact>& facts) { screen.tell(test::news_of(facts)); }
  Wishes press(std::string_view letters) {
    Wishes last;
    for (const char c : letters) last = screen.on_key({.code = Code::Letter, .letter = c});
    return last;
  }
  Wishes press(Code code) { return screen.on_key({.code = code}); }
  Wishes function(int number) {
    return screen.on_key({.code = Code::Function, .function = number});
  }
  std::string text() {
    screen.settle();
    const Canvas canvas = draw(screen);
    std::string all;
    for (int row = 0; row < canvas.size().rows; ++row) all += canvas.text_of(row) + "\n";
    return all;
  }
  std::string line(int row) {
    screen.settle();
    return draw(screen).text_of(row);
  }
  // What stands in the columns of the ids, of the queue's lines.
  std::vector<std::string> ids() {
    screen.settle();
    std::vector<std::string> found;
    for (const QueueLine& one : screen.lines()) {
      found.push_back(one.job != nullptr ? to_string(one.job->row.key)
                                         : to_string(WorkflowId{one.workflow}));
    }
    return found;
  }
  Screen screen;
};

template <typename T>
bool wishes_for(const Wishes& wishes) {
  return std::any_of(wishes.begin(), wishes.end(),
                     [](const Wish& wish) { return std::holds_alternative<T>(wish); });
}

TEST_F(Screens, TheQueueFitsIntoEightyColumns) {
  tell({{.id = 41, .phase = 2, .node = "n[01-04]"}, {.id = 42, .user = "bob", .priority = 7}});
  EXPECT_THAT(line(0), HasSubstr("jobs: 1 running, 1 waiting, 0 ended"));
  EXPECT_EQ(line(3),
            "      JOBID QUEUE    NAME          USER     ST       TIME  NOD CORE NODES/REASON");
  EXPECT_EQ(line(4),
            "         41 batch    solve         ann      R        0:10    1    2 n[01-04]");
  EXPECT_EQ(line(5), "         42 batch    solve         bob      PD       0:00    1    2 (None)");
  EXPECT_THAT(line(23), HasSubstr("F1Help F2Nodes"));
  EXPECT_THAT(line(23), HasSubstr("F10Quit"));
}

TEST_F(Screens, AJobsEndIsShownForAMinuteAndThenOnRequest) {
  tell({{.id = 1, .phase = 2}});
  tell({{.id = 1, .phase = 5, .version = 2, .outcome = OutcomeKind::Failed}});
  EXPECT_THAT(line(4), HasSubstr(" F "));
  screen.on_time(kNow + kEndedShown, {});
  EXPECT_THAT(text(), HasSubstr("no jobs"));
  press("e");
  EXPECT_THAT(line(4), HasSubstr(" F "));
}

TEST_F(Screens, RunningJobsStandBeforeWaitingOnesAndThoseByPriority) {
  tell({{.id = 1, .priority = 5}, {.id = 2, .priority = 9}, {.id = 3, .phase = 2}});
  EXPECT_EQ(ids(), (std::vector<std::string>{"3", "2", "1"}));
  press("N");
  EXPECT_EQ(ids(), (std::vector<std::string>{"1", "2", "3"}));
  press("I");
  EXPECT_EQ(ids(), (std::vector<std::string>{"3", "2", "1"}));
}

TEST_F(Screens, TheSelectionStaysWithItsJobWhateverMoves) {
  tell({{.id = 1, .priority = 5}, {.id = 2, .priority = 4}});
  text();
  press(Code::Down);
  EXPECT_EQ(screen.selected(), 1U);
  tell({{.id = 2, .phase = 2, .version = 2}});
  text();
  EXPECT_EQ(ids().front(), "2");
  EXPECT_EQ(screen.selected(), 0U);
}

TEST_F(Screens, ALongListScrollsToWhatIsSelected) {
  std::vector<JobFact> many;
  for (std::uint64_t id = 1; id <= 100; ++id) many.push_back({.id = id});
  tell(many);
  press(Code::End);
  EXPECT_THAT(line(21), HasSubstr(" 100 "));
  EXPECT_THAT(line(4), HasSubstr(" 83 "));
  press(Code::PageUp);
  press(Code::Home);
  EXPECT_THAT(line(4), HasSubstr(" 1 "));
}

TEST_F(Screens, AFilterNarrowsWhileItIsTypedAndEscapeTakesItBack) {
  tell({{.id = 1, .name = "solve"}, {.id = 2, .name = "mesh"}});
  function(4);
  press("mes");
  EXPECT_EQ(ids(), std::vector<std::string>{"2"});
  EXPECT_THAT(line(22), HasSubstr("Filter: mes"));
  press(Code::Backspace);
  press(Code::Enter);
  EXPECT_EQ(ids(), std::vector<std::string>{"2"});
  EXPECT_THAT(line(2), HasSubstr("filter: me"));
  press(Code::Escape);
  EXPECT_EQ(ids().size(), 2U);
}

TEST_F(Screens, ASearchGoesToTheNextMatch) {
  tell({{.id = 1, .name = "mesh"}, {.id = 2, .name = "solve"}, {.id = 3, .name = "SOLVE"}});
  press("/");
  press("solve");
  EXPECT_EQ(screen.selected(), 1U);
  function(3);
  EXPECT_EQ(screen.selected(), 2U);
  press(Code::Enter);
  EXPECT_FALSE(screen.prompt());
}

TEST_F(Screens, CancellingAsksFirstAndAnythingButYesIsNo) {
  tell({{.id = 7}});
  text();
  EXPECT_TRUE(function(9).empty());
  EXPECT_THAT(line(22), HasSubstr("cancel job 7 (solve)? y: yes, n: no"));
  EXPECT_TRUE(press(Code::Enter).empty());
  EXPECT_THAT(line(22), HasSubstr("nothing was cancelled"));
  press("k");
  const Wishes wishes = press("y");
  ASSERT_TRUE(wishes_for<Act>(wishes));
  const Act& act = std::get<Act>(wishes.front());
  EXPECT_EQ(act.what, Act::What::Cancel);
  EXPECT_EQ(act.jobs, std::vector<JobKey>{JobKey{.job = {7}}});
}

TEST_F(Screens, WhatIsTaggedIsActedOnTogether) {
  tell({{.id = 1}, {.id = 2}, {.id = 3}});
  text();
  press(" ");
  press(" ");
  const Wishes held = function(7);
  ASSERT_TRUE(wishes_for<Act>(held));
  EXPECT_EQ(std::get<Act>(held.front()).jobs.size(), 2U);
  press("k");
  EXPECT_THAT(line(22), HasSubstr("cancel the 2 tagged jobs?"));
}

wire::Workflows diamond() {
  wire::Workflows workflows;
  wire::WorkflowState& state = *workflows.add_workflows()->mutable_state();
  state.set_id(7);
  state.set_name("flow");
  state.mutable_owner()->set_user("ann");
  const auto add = [&](const char* name, std::uint64_t job, std::vector<const char*> needs) {
    wire::WorkflowMember& member = *state.add_members();
    member.set_name(name);
    member.set_job(job);
    for (const char* const need : needs) member.add_needs()->set_member(need);
  };
  add("a", 1, {});
  add("b", 2, {"a"});
  add("c", 3, {"a"});
  add("d", 4, {"b", "c"});
  return workflows;
}

TEST_F(Screens, ATreeShowsAWorkflowsJobsBelowWhatTheyNeed) {
  tell({{.id = 1, .phase = 5, .workflow = 7, .member = "a"},
        {.id = 2, .phase = 2, .workflow = 7, .member = "b"},
        {.id = 3, .workflow = 7, .member = "c"},
        {.id = 4, .workflow = 7, .member = "d"},
        {.id = 9}});
  const Wishes wishes = function(5);
  ASSERT_TRUE(wishes_for<AskWorkflows>(wishes));
  EXPECT_EQ(std::get<AskWorkflows>(wishes.front()).ids, std::vector<std::uint64_t>{7});
  screen.tell(diamond());
  EXPECT_EQ(ids(), (std::vector<std::string>{"w7", "1", "2", "4", "3", "9"}));
  EXPECT_THAT(line(4), HasSubstr("w7 flow (ann): 1 of 4 completed"));
  EXPECT_THAT(line(5), HasSubstr("`-a"));
  EXPECT_THAT(line(6), HasSubstr("  `-b"));
  // A workflow is cancelled as a whole from its own line.
  press(Code::Home);
  press("k");
  EXPECT_THAT(line(22), HasSubstr("cancel all of workflow w7?"));
  const Wishes done = press("y");
  EXPECT_EQ(std::get<Act>(done.front()).workflows, std::vector<std::uint64_t>{7});
}

TEST_F(Screens, NodesAreBarsAndManyNodesAGridOfTenths) {
  wire::News news;
  *news.add_nodes() = test::node_of("n01", 2, 4, 5);
  *news.add_nodes() = test::node_of("n02", 0, 4);
  screen.tell(news);
  function(2);
  EXPECT_THAT(line(4), HasSubstr("n01           mixed"));
  EXPECT_THAT(line(4), HasSubstr("2/4"));
  EXPECT_THAT(line(4), HasSubstr("|||"));
  EXPECT_THAT(line(5), HasSubstr("idle"));
  press("m");
  EXPECT_THAT(line(4), testing::StartsWith("n01   55 n02   .."));
  wire::News many;
  for (int i = 0; i < 200; ++i) {
    *many.add_nodes() = test::node_of(cat("m", 100 + i), i % 5, 4);
  }
  screen.tell(many);
  press("m");  // a list is wished for, and there is no room for one
  EXPECT_THAT(line(4), HasSubstr("m100  .. m101  2."));
  EXPECT_THAT(line(4), HasSubstr("m104  #."));
  press(Code::Right);
  EXPECT_THAT(line(21), HasSubstr("m101: mixed, cores 1/4"));
}

TEST_F(Screens, ALostNodeIsMarked) {
  wire::News news;
  wire::NodeView lost = test::node_of("n01", 0, 4);
  lost.mutable_state()->set_contact(static_cast<std::uint32_t>(Contact::Lost));
  *news.add_nodes() = lost;
  screen.tell(news);
  function(2);
  press("m");
  EXPECT_THAT(line(4), HasSubstr("n01   xx"));
}

TEST_F(Screens, EnterOnANodeShowsItsJobs) {
  wire::News news;
  *news.add_nodes() = test::node_of("n02", 2, 4);
  screen.tell(news);
  tell({{.id = 1, .phase = 2, .node = "n02"}, {.id = 2}});
  function(2);
  press(Code::Enter);
  EXPECT_EQ(ids(), std::vector<std::string>{"1"});
}

TEST_F(Screens, DetailsTellTheJobAndWhyItWaits) {
  tell({{.id = 5, .name = "big"}});
  text();
  const Wishes wishes = press(Code::Enter);
  ASSERT_TRUE(wishes_for<Explain>(wishes));
  screen.on_explained(JobKey{.job = {5}}, {"job 5 (big) waits: Resources"});
  EXPECT_THAT(text(), HasSubstr("Name         big"));
  EXPECT_THAT(text(), HasSubstr("job 5 (big) waits: Resources"));
  press("q");
  EXPECT_EQ(screen.view(), View::Queue);
}

TEST_F(Screens, OutputIsFollowedUntilOneScrollsUp) {
  tell({{.id = 5, .phase = 2}});
  text();
  ASSERT_TRUE(wishes_for<OpenOutput>(press("o")));
  const JobKey job{.job = {5}};
  for (int i = 1; i <= 40; ++i) screen.on_output(job, cat("line ", i, "\n"));
  EXPECT_THAT(line(21), HasSubstr("line 40"));
  press(Code::Up);
  screen.on_output(job, "line 41\n");
  EXPECT_THAT(line(21), HasSubstr("line 39"));
  press(Code::End);
  EXPECT_THAT(line(21), HasSubstr("line 41"));
  EXPECT_TRUE(wishes_for<CloseOutput>(press(Code::Escape)));
}

TEST_F(Screens, ALostSchedulerIsSaidAndWhatIsKnownStays) {
  tell({{.id = 5, .phase = 2}});
  screen.on_link({.live = false, .trouble = "closed the connection", .since = BootTime{}});
  screen.on_time(kNow, BootTime{} + seconds(3));
  EXPECT_THAT(line(2), HasSubstr("scheduler away for 3 s, trying again"));
  EXPECT_THAT(line(4), HasSubstr(" 5 "));
  screen.on_link({.live = true, .trouble = {}, .since = {}, .times_lost = 1});
  EXPECT_THAT(line(2), HasSubstr("live, back again"));
}

TEST_F(Screens, TheHelpNamesTheKeysAndGoesBackWhereItCameFrom) {
  function(2);
  function(1);
  EXPECT_THAT(text(), HasSubstr("F9 k       cancel"));
  press(Code::Escape);
  EXPECT_EQ(screen.view(), View::Nodes);
}

TEST_F(Screens, QuitsByTheKeysThatPeopleKnow) {
  EXPECT_TRUE(wishes_for<Quit>(press("q")));
  EXPECT_TRUE(wishes_for<Quit>(function(10)));
  function(2);
  EXPECT_FALSE(wishes_for<Quit>(press("q")));
  function(2);
  EXPECT_TRUE(wishes_for<Quit>(function(10)));
}

TEST_F(Screens, EveryViewIsDrawnIntoEverySize) {
  tell({{.id = 1, .phase = 2, .name = std::string(300, 'x'), .node = "n01"}, {.id = 2}});
  wire::News news;
  *news.add_nodes() = test::node_of("n01", 2, 4);
  screen.tell(news);
  for (const int function_key : {0, 1, 2}) {
    for (const Size size : {Size{1, 1}, Size{2, 10}, Size{5, 20}, Size{24, 80}, Size{60, 250}}) {
      screen.on_size(size);
      if (function_key != 0) function(function_key);
      screen.settle();
      EXPECT_EQ(draw(screen).size(), size);
      press(Code::Escape);
    }
  }
}

}  // namespace
}  // namespace gangway::monitor
