// What a sandbox's runtime is put together from, without a sandbox: the table of its programs, the
// outputs that wait for them, and the wish that they stand still.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "containers/kept_outputs.hpp"
#include "containers/program_table.hpp"
#include "containers/sandbox_pause.hpp"
#include "queues/base/small_file.hpp"
#include "tests/containers/poll_reactor.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers {
namespace {

// ---- programs ----------------------------------------------------------------------------------

// Programs 1 and 2 are init's, 9 is the host starter's.
struct Programs {
  Programs() {
    for (const std::uint32_t id : {1U, 2U, 9U}) {
      table.add(id, /*on_host=*/id == 9,
                [this](ProgramEnd end) { ends.push_back(std::move(end)); });
    }
  }
  [[nodiscard]] std::vector<std::uint32_t> ended() const {
    std::vector<std::uint32_t> ids;
    for (const ProgramEnd& end : ends) ids.push_back(end.id);
    return ids;
  }
  ProgramTable table;
  std::vector<ProgramEnd> ends;
};

TEST(ProgramTable, AnEndIsToldOnceAndTheProgramIsGoneBefore) {
  ProgramTable table;
  int told = 0;
  table.add(1, false, [&](const ProgramEnd&) {
    ++told;
    EXPECT_FALSE(table.contains(1));
    table.end_by_signal(1, SIGKILL);
  });
  table.end({.id = 1, .wait_status = 0, .message = {}});
  table.end({.id = 1, .wait_status = 0, .message = {}});
  EXPECT_EQ(told, 1);
}

TEST(ProgramTable, ASignalBeforeTheStarterKnowsKillsTheProgramAndTheFirstCounts) {
  Programs world;
  world.table.note_signal(SIGTERM, 1);
  world.table.note_signal(SIGINT, 1);
  EXPECT_EQ(world.table.early_end(1), SIGTERM);
  EXPECT_EQ(world.table.early_end(2), 0);
}

TEST(ProgramTable, WhatNobodyDiesOfIsNotNoted) {
  Programs world;
  for (const int number : {SIGCONT, SIGURG, SIGWINCH, SIGCHLD}) world.table.note_signal(number, 1);
  EXPECT_EQ(world.table.early_end(1), 0);
  EXPECT_EQ(world.table.mark_sent(1), 0);
}

TEST(ProgramTable, AStopWaitsForTheStartUnlessContinueComesFirst) {
  Programs world;
  world.table.note_signal(SIGTSTP, 1);
  world.table.note_signal(SIGTSTP, 2);
  world.table.note_signal(SIGCONT, 2);
  EXPECT_EQ(world.table.early_end(1), 0) << "it is started, and stopped then";
  EXPECT_EQ(world.table.mark_sent(1), SIGTSTP);
  EXPECT_EQ(world.table.mark_sent(2), 0);
}

TEST(ProgramTable, SignalsToAllMeanProgramsOnTheHostOnlyIfTheyKill) {
  Programs world;
  world.table.note_signal(SIGTERM, std::nullopt);
  EXPECT_EQ(world.table.early_end(2), SIGTERM);
  EXPECT_EQ(world.table.early_end(9), 0);
  world.table.note_signal(SIGKILL, std::nullopt);
  EXPECT_EQ(world.table.early_end(9), SIGKILL);
}

TEST(ProgramTable, SignalsToOthersSpareTheOneAndThoseOnTheHost) {
  Programs world;
  world.table.note_signal_to_others(SIGKILL, 1);
  EXPECT_EQ(world.table.early_end(1), 0);
  EXPECT_EQ(world.table.early_end(2), SIGKILL);
  EXPECT_EQ(world.table.early_end(9), 0);
}

TEST(ProgramTable, OnceItsStarterKnowsOfItNothingIsNotedAnyMore) {
  Programs world;
  world.table.mark_sent(1);
  world.table.note_signal(SIGTERM, 1);
  EXPECT_EQ(world.table.early_end(1), 0);
}

TEST(ProgramTable, WithAStarterThoseEndThatItKnewOf) {
  Programs world;
  world.table.mark_sent(1);
  world.table.mark_sent(9);
  world.table.end_those_sent(/*on_host=*/false);
  ASSERT_EQ(world.ended(), (std::vector<std::uint32_t>{1}));
  EXPECT_TRUE(world.ends[0].started);
  EXPECT_EQ(world.ends[0].wait_status, SIGKILL);
  world.table.end_all_unstarted("gone");
  ASSERT_EQ(world.ended(), (std::vector<std::uint32_t>{1, 2, 9}));
  EXPECT_FALSE(world.ends[1].started);
  EXPECT_EQ(world.ends[1].message, "gone");
}

// ---- outputs -----------------------------------------------------------------------------------

std::vector<Fd> two_files() {
  std::vector<Fd> files;
  for (int i = 0; i < 2; ++i) files.emplace_back(dup(STDERR_FILENO));
  return files;
}

TEST(KeptOutputs, AreForTheFirstProgramsAndForNoOthers) {
  KeptOutputs outputs;
  outputs.keep({{.path = "/out", .truncate = true}, {.path = "/err"}}, two_files());
  const std::vector<UserFile> one = {{"/err", UserFile::Mode::Append}};
  EXPECT_EQ(outputs.take(one).size(), 1U);
  EXPECT_TRUE(outputs.is_empty()) << "the other one is not kept for later programs";
  EXPECT_TRUE(outputs.take(one).empty());
}

TEST(KeptOutputs, StayWhereAProgramNeedsMoreThanThem) {
  KeptOutputs outputs;
  outputs.keep({{.path = "/out"}, {.path = "/err"}}, two_files());
  for (const UserFile& other :
       {UserFile{"/in", UserFile::Mode::Read}, UserFile{"/err", UserFile::Mode::Truncate}}) {
    EXPECT_TRUE(outputs.take({{"/out", UserFile::Mode::Append}, other}).empty());
  }
  EXPECT_TRUE(outputs.take({}).empty());
  EXPECT_FALSE(outputs.is_empty());
}

// ---- standing still ----------------------------------------------------------------------------

// A group of version 2, as far as a freezer looks at it.
struct Pause {
  Pause() { show("cgroup.freeze", ""), show("cgroup.events", "populated 1\nfrozen 0\n"); }
  void show(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(replace_file(directory / name, text, 0644, Durability::UntilReboot));
  }
  std::optional<PauseOrder> wish(bool on, const std::vector<std::string>& groups) {
    return pause.begin(on, groups, [this](const Result<void>& answer) {
      answers.push_back(answer ? "done" : answer.error().message());
    });
  }
  TemporaryDirectory directory{geteuid(), fast_directory()};
  PollReactor reactor;
  int thawed = 0;
  std::vector<std::string> answers;
  SandboxPause pause{reactor, [this] { ++thawed; }};
};

TEST(SandboxPause, WithoutAFreezerInitIsToldAndItsAnswerCounts) {
  Pause world;
  const auto order = world.wish(true, {});
  ASSERT_TRUE(order);
  EXPECT_TRUE(order->on);
  EXPECT_TRUE(world.pause.is_on());
  EXPECT_FALSE(world.pause.is_frozen()) << "init reads";
  world.reactor.drain();
  EXPECT_TRUE(world.answers.empty());
  world.pause.on_init_done({order->number});
  EXPECT_TRUE(world.answers.empty()) << "in a later turn";
  world.reactor.drain();
  EXPECT_EQ(world.answers, std::vector<std::string>{"done"});
}

TEST(SandboxPause, AWishThatIsReplacedGetsNoAnswer) {
  Pause world;
  const auto first = world.wish(true, {});
  const auto second = world.wish(false, {});
  ASSERT_TRUE(first && second);
  world.pause.on_init_done({first->number});
  world.reactor.drain();
  EXPECT_TRUE(world.answers.empty());
  world.pause.on_init_done({second->number});
  world.reactor.drain();
  EXPECT_EQ(world.answers.size(), 1U);
}

TEST(SandboxPause, AFreezerIsAskedUntilAllHaveComeToRest) {
  Pause world;
  EXPECT_FALSE(world.wish(true, {world.directory.path()}));
  EXPECT_TRUE(world.pause.is_frozen());
  EXPECT_EQ(read_small_file(world.directory / "cgroup.freeze").value_or(""), "1");
  world.reactor.drain();
  EXPECT_TRUE(world.answers.empty());
  world.show("cgroup.events", "populated 1\nfrozen 1\n");
  EXPECT_TRUE(world.reactor.run_until([&] { return !world.answers.empty(); }));
  EXPECT_EQ(world.answers, std::vector<std::string>{"done"});
}

TEST(SandboxPause, WhatAFreezerLetsGoIsToldAndTheFreezerLookedForAnew) {
  Pause world;
  EXPECT_FALSE(world.wish(true, {world.directory.path()}));
  EXPECT_FALSE(world.wish(false, {})) << "who was frozen is let go by the same freezer";
  EXPECT_EQ(world.thawed, 1);
  EXPECT_FALSE(world.pause.is_on());
  world.reactor.drain();
  EXPECT_EQ(world.answers.size(), 1U);
  EXPECT_TRUE(world.wish(true, {})) << "without one it is init's matter";
}

TEST(SandboxPause, WhatCannotBeMetIsAnsweredInALaterTurn) {
  Pause world;
  world.pause.refuse(Error(ErrorKind::Conflict, "no"), [&](const Result<void>& answer) {
    world.answers.push_back(answer.error().message());
  });
  EXPECT_TRUE(world.answers.empty());
  world.reactor.drain();
  EXPECT_EQ(world.answers, std::vector<std::string>{"no"});
}

TEST(SandboxPause, NothingIsAnsweredAfterItsEnd) {
  PollReactor reactor;
  int answers = 0;
  {
    SandboxPause pause(reactor, [] {});
    pause.refuse(Error(ErrorKind::Conflict, "no"), [&](const Result<void>&) { ++answers; });
  }
  reactor.drain();
  EXPECT_EQ(answers, 0);
}

}  // namespace
}  // namespace gangway::containers
