// What people are shown about jobs and nodes.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/job_list.hpp"
#include "submit/job_row.hpp"
#include "submit/node_row.hpp"
#include "submit/output_file.hpp"
#include "submit/progress.hpp"

namespace gangway::submit {
namespace {

wire::JobView view_of(std::uint64_t id, std::uint32_t phase) {
  wire::JobView view;
  wire::to_wire(JobKey{.job = {id}}, view.mutable_state()->mutable_key());
  view.mutable_state()->set_phase(phase);
  view.set_name("solve");
  return view;
}

wire::JobView ended(std::uint64_t id, const Outcome& outcome) {
  wire::JobView view = view_of(id, 5);
  wire::to_wire(outcome, view.mutable_state()->mutable_outcome());
  return view;
}

TEST(JobRow, StateHasLettersAndAName) {
  constexpr std::string_view kLetters[] = {"PD", "CF", "R", "S", "CG"};
  for (std::uint32_t phase = 0; phase < 5; ++phase) {
    EXPECT_EQ(make_row(view_of(1, phase), {}).letters, kLetters[phase]);
  }
  const JobRow row = make_row(
      ended(1, {.kind = OutcomeKind::Failed, .exit_code = 3, .signal = 0, .detail = ""}), {});
  EXPECT_EQ(row.letters, "F");
  EXPECT_EQ(row.state, "FAILED");
  EXPECT_EQ(exit_pair(row), "3:0");
  EXPECT_EQ(place_or_reason(row), "(failed with exit code 3)");
}

TEST(JobRow, AnEndedJobTellsWhereItRan) {
  wire::JobView view =
      ended(1, {.kind = OutcomeKind::Failed, .exit_code = 3, .signal = 0, .detail = ""});
  view.mutable_state()->mutable_allocation()->add_shares()->set_node("n02");
  const JobRow row = make_row(view, {});
  EXPECT_EQ(row.node_list, "n02");
  EXPECT_EQ(place_or_reason(row), "n02 (failed with exit code 3)");
}

TEST(JobRow, AnElementThatWasCancelledBeforeItStartedIsSoWhateverBecameOfTheOthers) {
  wire::JobView view =
      ended(39, {.kind = OutcomeKind::Failed, .exit_code = 1, .signal = 0, .detail = ""});
  view.mutable_array()->set_dropped("3");
  view.mutable_array()->set_dropped_count(1);
  wire::to_wire(Outcome{.kind = OutcomeKind::Cancelled, .exit_code = 0, .signal = 0, .detail = ""},
                view.mutable_state()->mutable_array()->mutable_dropped_as());
  const JobRow row = make_row(view, {});
  EXPECT_EQ(id_of(row, 40), "39_[3]");
  EXPECT_EQ(row.letters, "CA");
  EXPECT_EQ(exit_pair(row), "0:0");
  EXPECT_EQ(expand_array(row, 10).front().state, "CANCELLED");
}

TEST(JobRow, UnknownPhaseOfANewerSchedulerIsNoHarm) {
  EXPECT_EQ(make_row(view_of(1, 77), {}).state, "FINISHED");
}

TEST(JobRow, TimeOfARunningJobGoesOn) {
  wire::JobView view = view_of(1, 2);
  view.mutable_state()->set_clock_accumulated_ns(seconds(10).ns);
  view.mutable_state()->set_clock_since_ns(seconds(100).ns);
  EXPECT_EQ(make_row(view, Time{seconds(130).ns}).elapsed, seconds(40));
}

TEST(JobRow, StatesAreFoundByLettersAndNames) {
  EXPECT_EQ(parse_state("pd"), "PD");
  EXPECT_EQ(parse_state("RUNNING"), "R");
  EXPECT_EQ(parse_state("completed"), "CD");
  EXPECT_EQ(parse_state("TO"), "TO");
  EXPECT_EQ(parse_state("gone"), std::nullopt);
  EXPECT_TRUE(is_live_state("CG"));
  EXPECT_FALSE(is_live_state("CD"));
}

TEST(OutputFile, TheLastLinesOfALongFileAreReadFromItsEnd) {
  std::string path = "/tmp/gangway-output-XXXXXX";
  const Fd file(::mkstemp(path.data()));
  ASSERT_TRUE(file);
  constexpr off_t kHole = off_t{2} << 30;
  std::string lines;
  for (int i = 0; i < 20; ++i) lines += cat("line ", i, "\n");
  const ssize_t written = ::pwrite(file.get(), lines.data(), lines.size(), kHole);
  ASSERT_EQ(written, static_cast<ssize_t>(lines.size()));
  const Result<FileEnd> end = read_end(path, 2, 1 << 20);
  const Result<FileEnd> all = read_end(path, -1, 1 << 20);
  ::unlink(path.c_str());
  ASSERT_TRUE(end);
  EXPECT_EQ(end->text, "line 18\nline 19\n");
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().kind(), ErrorKind::Exhausted);
}

TEST(OutputFile, WhatKeepsNothingIsNotWaitedFor) {
  const std::string path = cat("/tmp/gangway-fifo-", ::getpid());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const Result<FileEnd> end = read_end(path, 10, 1 << 20);
  ::unlink(path.c_str());
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind(), ErrorKind::Unsupported);
}

TEST(JobFilter, ChoosesByUserIdNameAndState) {
  JobRow row = make_row(view_of(1, 2), {});
  row.user = "ann";
  row.uid = 1001;
  EXPECT_TRUE((JobFilter{.users = {"ann"}}.lets_through(row)));
  EXPECT_FALSE((JobFilter{.users = {"bob"}}.lets_through(row)));
  EXPECT_TRUE((JobFilter{.mine = 1001}.lets_through(row)));
  EXPECT_FALSE((JobFilter{.mine = 1002}.lets_through(row)));
  EXPECT_FALSE((JobFilter{.states = {"PD"}}.lets_through(row)));
  row.finished = true;
  EXPECT_FALSE(JobFilter{}.lets_through(row));
}

TEST(JobFilter, UserNameIsFoundInThePasswordFile) {
  constexpr std::string_view kFile =
      "root:x:0:0:root:/root:/bin/sh\n\nann:x:1001:100::/home/ann:/bin/sh\nbroken\n";
  EXPECT_EQ(find_user_name(kFile, 1001), "ann");
  EXPECT_EQ(find_user_name(kFile, 100), "");
}

TEST(Progress, TellsWhatChanged) {
  ProgressLines progress;
  JobRow row = make_row(view_of(42, 0), {});
  row.member = "solve";
  row.reason = "Dependency";
  EXPECT_TRUE(progress.update({row}).empty());  // that it waits is no news
  row.letters = "R";
  row.node_list = "n[01-04]";
  EXPECT_EQ(progress.update({row}), std::vector<std::string>{"solve (42): running on n[01-04]"});
  EXPECT_TRUE(progress.update({row}).empty());
  JobRow end = make_row(ended(42, {}), {});
  end.member = "solve";
  end.elapsed = milliseconds(1240);
  EXPECT_EQ(progress.update({end}), std::vector<std::string>{"solve (42): completed, 1.2 s"});
}

TEST(Progress, SkippedJobSaysWhy) {
  ProgressLines progress;
  const JobRow row =
      make_row(ended(43, {.kind = OutcomeKind::Cancelled,
                          .exit_code = 0,
                          .signal = 0,
                          .detail = "skipped: needs solve to succeed, solve FAILED"}),
               {});
  EXPECT_EQ(progress.update({row}),
            std::vector<std::string>{"job 43: skipped: needs solve to succeed, solve FAILED"});
}

wire::NodeView node(Contact contact, bool drain, int used, bool busy) {
  wire::NodeView view;
  view.mutable_state()->set_name("n01");
  view.mutable_state()->set_contact(static_cast<std::uint32_t>(contact));
  view.mutable_state()->set_drain(drain);
  view.mutable_state()->mutable_capacity()->set_cores(4);
  view.mutable_state()->add_features("ib");
  view.mutable_state()->add_features("ssd");
  view.mutable_used()->set_cores(used);
  if (busy) wire::to_wire(JobKey{.job = {42}}, view.add_jobs());
  return view;
}

TEST(NodeRow, StateTellsContactDrainAndUse) {
  EXPECT_EQ(make_node_row(node(Contact::Reached, false, 0, false)).state, "idle");
  EXPECT_EQ(make_node_row(node(Contact::Reached, false, 2, true)).state, "mixed");
  EXPECT_EQ(make_node_row(node(Contact::Reached, false, 4, true)).state, "allocated");
  EXPECT_EQ(make_node_row(node(Contact::Reached, true, 2, true)).state, "draining");
  EXPECT_EQ(make_node_row(node(Contact::Reached, true, 0, false)).state, "drained");
  EXPECT_EQ(make_node_row(node(Contact::Suspect, false, 0, false)).state, "suspect");
  EXPECT_EQ(make_node_row(node(Contact::Lost, false, 0, false)).state, "lost");
  EXPECT_EQ(make_node_row(node(Contact::Unknown, false, 0, false)).state, "unknown");
}

TEST(NodeRow, TableShowsUsedOfAll) {
  EXPECT_EQ(render_nodes({make_node_row(node(Contact::Reached, false, 2, true))}, {}),
            "NODE STATE CORES MEMORY NAMED FEATURES JOBS REASON\n"
            "n01  mixed   2/4    0/0 -     ib,ssd   42\n");
}

}  // namespace
}  // namespace gangway::submit
