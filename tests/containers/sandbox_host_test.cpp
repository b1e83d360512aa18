// Sandboxes without an image on the real kernel: as root's executor for an ordinary user, and as
// that user's own.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <csignal>

#include "containers/init_protocol.hpp"
#include "containers/sandbox_init.hpp"
#include "tests/containers/sandbox_fixture.hpp"

namespace gangway::containers {
namespace {

class HostSandbox : public BothExecutors {
 protected:
  using Change = std::function<void(TestSandbox&)>;
  void each(const std::function<void(TestSandbox&)>& body, const Change& change = {}) {
    for_executor([&] {
      TestSandbox sandbox;
      if (change) change(sandbox);
      const Result<SandboxReady> ready = sandbox.prepare();
      ASSERT_TRUE(ready) << ready.error().message();
      body(sandbox);
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Executor, HostSandbox, testing::Bool(), executor_name);

TEST_P(HostSandbox, ProgramRunsAsTheUserAndItsExitCodeComesBack) {
  each([](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("id -u; id -g"), cat(kTestUid, "\n", kTestUid, "\n"));
    const ProgramEnd end = sandbox.run(sandbox.shell("exit 7"));
    EXPECT_TRUE(end.started);
    EXPECT_EQ(WEXITSTATUS(end.wait_status), 7);
  });
}

TEST_P(HostSandbox, ProgramHasNoRightsAndAFilter) {
  each([](TestSandbox& sandbox) {
    const std::string status = sandbox.output_of("cat /proc/self/status");
    for (const char* line : {"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000",
                             "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
                             "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"}) {
      EXPECT_NE(status.find(line), std::string::npos) << line << "\n" << status;
    }
  });
}

TEST_P(HostSandbox, OnlyItsOwnProcessesAndHostNameAreSeen) {
  each([](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("hostname"), "node-under-test\n");
    // init, the shell, and nothing else.
    EXPECT_EQ(sandbox.output_of("set -- /proc/[0-9]*; echo $#"), "2\n");
  });
}

TEST_P(HostSandbox, SharedMemoryIsTheSandboxsOwnAndCommonToItsPrograms) {
  each([](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("ls -A /dev/shm; echo x > /dev/shm/common; stat -c %a /dev/shm"),
              "1777\n");
    EXPECT_EQ(sandbox.output_of("cat /dev/shm/common"), "x\n");
    EXPECT_NE(access("/dev/shm/common", F_OK), 0);
  });
}

TEST_P(HostSandbox, DeathBySignalIsReportedAsSuch) {
  each([](TestSandbox& sandbox) {
    const ProgramEnd end = sandbox.run(sandbox.shell("kill -USR1 $$"));
    EXPECT_TRUE(WIFSIGNALED(end.wait_status));
    EXPECT_EQ(WTERMSIG(end.wait_status), SIGUSR1);
  });
}

TEST_P(HostSandbox, ProgramThatCannotStartSaysWhy) {
  each([](TestSandbox& sandbox) {
    write_test_file(sandbox.home / "plain", "text", 0644);
    write_test_file(sandbox.home / "lost", "#!/no/such/interpreter\n", 0755);
    write_test_file(sandbox.home / "bare", "exit 3\n", 0755);
    const auto message_of = [&](const ProgramRequest& program) {
      const ProgramEnd end = sandbox.run(program);
      EXPECT_FALSE(end.started);
      return end.message;
    };
    const std::string home = sandbox.home.path();
    EXPECT_EQ(message_of(sandbox.program({"no-such-program"})),
              "cannot run no-such-program: no such program in PATH");
    EXPECT_EQ(message_of(sandbox.program({home + "/missing"})),
              cat("cannot run ", home, "/missing: No such file or directory"));
    EXPECT_EQ(message_of(sandbox.program({home + "/plain"})),
              cat("cannot run ", home, "/plain: it is not executable"));
    EXPECT_EQ(message_of(sandbox.program({home + "/lost"})),
              cat("cannot run ", home, "/lost: the interpreter it names does not exist"));
    EXPECT_EQ(message_of(sandbox.program({home})), cat("cannot run ", home, ": it is a directory"));
    EXPECT_EQ(message_of(sandbox.program({""})), "empty command");
    ProgramRequest elsewhere = sandbox.shell("true");
    elsewhere.workdir = "/no/such/directory";
    EXPECT_EQ(message_of(elsewhere),
              "change directory to /no/such/directory: No such file or directory");
    // Without a magic number it is a shell script, as for execvp and shells.
    EXPECT_EQ(WEXITSTATUS(sandbox.run(sandbox.program({home + "/bare"})).wait_status), 3);
  });
}

TEST_P(HostSandbox, OutputsAreTheUsersAndSharedOnesAreAppendedTo) {
  each(
      [](TestSandbox& sandbox) {
        struct stat status {};
        ASSERT_EQ(stat((sandbox.home / "both").c_str(), &status), 0);
        EXPECT_EQ(status.st_uid, kTestUid);
        EXPECT_EQ(status.st_size, 0) << "truncated by prepare";
        ProgramRequest a = sandbox.shell("echo out; echo err >&2");
        a.out = {.path = sandbox.home / "both", .truncate = false};
        ProgramRequest b = a;
        b.id = sandbox.next_id++;
        b.err = ProgramOutput{.path = sandbox.home / "errors", .truncate = false};
        sandbox.start({a, b});
        sandbox.wait_end(a.id);
        sandbox.wait_end(b.id);
        const std::string both = read_small_file(sandbox.home / "both").value_or("");
        EXPECT_EQ(both.size(), std::string("out\nerr\nout\n").size()) << both;
        EXPECT_EQ(read_small_file(sandbox.home / "errors").value_or(""), "err\n");
      },
      [](TestSandbox& sandbox) {
        write_test_file(sandbox.home / "both", "old contents", 0644);
        if (geteuid() == 0) {
          ASSERT_EQ(chown((sandbox.home / "both").c_str(), kTestUid, kTestUid), 0);
        }
        sandbox.request.outputs = {{.path = sandbox.home / "both", .truncate = true},
                                   {.path = sandbox.home / "errors", .truncate = true}};
      });
}

TEST_P(HostSandbox, OutputsAreMadeWithTheMaskOfTheRequest) {
  each(
      [](TestSandbox& sandbox) {
        struct stat status {};
        ASSERT_EQ(stat((sandbox.home / "secret").c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777U, 0600U);
      },
      [](TestSandbox& sandbox) {
        sandbox.request.umask = 0077;
        sandbox.request.outputs = {{.path = sandbox.home / "secret", .truncate = true}};
      });
}

TEST_P(HostSandbox, NoOutputIsTruncatedOfASandboxThatCannotBeMade) {
  for_executor([] {
    TestSandbox sandbox;
    write_test_file(sandbox.home / "log", "of the run before", 0644);
    if (geteuid() == 0) {
      ASSERT_EQ(chown((sandbox.home / "log").c_str(), kTestUid, kTestUid), 0);
    }
    sandbox.request.outputs = {{.path = sandbox.home / "log", .truncate = true}};
    sandbox.request.binds = {{.source = sandbox.home.path(), .destination = "/no/such/directory"}};
    ASSERT_FALSE(sandbox.prepare());
    EXPECT_EQ(read_small_file(sandbox.home / "log").value_or(""), "of the run before");
  });
}

TEST_P(HostSandbox, OutputsThatLeadIntoAProcessReachNothingOfInits) {
  for (const char* name : {"/dev/stdout", "/proc/self/fd/1"}) {
    each(
        [&](TestSandbox& sandbox) {
          ProgramRequest program = sandbox.shell("echo nowhere");
          program.out = {.path = name, .truncate = false};
          EXPECT_TRUE(sandbox.run(program).started);
        },
        [&](TestSandbox& sandbox) {
          sandbox.request.outputs = {{.path = name, .truncate = true}};
        });
  }
  for (int fd = 3; fd < 20; ++fd) {
    for_executor([&] {
      TestSandbox sandbox;
      sandbox.request.outputs = {{.path = cat("/proc/self/fd/", fd), .truncate = true}};
      EXPECT_FALSE(sandbox.prepare()) << fd;
    });
  }
}

TEST_P(HostSandbox, AnOutputThatIsMovedAwayIsMadeAnewForLaterPrograms) {
  each(
      [](TestSandbox& sandbox) {
        const std::string path = sandbox.home / "log";
        ProgramRequest program = sandbox.shell("echo first");
        program.out = {.path = path, .truncate = false};
        sandbox.run(program);
        ASSERT_EQ(rename(path.c_str(), (path + ".old").c_str()), 0);
        program.argv.back() = "echo second";
        program.id = sandbox.next_id++;
        sandbox.run(program);
        EXPECT_EQ(read_small_file(path + ".old").value_or(""), "first\n");
        EXPECT_EQ(read_small_file(path).value_or(""), "second\n");
      },
      [](TestSandbox& sandbox) {
        sandbox.request.outputs = {{.path = sandbox.home / "log", .truncate = true}};
      });
}

TEST_P(HostSandbox, OutputThatTheUserMayNotWriteFailsPrepare) {
  for_executor([] {
    TestSandbox sandbox;
    sandbox.request.outputs = {{.path = "/etc/gangway-test-output", .truncate = true}};
    const Result<SandboxReady> ready = sandbox.prepare();
    ASSERT_FALSE(ready);
    EXPECT_EQ(ready.error().kind(), ErrorKind::Denied);
    EXPECT_EQ(ready.error().message(),
              "open for writing /etc/gangway-test-output: Permission denied");
    EXPECT_NE(access("/etc/gangway-test-output", F_OK), 0);
    EXPECT_NE(access(sandbox.request.directory.c_str(), F_OK), 0) << "left behind";
  });
}

TEST_P(HostSandbox, OutputThatCannotBeOpenedLaterIsAProgramThatDidNotStart) {
  each([](TestSandbox& sandbox) {
    ProgramRequest program = sandbox.shell("true");
    program.out = {.path = "/no/such/directory/out", .truncate = false};
    const ProgramEnd end = sandbox.run(program);
    EXPECT_FALSE(end.started);
    EXPECT_EQ(end.message, "open for writing /no/such/directory/out: No such file or directory");
  });
}

TEST_P(HostSandbox, NamesOfDescriptorsReachNothingOfTheExecutor) {
  each([](TestSandbox& sandbox) {
    const Fd secret(memfd_create("secret", 0));
    ASSERT_EQ(write(secret.get(), "key", 3), 3);
    for (int fd = 0; fd < 40; ++fd) {
      ProgramRequest program = sandbox.shell("cat");
      program.stdin_path = cat("/proc/self/fd/", fd);
      const ProgramEnd end = sandbox.run(program);
      if (end.started) {
        EXPECT_EQ(read_small_file(program.out.path).value_or(""), "") << fd;
      }
    }
  });
}

TEST_P(HostSandbox, StandardInputIsAFileOrNothing) {
  each([](TestSandbox& sandbox) {
    write_test_file(sandbox.home / "in", "given", 0644);
    ProgramRequest program = sandbox.shell("cat");
    program.stdin_path = sandbox.home / "in";
    EXPECT_EQ(sandbox.run(program).wait_status, 0);
    EXPECT_EQ(read_small_file(program.out.path).value_or(""), "given");
    EXPECT_EQ(sandbox.output_of("cat | wc -c; readlink /proc/self/fd/0"), "0\n/dev/null\n");
  });
}

TEST_P(HostSandbox, EnvironmentMaskAndSessionAreAsAsked) {
  each([](TestSandbox& sandbox) {
    ProgramRequest program = sandbox.program({"/usr/bin/env"});
    program.env = {"A=1", "PATH=/bin"};
    sandbox.run(program);
    EXPECT_EQ(read_small_file(program.out.path).value_or(""), "A=1\nPATH=/bin\n");
    ProgramRequest masked = sandbox.shell("umask; ps -o sid= -o pid= $$ | tr -s ' '");
    masked.umask = 0027;
    sandbox.run(masked);
    const std::string text = read_small_file(masked.out.path).value_or("");
    EXPECT_TRUE(text.starts_with("0027\n")) << text;
  });
}

TEST_P(HostSandbox, CoresOfAProgramAreItsOwn) {
  each([](TestSandbox& sandbox) {
    ProgramRequest program = sandbox.shell("grep Cpus_allowed_list /proc/self/status");
    program.cores = {0};
    sandbox.run(program);
    EXPECT_EQ(read_small_file(program.out.path).value_or(""), "Cpus_allowed_list:\t0\n");
    program.id = sandbox.next_id++;
    program.cores = {4000};
    const ProgramEnd end = sandbox.run(program);
    EXPECT_FALSE(end.started);
    EXPECT_EQ(end.message, "pin to cores 4000: Invalid argument");
  });
}

TEST_P(HostSandbox, FilesOfTheRequestAreSeenAndCannotBeChanged) {
  each(
      [](TestSandbox& sandbox) {
        const std::string directory(kFilesDirectory);
        EXPECT_EQ(sandbox.output_of(directory + "/job.sh; cat " + directory + "/data"),
                  "from the script\ndata");
        EXPECT_EQ(
            sandbox.output_of(cat("(echo x > ", directory, "/data; rm -f ", directory,
                                  "/job.sh; rm -rf ", directory, ") 2>/dev/null; ls ", directory)),
            "data\njob.sh\n");
      },
      [](TestSandbox& sandbox) {
        sandbox.request.files = {{"job.sh", "#!/bin/sh\necho from the script\n", true},
                                 {"data", "data", false}};
      });
}

TEST_P(HostSandbox, SignalToAllReachesDaemonsTooAndToOneOnlyThatOne) {
  each([](TestSandbox& sandbox) {
    // Both tell that they are there, and then wait.
    const ProgramRequest one = sandbox.shell("echo up > one; exec sleep 1000");
    const ProgramRequest two = sandbox.shell(
        "setsid sh -c 'trap \"echo termed > daemon; exit\" TERM; echo up > two; "
        "while :; do sleep 0.01; done' & wait");
    sandbox.start({one, two});
    sandbox.wait_for_file("one");
    sandbox.wait_for_file("two");
    sandbox.runtime->signal(SIGINT, one.id);
    EXPECT_EQ(WTERMSIG(sandbox.wait_end(one.id).wait_status), SIGINT);
    EXPECT_FALSE(sandbox.find_end(two.id).has_value());
    sandbox.runtime->signal(SIGTERM, std::nullopt);
    EXPECT_EQ(WTERMSIG(sandbox.wait_end(two.id).wait_status), SIGTERM);
    sandbox.wait_for_file("daemon");
  });
}

TEST_P(HostSandbox, SignalBeforeAProgramHasStartedEndsIt) {
  each([](TestSandbox& sandbox) {
    ProgramRequest one = sandbox.shell("echo ran > ran");
    ProgramRequest two = sandbox.shell("echo ran > ran");
    two.host_files = true;
    sandbox.start({one, two});
    sandbox.runtime->signal(SIGKILL, std::nullopt);
    for (const std::uint32_t id : {one.id, two.id}) {
      const ProgramEnd end = sandbox.wait_end(id);
      EXPECT_TRUE(end.started);
      EXPECT_EQ(WTERMSIG(end.wait_status), SIGKILL);
    }
    EXPECT_NE(access((sandbox.home / "ran").c_str(), F_OK), 0);
  });
}

TEST_P(HostSandbox, SignalThatEndsNobodyByItselfDoesNotEndAProgramThatHasNotStarted) {
  each([](TestSandbox& sandbox) {
    const ProgramRequest one = sandbox.shell("exit 3");
    sandbox.start({one});
    for (const int number : {SIGCONT, SIGURG, SIGWINCH, SIGCHLD}) {
      sandbox.runtime->signal(number, std::nullopt);
      sandbox.runtime->signal(number, one.id);
      sandbox.runtime->signal_others(number, one.id + 1);
    }
    EXPECT_EQ(WEXITSTATUS(sandbox.wait_end(one.id).wait_status), 3);
  });
}

TEST_P(HostSandbox, AProgramThatIsStoppedBeforeItHasStartedGoesOnLater) {
  each([](TestSandbox& sandbox) {
    const ProgramRequest one = sandbox.shell("exit 3");
    sandbox.start({one});
    sandbox.runtime->signal(SIGSTOP, one.id);
    for (int turn = 0; turn < 50; ++turn) sandbox.reactor.turn_once();
    EXPECT_FALSE(sandbox.find_end(one.id).has_value());
    sandbox.runtime->signal(SIGCONT, one.id);
    EXPECT_EQ(WEXITSTATUS(sandbox.wait_end(one.id).wait_status), 3);
  });
}

TEST_P(HostSandbox, ProgramsDoNotInheritProtectionFromTheMemoryKiller) {
  for_executor([] {
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "-100", 4) < 0) GTEST_SKIP() << "this process cannot protect itself";
    close(fd);
    TestSandbox sandbox;
    ASSERT_TRUE(sandbox.prepare());
    EXPECT_EQ(sandbox.output_of("cat /proc/self/oom_score_adj"), "0\n");
  });
}

TEST_P(HostSandbox, KillToAllLeavesNone) {
  each([](TestSandbox& sandbox) {
    const ProgramRequest fork_tree = sandbox.shell(
        "trap '' TERM INT HUP; for i in 1 2 3 4 5; do setsid sh -c 'trap \"\" TERM; "
        "echo $$ >> up; while :; do sleep 1000 & wait; done' & done; echo up > all; wait");
    sandbox.start({fork_tree});
    sandbox.wait_for_file("all");
    sandbox.runtime->signal(SIGKILL, std::nullopt);
    EXPECT_EQ(WTERMSIG(sandbox.wait_end(fork_tree.id).wait_status), SIGKILL);
    // Killed ones may take a moment to go. In the end there are init and this shell.
    EXPECT_EQ(sandbox.output_of("until set -- /proc/[0-9]*; [ $# -eq 2 ]; do :; done; echo none"),
              "none\n");
  });
}

TEST_P(HostSandbox, CleanupEndsEverythingAndSaysSo) {
  each([](TestSandbox& sandbox) {
    const int pipe_in = sandbox.make_witness("witness");
    ProgramRequest program = sandbox.shell("echo up; setsid sleep 1000 & exec sleep 1000");
    program.out = {.path = sandbox.home / "witness", .truncate = false};
    sandbox.start({program});
    sandbox.wait_for_word(pipe_in);
    const std::string directory = sandbox.request.directory;
    sandbox.cleanup();
    ASSERT_EQ(sandbox.ends.size(), 1U);
    EXPECT_EQ(WTERMSIG(sandbox.ends[0].wait_status), SIGKILL);
    char byte = 0;
    EXPECT_EQ(read(pipe_in, &byte, 1), 0) << "somebody still has it open";
    EXPECT_NE(access(directory.c_str(), F_OK), 0);
    close(pipe_in);
  });
}

TEST_P(HostSandbox, EverythingEndsWithTheProcessThatOwnsTheSandbox) {
  for_executor([] {
    TemporaryDirectory home(kTestUid);
    const std::string witness = home / "witness";
    ASSERT_EQ(mkfifo(witness.c_str(), 0666), 0);
    chmod(witness.c_str(), 0666);
    chmod(home.path().c_str(), 0777);
    const int pipe_in = open(witness.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    fflush(nullptr);
    const pid_t owner = fork();
    if (owner == 0) {
      TestSandbox sandbox(kTestUid, home.path());
      // Not in a group of its own: nobody would remove that.
      sandbox.settings.cgroup_parent = "";
      if (!sandbox.prepare()) _exit(1);
      ProgramRequest program = sandbox.shell("echo up; setsid sleep 1000 & exec sleep 1000");
      program.out = {.path = witness, .truncate = false};
      sandbox.start({program});
      sandbox.reactor.run_until([] { return false; });
      _exit(1);
    }
    // Its first line is there: it runs.
    char text[8];
    while (read(pipe_in, text, sizeof text) <= 0) sched_yield();
    kill(owner, SIGKILL);
    waitpid(owner, nullptr, 0);
    fcntl(pipe_in, F_SETFL, 0);
    EXPECT_EQ(read(pipe_in, text, sizeof text), 0);
    close(pipe_in);
  });
}

TEST_P(HostSandbox, ProgramWithTheNodesFilesSharesNamespacesButNotMounts) {
  each([](TestSandbox& sandbox) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ProgramRequest program = sandbox.shell(
        "for n in user pid ipc uts mnt; do readlink /proc/self/ns/$n; done >&3; id -u >&3;"
        "grep -c 'CapEff:.0000000000000000' /proc/self/status >&3; exec sleep 1000");
    program.host_files = true;
    program.inherit_fd = pair[1];
    sandbox.start({program});
    // While it runs, so that its starter stays.
    std::string text;
    char block[512];
    while (std::count(text.begin(), text.end(), '\n') < 7) {
      sandbox.reactor.turn_once();
      const ssize_t got = recv(pair[0], block, sizeof block, MSG_DONTWAIT);
      if (got > 0) text.append(block, static_cast<std::size_t>(got));
    }
    const auto lines = split(text, '\n');
    const std::string inside =
        sandbox.output_of("for n in user pid ipc uts mnt; do readlink /proc/self/ns/$n; done");
    const auto own = split(inside, '\n');
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(lines[i], own[i]);
    EXPECT_NE(lines[4], own[4]);
    char mounts[64] = {};
    ASSERT_GT(readlink("/proc/self/ns/mnt", mounts, sizeof mounts - 1), 0);
    EXPECT_EQ(lines[4], mounts);
    EXPECT_EQ(lines[5], cat(kTestUid));
    EXPECT_EQ(lines[6], "1");
    // The polite signal to the job is not for it; that to its id is.
    sandbox.runtime->signal(SIGTERM, std::nullopt);
    sandbox.output_of("true");
    EXPECT_FALSE(sandbox.find_end(program.id).has_value());
    sandbox.runtime->signal(SIGTERM, program.id);
    EXPECT_EQ(WTERMSIG(sandbox.wait_end(program.id).wait_status), SIGTERM);
    close(pair[0]);
    close(pair[1]);
  });
}

TEST_P(HostSandbox, KillToAllReachesProgramsWithTheNodesFiles) {
  each([](TestSandbox& sandbox) {
    ProgramRequest program = sandbox.shell("echo up > started; exec sleep 1000");
    program.host_files = true;
    sandbox.start({program});
    sandbox.wait_for_file("started");
    sandbox.runtime->signal(SIGKILL, std::nullopt);
    EXPECT_EQ(WTERMSIG(sandbox.wait_end(program.id).wait_status), SIGKILL);
  });
}

TEST_P(HostSandbox, ManyProgramsAtOnceAllEnd) {
  each([](TestSandbox& sandbox) {
    std::vector<ProgramRequest> programs;
    for (int i = 0; i < 150; ++i) {
      programs.push_back(sandbox.program({"/bin/true"}));
      programs.back().err = ProgramOutput{.path = sandbox.home / cat("e", i), .truncate = false};
    }
    sandbox.start(programs);
    for (const ProgramRequest& program : programs) {
      const ProgramEnd end = sandbox.wait_end(program.id);
      EXPECT_TRUE(end.started) << end.message;
      EXPECT_EQ(end.wait_status, 0);
    }
  });
}

TEST_P(HostSandbox, BindsAreOpenedWithTheUsersRights) {
  for_executor([] {
    TestSandbox sandbox;
    sandbox.request.binds = {{.source = "/root", .destination = "/mnt", .read_only = false}};
    if (geteuid() == 0) chmod("/root", 0700);
    ASSERT_TRUE(sandbox.prepare()) << "a directory may be seen that cannot be entered";
    EXPECT_EQ(sandbox.output_of("ls /mnt >/dev/null 2>&1 || echo refused"), "refused\n");
    sandbox.cleanup();
    sandbox.request.binds = {{.source = "/root/x", .destination = "/mnt", .read_only = false}};
    mkdir(sandbox.request.directory.c_str(), 0700);
    const Result<SandboxReady> ready = sandbox.prepare();
    ASSERT_FALSE(ready);
    EXPECT_EQ(ready.error().kind(), ErrorKind::Denied) << ready.error().message();
  });
}

// Root can enforce it.
TEST(SandboxOfTheUser, LimitThatCannotBeEnforcedFailsUnlessWaived) {
  const auto body = [] {
    TestSandbox sandbox;
    sandbox.request.limits.memory = mebibytes(100);
    if (sandbox.prepare()) GTEST_SKIP() << "this user's control groups are delegated";
    sandbox.cleanup();
    mkdir(sandbox.request.directory.c_str(), 0700);
    const Result<SandboxReady> refused = sandbox.prepare();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind(), ErrorKind::Unsupported);
    EXPECT_NE(refused.error().message().find("cgroup-memory"), std::string::npos);
    sandbox.cleanup();
    mkdir(sandbox.request.directory.c_str(), 0700);
    sandbox.settings.waivers = {Waiver::CgroupMemory};
    const Result<SandboxReady> ready = sandbox.prepare();
    ASSERT_TRUE(ready) << ready.error().message();
    ASSERT_EQ(ready->waivers.size(), 1U);
    EXPECT_TRUE(ready->waivers[0].starts_with("cgroup-memory: "));
  };
  if (geteuid() == 0) {
    as_user(kTestUid, body);
  } else {
    body();
  }
}

// A loop of links stands for whatever keeps a path from being looked at.
TEST(RootSandbox, WhatCannotBeLookedAtIsNotTakenForMissing) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string loop = cat("/dev/gangway-test-", getpid());
  ASSERT_EQ(symlink(loop.c_str(), loop.c_str()), 0);
  for (const auto& [path, good] :
       {std::pair{loop + "/device", false}, std::pair{std::string("/dev/no-such/device"), true}}) {
    TestSandbox sandbox;
    sandbox.request.closed_devices = {path};
    const Result<SandboxReady> ready = sandbox.prepare();
    EXPECT_EQ(ready.has_value(), good) << path;
    const std::string message = ready ? "" : ready.error().message();
    EXPECT_EQ(message.find("close device") != std::string::npos, !good) << message;
  }
  unlink(loop.c_str());
}

TEST_P(HostSandbox, CleanupDuringPrepareGivesUpInOrder) {
  for_executor([] {
    TestSandbox sandbox;
    sandbox.runtime.emplace(sandbox.reactor, sandbox.settings);
    std::vector<std::string> order;
    sandbox.runtime->prepare(sandbox.request, [&](Result<SandboxReady> result) {
      order.push_back(result ? "prepared" : "given up");
    });
    sandbox.cleanup();
    EXPECT_EQ(order, std::vector<std::string>{"given up"});
  });
}

// As with the waiver of user namespaces: root sets up and drops everything afterwards.
TEST(RootSandbox, WithoutAUserNamespaceNothingIsLeftOfRootEither) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TemporaryDirectory home(kTestUid);
  SandboxRequest request;
  request.name = "x";
  request.user = {.uid = kTestUid,
                  .gid = kTestUid,
                  .groups = {kTestUid},
                  .name = "tester",
                  .home = home.path(),
                  .shell = "/bin/sh"};
  request.hostname = "other";
  NodeFacts facts;
  facts.user_namespace = false;
  const Result<SandboxPlan> plan = make_sandbox_plan(request, facts);
  ASSERT_TRUE(plan);
  Result<SandboxInit> init = spawn_sandbox_init(*plan, {}, std::nullopt, /*private_network=*/false);
  ASSERT_TRUE(init) << init.error().message();
  init->child.release();
  const auto report = [&]() -> Result<InitReport> {
    GANGWAY_ASSIGN(const std::optional<Packet> packet, receive_packet(init->socket.get(), true));
    return decode_report(packet->bytes);
  };
  const Result<InitReport> up = report();
  ASSERT_TRUE(up);
  ASSERT_TRUE(std::holds_alternative<containers::SetUp>(*up))
      << std::get<SetUpFailed>(*up).error.message();
  const Fd out(open((home / "out").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  const Fd list = *make_memory_file(
      encode_programs({{.id = 1,
                        .argv = {"/bin/sh", "-c",
                                 "id -u; hostname; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status"},
                        .env = {"PATH=/bin:/usr/bin"},
                        .workdir = "/",
                        .out = 0}}));
  ASSERT_TRUE(
      send_packet(init->socket.get(), encode_order(StartOrder{}), {list.get(), out.get()}, true));
  const Result<InitReport> over = report();
  ASSERT_TRUE(over);
  EXPECT_EQ(std::get<ProgramOver>(*over).wait_status, 0);
  EXPECT_EQ(read_small_file(home / "out").value_or(""),
            cat(kTestUid, "\nother\n",
                "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n"
                "Seccomp:\t2\n"));
  init->socket.reset();
  reap(init->child.pid());
}

TEST(RootSandbox, SupplementaryGroupsAreKept) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TestSandbox sandbox;
  sandbox.request.user.groups = {kTestUid, 23456, 23457};
  ASSERT_TRUE(sandbox.prepare());
  EXPECT_EQ(sandbox.output_of("id -G"), cat(kTestUid, " 23456 23457\n"));
}

TEST(RootSandbox, MemoryLimitHoldsAndItsVictimsAreKnown) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TestSandbox sandbox;
  sandbox.request.limits.memory = mebibytes(40);
  const Result<SandboxReady> ready = sandbox.prepare();
  if (!ready) GTEST_SKIP() << "this kernel cannot: " << ready.error().message();
  const ProgramEnd end = sandbox.run(
      sandbox.program({"/usr/bin/perl", "-e", "my $x = 'x' x (200 << 20); print length $x"}));
  EXPECT_TRUE(WIFSIGNALED(end.wait_status));
  const SandboxUsage usage = sandbox.cleanup();
  EXPECT_TRUE(usage.out_of_memory);
  EXPECT_GT(usage.peak_memory, mebibytes(10));
}

TEST(RootSandbox, MemoryOverrunEndsOneAndItsNeighbourLives) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TestSandbox neighbour;
  TestSandbox greedy;
  for (TestSandbox* sandbox : {&neighbour, &greedy}) {
    sandbox->request.limits.memory = mebibytes(40);
    const Result<SandboxReady> ready = sandbox->prepare();
    if (!ready) GTEST_SKIP() << "this kernel cannot: " << ready.error().message();
  }
  const ProgramRequest waits =
      neighbour.shell("echo up > up; while [ ! -e go ]; do sleep 0.01; done; echo alive");
  neighbour.start({waits});
  neighbour.wait_for_file("up");
  const ProgramEnd end = greedy.run(
      greedy.program({"/usr/bin/perl", "-e", "my $x = 'x' x (200 << 20); print length $x"}));
  EXPECT_TRUE(WIFSIGNALED(end.wait_status));
  EXPECT_TRUE(greedy.cleanup().out_of_memory);
  write_test_file(neighbour.home / "go", "", 0644);
  EXPECT_EQ(neighbour.wait_end(waits.id).wait_status, 0);
  EXPECT_EQ(read_small_file(waits.out.path).value_or(""), "alive\n");
  EXPECT_FALSE(neighbour.cleanup().out_of_memory);
}

TEST(RootSandbox, CoresAndProcessesAreBounded) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TestSandbox sandbox;
  sandbox.request.limits.cores = {0};
  sandbox.request.limits.pids = 8;
  const Result<SandboxReady> ready = sandbox.prepare();
  if (!ready) GTEST_SKIP() << "this kernel cannot: " << ready.error().message();
  EXPECT_EQ(sandbox.output_of("nproc"), "1\n");
  // An attempt to take all cores back.
  EXPECT_EQ(sandbox.output_of("taskset -p ffff $$ >/dev/null 2>&1; nproc"), "1\n");
  const std::string text = sandbox.output_of(
      "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done 2>&1; kill $(jobs -p) 2>/dev/null");
  EXPECT_NE(text.find("fork"), std::string::npos) << text;
}

TEST(RootSandbox, UsageCountsTheTimeOfPrograms) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TestSandbox sandbox;
  ASSERT_TRUE(sandbox.prepare());
  sandbox.output_of("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done");
  EXPECT_GT(sandbox.cleanup().cpu, milliseconds(1));
}

TEST_P(HostSandbox, CallsThatAreNotForJobsAreRefused) {
  each([](TestSandbox& sandbox) {
    const std::vector<std::pair<std::string, std::string>> expected = {
        {"open-fds", "ok"},
        {"unshare-user", "EPERM"},
        {"unshare-net", "EPERM"},
        {"clone-newuser", "EPERM"},
        {"clone3", "ENOSYS"},
        {"mount", "EPERM"},
        {"umount", "EPERM"},
        {"setns", "EPERM"},
        {"io_uring", "EPERM"},
        {"bpf", "EPERM"},
        {"keyctl", "EPERM"},
        {"userfaultfd", "EPERM"},
        {"perf", "EPERM"},
        {"tiocsti", "EPERM"},
        {"tiocsti-high", "EPERM"},
        {"vsock", "EPERM"},
        {"socket", "ok"},
        {"unknown-call", "ENOSYS"},
        {"mknod-null", "EPERM"},
        {"chroot", "EPERM"},
        {"sethostname", "EPERM"},
        {"setuid0", "?"},
        {"personality", "ok"},
        {"personality-odd", "ENOSYS"},
        {"get_mempolicy", "ok"},
        {"kcmp", "?"},
        {"process_vm_readv", "ok"},
        {"ptrace", "ok"},
        {"ptrace-init", "EPERM"},
        {"open-init-mem", "EACCES"},
        {"open-init-exe", "EACCES"},
        {"kill-init", "ok"}};
    std::vector<std::string> argv{GANGWAY_BINARY_DIR "/bin/containers_syscall_probe"};
    for (const auto& [name, result] : expected) argv.push_back(name);
    const ProgramRequest program = sandbox.program(argv);
    const ProgramEnd end = sandbox.run(program);
    EXPECT_EQ(end.wait_status, 0) << end.message;
    const std::string text = read_small_file(program.out.path).value_or("");
    for (const auto& [name, result] : expected) {
      if (result == "?") {
        EXPECT_NE(text.find(cat(name, " ")), std::string::npos);
      } else {
        EXPECT_NE(text.find(cat(name, " ", result, "\n")), std::string::npos)
            << name << " is not " << result << " in:\n"
            << text;
      }
    }
    EXPECT_EQ(text.find("setuid0 ok"), std::string::npos);
    // Calls by other numbering end the program.
    const ProgramEnd x32 =
        sandbox.run(sandbox.program({GANGWAY_BINARY_DIR "/bin/containers_syscall_probe", "x32"}));
    EXPECT_EQ(WTERMSIG(x32.wait_status), SIGSYS);
  });
}

}  // namespace
}  // namespace gangway::containers
