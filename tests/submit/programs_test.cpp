// The programs themselves, as people run them: what they print, and their exit codes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/exit_code.hpp"
#include "submit/job_options.hpp"
#include "tests/submit/fake_scheduler.hpp"
#include "tests/submit/program_fixture.hpp"

namespace gangway::submit {
namespace {

namespace fs = std::filesystem;

// A scheduler that accepts everything and remembers it.
class Accepting : public Programs {
 protected:
  void SetUp() override {
    Programs::SetUp();
    scheduler_.emplace([this](const wire::Request& request) {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      FakeAnswer answer;
      if (request.has_submit() && !request.submit().more()) {
        wire::Submitted& submitted = *answer.responses.emplace_back().mutable_submitted();
        submitted.add_jobs(42);
        if (request.submit().has_workflow()) submitted.set_workflow(7);
      } else if (request.has_wait_for()) {
        wire::Waited::One& one = *answer.responses.emplace_back().mutable_waited()->add_results();
        wire::to_wire(JobKey{.job = {42}}, one.mutable_key());
        wire::to_wire(
            Outcome{.kind = OutcomeKind::Failed, .exit_code = 3, .signal = 0, .detail = ""},
            one.mutable_outcome());
      } else if (!request.has_submit()) {
        answer.responses.emplace_back().mutable_pong();
      }
      return answer;
    });
    socket_ = scheduler_->socket();
  }
  void TearDown() override {
    scheduler_.reset();
    Programs::TearDown();
  }
  // What was submitted last.
  wire::Submit submission() {
    const std::lock_guard lock(mutex_);
    for (auto request = requests_.rbegin(); request != requests_.rend(); ++request) {
      if (request->has_submit()) return request->submit();
    }
    return {};
  }

  std::mutex mutex_;
  std::vector<wire::Request> requests_;
  std::optional<FakeScheduler> scheduler_;
};

// Jobs that a filter finds may end before they are cancelled; one that was named should have been
// there.
TEST_F(Programs, WhatEndsWhileAllAreCancelledIsNoFailure) {
  FakeScheduler scheduler([](const wire::Request& request) {
    FakeAnswer answer;
    wire::Response& response = answer.responses.emplace_back();
    const JobKey key{.job = {42}};
    if (request.has_list_jobs()) {
      wire::to_wire(key, response.mutable_jobs()->add_jobs()->mutable_state()->mutable_key());
    } else {
      wire::Acted::One& one = *response.mutable_acted()->add_results();
      wire::to_wire(key, one.mutable_key());
      wire::to_wire(Error(ErrorKind::Conflict, "job 42 has ended already"), one.mutable_error());
    }
    return answer;
  });
  socket_ = scheduler.socket();
  const Ended all = run({"jcancel", "--me"});
  EXPECT_EQ(all.code, 0);
  EXPECT_EQ(all.err, "");
  const Ended named = run({"jcancel", "42"});
  EXPECT_EQ(named.code, kExitRefused);
  EXPECT_EQ(named.err, "jcancel: job 42 has ended already\n");
}

constexpr std::array kPrograms = {"jsubmit", "jqueue",   "jcancel", "jhold",  "jrelease",
                                  "jwait",   "jrequeue", "jwhy",    "jnodes", "jhist",
                                  "jctl",    "jalter",   "jrun",    "jtail",  "jattach"};

TEST_F(Programs, HelpFitsOneScreenAndHasExamples) {
  for (const std::string name : kPrograms) {
    const Ended ended = run({name, "--help"});
    EXPECT_EQ(ended.code, 0) << name;
    EXPECT_EQ(ended.err, "") << name;
    EXPECT_NE(ended.out.find("examples:\n"), std::string::npos) << name;
    EXPECT_LE(std::count(ended.out.begin(), ended.out.end(), '\n'), 45) << name;
    for (const std::string_view line : split(ended.out, '\n')) EXPECT_LE(line.size(), 104U) << line;
  }
}

TEST_F(Programs, VersionIsOneLine) {
  for (const std::string name : kPrograms) {
    EXPECT_EQ(run({name, "--version"}).out, cat(name, " ", GANGWAY_VERSION, "\n"));
  }
}

TEST_F(Programs, UnknownOptionIsOneLineAndUsage) {
  for (const std::string name : kPrograms) {
    const Ended ended = run({name, "--frobnicate"});
    EXPECT_EQ(ended.code, 64) << name;
    EXPECT_EQ(ended.err,
              cat(name, ": unknown option --frobnicate; --help lists those there are\n"));
  }
}

TEST(ExitCodes, AreThoseOfTheDocument) {
  const std::string page = slurp(cat(GANGWAY_SOURCE_DIR, "/docs/exit-codes.md"));
  for (const int code : {kExitUsage, kExitBadData, kExitNoInput, kExitUnavailable, kExitInternal,
                         kExitCannotCreate, kExitTryLater, kExitRefused, kExitConfiguration}) {
    EXPECT_NE(page.find(cat("\n| ", code, " | ")), std::string::npos) << code;
  }
}

TEST_F(Programs, NoSchedulerIsOneLineThatNamesTheSocket) {
  const Ended ended = run({"jsubmit", "--retry=0", "--", "true"});
  EXPECT_EQ(ended.code, 69);
  EXPECT_EQ(ended.err,
            "jsubmit: no scheduler listens at /nonexistent/socket (No such file or directory); is "
            "jschedd running? --socket or GANGWAY_SOCKET name another\n");
  EXPECT_EQ(run({"jqueue"}).code, 69);
  EXPECT_EQ(run({"jwait", "--retry=0", "1"}).code, 69);
}

TEST_F(Programs, JsubmitRefusesBadInputBeforeItAsksAnybody) {
  write("empty.sh", "");
  write("plain.sh", "echo\n");
  write("bad.sh", "#!/bin/sh\n#SBATCH --nodes=four\n");
  write("cycle.yaml",
        "version: 1\njobs:\n  a: {command: x, needs: b}\n  b: {command: x, needs: a}\n");
  struct Case {
    std::vector<std::string> words;
    int code;
    std::string err;
  };
  const Case cases[] = {
      {{"empty.sh"}, 65, "jsubmit: empty.sh: the script is empty\n"},
      {{"plain.sh"},
       65,
       "jsubmit: plain.sh:1: a job script begins with \"#!\" and the path of its interpreter, such "
       "as "
       "#!/bin/sh\n"},
      {{"gone.sh"}, 66, "jsubmit: cannot read gone.sh: No such file or directory\n"},
      {{"bad.sh"},
       65,
       "jsubmit: bad.sh:2: option --nodes: \"four\" is not a number of nodes; for example "
       "--nodes=4, "
       "or --nodes=2-4 for at least 2\n"},
      {{"--nodes=0", "--", "true"},
       64,
       "jsubmit: option --nodes: \"0\" is not a number of nodes; for example --nodes=4, or "
       "--nodes=2-4 for at least 2\n"},
      {{"cycle.yaml"},
       65,
       "jsubmit: cycle.yaml:3: the jobs have a cycle: these wait for each other: a -> b -> a\n"},
      {{"--wrap", "true", "empty.sh"}, 64, "jsubmit: --wrap and \"empty.sh\" exclude each other\n"},
      {{"--"},
       64,
       "jsubmit: nothing to submit: give a script, a workflow file, or -- and a command\n"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> words = {"jsubmit"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    const Ended ended = run(words);
    EXPECT_EQ(ended.code, c.code) << c.words[0];
    EXPECT_EQ(ended.err, c.err);
    EXPECT_EQ(ended.out, "");
  }
}

TEST_F(Programs, ConfigurationIsCheckedWholeWithLines) {
  write("right.yaml", "cluster: test\n");
  write("wrong.yaml", "cluster: test\nleese: 10s\nheartbeat: soon\n");
  EXPECT_EQ(run({"jctl", "check", "right.yaml"}).out, "right.yaml is right\n");
  const Ended wrong = run({"jctl", "check", "wrong.yaml"});
  EXPECT_EQ(wrong.code, 78);
  EXPECT_NE(wrong.err.find("jctl: wrong.yaml:2: "), std::string::npos) << wrong.err;
  EXPECT_NE(wrong.err.find("jctl: wrong.yaml:3: "), std::string::npos) << wrong.err;
  EXPECT_EQ(run({"jctl", "chekc"}).err, "jctl: unknown command \"chekc\"; did you mean check?\n");
}

TEST_F(Accepting, ScriptIsSubmittedInSlurmsWords) {
  write("job.sh", "#!/bin/sh\n#SBATCH -J pde\necho\n");
  const Ended ended = run({"jsubmit", "job.sh", "one", "--two"});
  EXPECT_EQ(ended.out, "Submitted batch job 42\n");
  EXPECT_EQ(ended.err, "");
  EXPECT_EQ(ended.code, 0);
  const wire::JobSpec spec = submission().jobs(0).spec();
  EXPECT_EQ(spec.name(), "pde");
  EXPECT_EQ(spec.script(), "#!/bin/sh\n#SBATCH -J pde\necho\n");
  EXPECT_EQ(spec.workdir(), fs::canonical(directory_).string());
  ASSERT_EQ(spec.argv_size(), 2);
  EXPECT_EQ(spec.argv(1), "--two");
  EXPECT_EQ(submission().key().size(), 32U);
}

TEST_F(Accepting, ParsablePrintsTheIdAlone) {
  EXPECT_EQ(run({"jsubmit", "--parsable", "--", "true"}).out, "42\n");
  EXPECT_EQ(run({"jsubmit", "--parsable", "--wrap", "echo; ls"}).out, "42\n");
  EXPECT_EQ(submission().jobs(0).spec().script(), "#!/bin/sh\necho; ls\n");
}

TEST_F(Accepting, ScriptMayComeFromStandardInput) {
  EXPECT_EQ(run({"jsubmit"}, "#!/bin/sh\n#JOB -n 3\n").code, 0);
  EXPECT_EQ(submission().jobs(0).spec().components(0).tasks(), 3);
}

TEST_F(Accepting, GivenKeyIsUsed) {
  EXPECT_EQ(run({"jsubmit", "--key=0123456789abcdef", "--", "true"}).code, 0);
  EXPECT_EQ(submission().key(), "0123456789abcdef");
}

TEST_F(Accepting, WaitEndsWithTheJobsCode) {
  const Ended ended = run({"jsubmit", "--wait", "--", "true"});
  EXPECT_EQ(ended.out, "Submitted batch job 42\n");
  EXPECT_EQ(ended.code, 3);
  EXPECT_EQ(run({"jwait", "42"}).code, 3);
}

TEST_F(Accepting, WorkflowIsSubmittedAsOneThing) {
  write("w.yaml", "version: 1\njobs:\n  a: {command: x}\n  b: {command: x, needs: a}\n");
  EXPECT_EQ(run({"jsubmit", "w.yaml"}).out, "Submitted workflow w7 (2 jobs)\n");
  EXPECT_EQ(submission().workflow().name(), "w");
  // How the program asks for its own memory is nothing for the jobs.
  const wire::JobSpec spec = submission().jobs(0).spec();
  for (const std::string& variable : spec.env()) {
    EXPECT_FALSE(variable.starts_with("GLIBC_TUNABLES=")) << variable;
  }
  EXPECT_EQ(run({"jsubmit", "--parsable", "w.yaml"}).out, "w7\n");
}

TEST_F(Accepting, WarningsAreSilencedByQuiet) {
  EXPECT_EQ(run({"jsubmit", "--wckey=x", "--", "true"}).err,
            "jsubmit: without effect here: --wckey\n");
  EXPECT_EQ(run({"jsubmit", "-Q", "--wckey=x", "--", "true"}).err, "");
}

TEST_F(Accepting, ImageThatIsNotThereEndsTheSubmission) {
  // Stands in for jimage, so that this test needs no images.
  write("jimage", "#!/bin/sh\necho \"jimage: no image at $3\" >&2\nexit 66\n");
  fs::permissions(directory_ / "jimage", fs::perms::owner_all);
  ::setenv("GANGWAY_LIBEXEC", directory_.c_str(), 1);
  const Ended ended = run({"jsubmit", "--image", "gone.oci", "--", "true"});
  ::unsetenv("GANGWAY_LIBEXEC");
  EXPECT_EQ(ended.code, 66);
  EXPECT_EQ(ended.err, "jsubmit: no image at gone.oci\n");
  EXPECT_FALSE(submission().has_workflow());
  EXPECT_EQ(submission().jobs_size(), 0);
}

}  // namespace
}  // namespace gangway::submit
