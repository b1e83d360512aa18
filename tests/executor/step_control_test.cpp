#include "executor/step_control.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace gangway::executor {
namespace {

// A step of two ranks on each of two nodes, played by hand.
struct World {
  explicit World(wire::StepRun r = {}) {
    StepLayout layout;
    layout.tasks = 4;
    layout.nodes = {{.node_index = 0, .ranks = {0, 1}, .cores = {0, 1}},
                    {.node_index = 2, .ranks = {2, 3}, .cores = {0, 1}}};
    r.set_input(wire::INPUT_ALL);
    r.add_programs()->add_argv("true");
    control.emplace(StepFacts{.step = 3, .node_names = {"n01", "n03"}, .kill_grace = seconds(2)}, r,
                    layout);
    perform(control->start(now));
  }
  void perform(ControlActions actions) {
    for (ControlAction& action : actions) {
      if (auto* part = std::get_if<control_action::ToPart>(&action)) {
        to_part.emplace_back(part->place, part->message);
      } else if (auto* client = std::get_if<control_action::ToClient>(&action)) {
        to_client.push_back(client->message);
      } else if (const auto* arm = std::get_if<control_action::Arm>(&action)) {
        armed.emplace_back(arm->alarm, arm->at);
      } else if (std::holds_alternative<control_action::Cut>(action)) {
        ++cuts;
      } else {
        over = true;
      }
    }
  }
  void task_ends(std::size_t place, std::uint32_t task, int code, int signal = 0) {
    wire::FromPart message;
    message.mutable_task_ended()->set_task(task);
    message.mutable_task_ended()->set_exit_code(code);
    message.mutable_task_ended()->set_signal(signal);
    message.mutable_task_ended()->set_started(true);
    perform(control->on_part(place, message, now));
  }
  void part_ends(std::size_t place) {
    wire::FromPart message;
    message.mutable_ended()->mutable_usage()->set_cpu_ns(seconds(1).ns);
    perform(control->on_part(place, message, now));
  }
  [[nodiscard]] std::vector<std::pair<std::size_t, int>> signals() const {
    std::vector<std::pair<std::size_t, int>> found;
    for (const auto& [place, message] : to_part) {
      if (message.has_signal()) {
        found.emplace_back(place, static_cast<int>(message.signal().number()));
      }
    }
    return found;
  }
  [[nodiscard]] const wire::StepEnded* ended() const {
    return !to_client.empty() && to_client.back().has_ended() ? &to_client.back().ended() : nullptr;
  }

  Now now{Time{seconds(1000).ns}, BootTime{seconds(100).ns}};
  std::optional<StepControl> control;
  std::vector<std::pair<std::size_t, wire::ToPart>> to_part;
  std::vector<wire::FromStep> to_client;
  std::vector<std::pair<StepAlarm, BootTime>> armed;
  int cuts = 0;
  bool over = false;
};

TEST(StepControl, PartsStartAtOnceAndKnowTheirRanks) {
  World world;
  ASSERT_EQ(world.to_part.size(), 2U);
  const wire::PartStart& second = world.to_part[1].second.start();
  EXPECT_EQ(second.place(), 1U);
  EXPECT_EQ(second.tasks(), 4U);
  ASSERT_EQ(second.ranks_size(), 2);
  EXPECT_EQ(second.ranks(0).rank(), 2U);
  EXPECT_EQ(second.ranks_of_node(0), "0-1");
}

TEST(StepControl, TheWorstRankIsTheExitCodeAndIsNamed) {
  World world;
  world.task_ends(0, 0, 3);
  world.task_ends(1, 2, 0, SIGSEGV);
  world.task_ends(1, 3, 7);
  world.part_ends(0);
  EXPECT_FALSE(world.over);
  world.part_ends(1);
  EXPECT_TRUE(world.over);
  ASSERT_NE(world.ended(), nullptr);
  EXPECT_EQ(world.ended()->exit_code(), 128 + SIGSEGV);
  EXPECT_EQ(world.ended()->detail(), "task 2 on n03: killed by signal 11 (SIGSEGV)");
  EXPECT_EQ(world.control->record(world.now).used.cpu, seconds(2));
}

TEST(StepControl, AFailureEndsTheOthersOnlyIfThatWasAskedFor) {
  World calm;
  calm.task_ends(0, 0, 3);
  EXPECT_TRUE(calm.signals().empty());
  wire::StepRun run;
  run.set_kill_on_bad_exit(true);
  World strict(run);
  strict.task_ends(0, 0, 3);
  EXPECT_EQ(strict.signals(), (std::vector<std::pair<std::size_t, int>>{
                                  {0, SIGTERM}, {1, SIGTERM}, {0, SIGCONT}, {1, SIGCONT}}));
  ASSERT_EQ(strict.armed.back().first, StepAlarm::Grace);
  EXPECT_EQ(strict.armed.back().second, strict.now.boot + seconds(2));
  strict.to_part.clear();
  strict.perform(strict.control->on_alarm(StepAlarm::Grace, strict.now));
  EXPECT_EQ(strict.signals(),
            (std::vector<std::pair<std::size_t, int>>{{0, SIGKILL}, {1, SIGKILL}}));
  // What our own signals do to the others is no news.
  strict.task_ends(1, 2, 0, SIGKILL);
  strict.part_ends(0);
  strict.part_ends(1);
  EXPECT_EQ(strict.ended()->exit_code(), 3);
}

TEST(StepControl, ALostNodeEndsTheStep) {
  World world;
  world.perform(world.control->on_part_lost(1, world.now));
  EXPECT_EQ(world.signals(),
            (std::vector<std::pair<std::size_t, int>>{{0, SIGTERM}, {0, SIGCONT}}));
  world.part_ends(0);
  EXPECT_EQ(world.ended()->detail(), "lost the connection to the shepherd on n03");
  EXPECT_NE(world.ended()->exit_code(), 0);
}

TEST(StepControl, AClientThatIsGoneEndsItsStepAndItsOutputIsDropped) {
  World world;
  world.perform(world.control->on_client_gone(world.now));
  EXPECT_EQ(world.signals().size(), 4U);
  world.to_part.clear();
  wire::FromPart output;
  output.mutable_output()->set_data("lost");
  world.perform(world.control->on_part(1, output, world.now));
  ASSERT_EQ(world.to_part.size(), 1U);
  EXPECT_EQ(world.to_part[0].second.consumed().bytes(), 4U);
}

TEST(StepControl, AClientThatTakesWhatItWasNotGivenIsCutOff) {
  World world;
  wire::FromPart output;
  output.mutable_output()->set_data(std::string(100, 'x'));
  world.perform(world.control->on_part(1, output, world.now));
  wire::ToStep taken;
  taken.mutable_consumed()->set_node(1);
  taken.mutable_consumed()->set_bytes(100);
  world.perform(world.control->on_client(taken, world.now));
  EXPECT_EQ(world.cuts, 0);
  world.to_part.clear();
  world.perform(world.control->on_client(taken, world.now));  // again: nothing was given
  EXPECT_EQ(world.cuts, 1);
  EXPECT_TRUE(world.to_part.empty());
  taken.mutable_consumed()->set_node(7);
  world.perform(world.control->on_client(taken, world.now));
  EXPECT_EQ(world.cuts, 2);
}

TEST(StepControl, InputThatNobodyTakesIsBounded) {
  World world;
  wire::ToStep input;
  input.mutable_input()->set_data(std::string(32 << 10, 'x'));
  for (int i = 0; i < 1000; ++i) world.perform(world.control->on_client(input, world.now));
  std::size_t passed = 0;
  for (const auto& [place, message] : world.to_part) {
    if (place == 0) passed += message.input().data().size();
  }
  EXPECT_EQ(passed, kMaxInputOnItsWay);
  EXPECT_EQ(world.cuts, 1000 - static_cast<int>(kMaxInputOnItsWay / (32 << 10)));
  // What is taken makes room.
  world.to_part.clear();
  wire::FromPart taken;
  taken.mutable_input_consumed()->set_bytes(64 << 10);
  for (const std::size_t place : {0U, 1U}) {
    world.perform(world.control->on_part(place, taken, world.now));
  }
  world.perform(world.control->on_client(input, world.now));
  EXPECT_EQ(world.to_part.size(), 2U);
}

TEST(StepControl, InputIsTakenWhenTheSlowestPartHasTakenIt) {
  World world;
  wire::ToStep input;
  input.mutable_input()->set_data("0123456789");
  world.perform(world.control->on_client(input, world.now));
  const auto taken = [&](std::size_t place, std::uint64_t bytes) {
    wire::FromPart message;
    message.mutable_input_consumed()->set_bytes(bytes);
    world.to_client.clear();
    world.perform(world.control->on_part(place, message, world.now));
  };
  taken(0, 10);
  EXPECT_TRUE(world.to_client.empty());
  taken(1, 4);
  ASSERT_EQ(world.to_client.size(), 1U);
  EXPECT_EQ(world.to_client[0].input_consumed().bytes(), 4U);
}

TEST(StepControl, APartThatCannotBeStartedIsTheReason) {
  World world;
  wire::FromPart message;
  message.mutable_ended()->set_error("pmix server: no such program");
  world.perform(world.control->on_part(1, message, world.now));
  world.part_ends(0);
  EXPECT_EQ(world.ended()->detail(), "n03: pmix server: no such program");
  EXPECT_EQ(world.ended()->exit_code(), 1);
}

}  // namespace
}  // namespace gangway::executor
