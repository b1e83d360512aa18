// Bad input: one clear line on stderr, the documented exit code, nothing queued.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Refusals : public OnCluster<Refusals> {
 public:
  static ClusterOptions options() { return {.nodes = 2, .cores = 2}; }

 protected:
  void expect_refused(const std::vector<std::string>& argv, int code, const std::string& word) {
    const Ran ran = user(argv);
    EXPECT_EQ(ran.exit_code, code) << join(argv, " ") << ": " << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(word));
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
  }
};

TEST_F(Refusals, MissingImage) {
  expect_refused({"jsubmit", "--image", "/no/such/image.tar", "--", "true"}, 66,
                 "/no/such/image.tar");
}

TEST_F(Refusals, EmptyScript) {
  write_as_user(cluster(), directory() + "/empty.sh", "");
  expect_refused({"jsubmit", "empty.sh"}, 65, "empty.sh");
}

TEST_F(Refusals, MissingScript) { expect_refused({"jsubmit", "none.sh"}, 66, "none.sh"); }

TEST_F(Refusals, MoreNodesThanExist) {
  expect_refused({"jsubmit", "-N", "3", "--", "true"}, 65, "3 nodes");
}

TEST_F(Refusals, MoreCoresThanANodeHas) {
  expect_refused({"jsubmit", "-c", "64", "--", "true"}, 65, "64");
}

TEST_F(Refusals, UnknownOption) {
  expect_refused({"jsubmit", "--nodse=2", "--", "true"}, 64, "--nodse");
}

TEST_F(Refusals, UnknownQueue) {
  expect_refused({"jsubmit", "-p", "nowhere", "--", "true"}, 65, "nowhere");
}

TEST_F(Refusals, NothingListensAtTheSocket) {
  expect_refused({"jsubmit", "--retry", "0", "--socket", "/no/such/socket", "--", "true"}, 69,
                 "/no/such/socket");
}

TEST_F(Refusals, NothingListensThoughItWasTriedAgain) {
  expect_refused({"jsubmit", "--retry", "1", "--socket", "/no/such/socket", "--", "true"}, 69,
                 "tried for 0:01");
}

TEST_F(Refusals, ARunThatWaitsForTheSchedulerCanBeInterrupted) {
  // It would try for a minute.
  const Ran ran = user({"timeout", "--preserve-status", "--signal=INT", "0.5", "jrun", "--socket",
                        "/no/such/socket", "--", "true"});
  EXPECT_EQ(ran.exit_code, 130) << ran.err;
  EXPECT_EQ(ran.err, "");
}

TEST_F(Refusals, AnUnknownJob) {
  for (const char* program :
       {"jcancel", "jhold", "jrelease", "jrequeue", "jwait", "jwhy", "jqueue", "jhist"}) {
    expect_refused({program, "4711"}, 66, "there is no job 4711");
  }
  for (const char* program : {"jcancel", "jwait", "jwhy", "jqueue", "jhist"}) {
    expect_refused({program, "w4711"}, 66, "w4711");
  }
}

TEST_F(Refusals, UnreadableScript) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a file that is not the user's";
  write_as_user(cluster(), directory() + "/secret.sh", "#!/bin/sh\n");
  ASSERT_EQ(::chown((directory() + "/secret.sh").c_str(), 0, 0), 0);
  ASSERT_EQ(::chmod((directory() + "/secret.sh").c_str(), 0600), 0);
  expect_refused({"jsubmit", "secret.sh"}, 77, "secret.sh: Permission denied");
}

TEST_F(Refusals, ScriptWithoutAnInterpreter) {
  write_as_user(cluster(), directory() + "/plain.sh", "echo hello\n");
  expect_refused({"jsubmit", "plain.sh"}, 65, "plain.sh:1: ");
}

TEST_F(Refusals, UnknownNode) {
  expect_refused({"jsubmit", "-w", "n99", "--", "true"}, 65, "node n99 does not exist");
}

TEST_F(Refusals, ValuesThatAreNone) {
  expect_refused({"jsubmit", "-t", "5q", "--", "true"}, 64, "\"5q\" is not a time limit");
  expect_refused({"jsubmit", "--mem", "4Q", "--", "true"}, 64, "\"4Q\" is not an amount of memory");
  expect_refused({"jsubmit", "-N", "0", "--", "true"}, 64, "\"0\" is not a number of nodes");
  expect_refused({"jsubmit", "--no", "--", "true"}, 64, "ambiguous");
}

TEST_F(Refusals, WorkflowsAreRefusedWithTheLine) {
  struct Case {
    std::string jobs;
    int code;
    std::string words;
  };
  const Case cases[] = {
      {"  a: {command: [x], needs: [c]}\n  b: {command: [x], needs: [a]}\n"
       "  c: {command: [x], needs: [b]}\n",
       65, "flow.yaml:3: the jobs have a cycle: these wait for each other: a -> b -> c -> a"},
      {"  a: {command: [x]}\n  b: {command: [x], needs: [ab]}\n", 65, "flow.yaml:4: needs: "},
      {"  a: {comand: [x]}\n", 65, "flow.yaml:3: unknown key \"comand\""},
      {"  a: {command: [x], image: /no/such.tar}\n", 66, "flow.yaml:3: image /no/such.tar"},
      {"  a: {command: [x]}\n  b: {command: [x], nodes: 3}\n", 65, "job b (line 4): 3 nodes"},
      {"  a: {command: [x], time: 5q}\n", 65, "flow.yaml:3: time: \"5q\""},
  };
  for (const Case& one : cases) {
    write_as_user(cluster(), directory() + "/flow.yaml", "version: 1\njobs:\n" + one.jobs);
    expect_refused({"jsubmit", "flow.yaml"}, one.code, one.words);
  }
}

// What only the node can see ends the job at once, with the reason.
TEST_F(Refusals, WhatTheNodeCannotOpenEndsTheJobWithOneLine) {
  struct Case {
    std::vector<std::string> options;
    int code;
    std::string words;
  };
  const Case cases[] = {
      {{"-D", "/no/such/dir"}, 1, "/no/such/dir"},
      {{"-D", "/no/such/dir", "-o", "/dev/null"}, 127, "change directory to /no/such/dir"},
      {{"-o", "/no/such/dir/out"}, 1, "/no/such/dir/out: No such file or directory"},
      {{"-i", "/no/such/input"}, 127, "/no/such/input: No such file or directory"},
      {{"--bind", "/no/such/dir:/mnt"}, 1, "/no/such/dir: No such file or directory"},
  };
  for (const Case& one : cases) {
    std::vector<std::string> words{"jsubmit", "--wait"};
    words.insert(words.end(), one.options.begin(), one.options.end());
    words.insert(words.end(), {"--", "touch", "ran"});
    const Ran ran = user(words);
    EXPECT_EQ(ran.exit_code, one.code) << join(words, " ") << ": " << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(one.words));
    EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
    EXPECT_FALSE(std::filesystem::exists(directory() + "/ran"));
  }
}

// A changed manifest is seen at once, with the user's rights, before anything is asked.
TEST_F(Refusals, WrongDigestOfAManifest) {
  if (find_image("busybox").empty()) GTEST_SKIP() << "run examples/images/make-images.sh";
  const Ran made = user({"sh", "-ec",
                         "cp -r " + find_image("busybox") +
                             " bad && cd bad && chmod -R u+w . && "
                             "blob=blobs/sha256/$(grep -o 'sha256:[0-9a-f]*' index.json | head -1 "
                             "| cut -d: -f2) && printf ' ' | dd of=$blob bs=1 seek=1 conv=notrunc "
                             "2>/dev/null"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  expect_refused({"jsubmit", "--image", directory() + "/bad", "--", "true"}, 65, "another digest");
}

// A node checks what it unpacks, whatever was seen at submission. Before any test that has this
// image unpacked.
TEST_F(Refusals, AnImageThatChangesBeforeItsJobRunsIsNotRun) {
  const std::string busybox = find_image("busybox.tar");
  if (busybox.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  const Ran made = user({"sh", "-ec", "mkdir image && tar xf " + busybox + " -C image"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const std::string image = directory() + "/image";
  const Ran held =
      user({"jsubmit", "--parsable", "--hold", "--image", image, "--", "touch", "ran"});
  ASSERT_EQ(held.exit_code, 0) << held.err;
  const std::string id = held.out.substr(0, held.out.find('\n'));
  ASSERT_EQ(user({"sh", "-ec",
                  "blob=$(ls -S image/blobs/sha256/* | head -1) && chmod u+w $blob && "
                  "printf X | dd of=$blob bs=1 seek=100 conv=notrunc 2>/dev/null"})
                .exit_code,
            0);
  ASSERT_EQ(user({"jrelease", id}).exit_code, 0);
  const Ran waited = user({"jwait", id});
  EXPECT_NE(waited.exit_code, 0);
  EXPECT_THAT(waited.err, HasSubstr("digest"));
  EXPECT_EQ(content(directory() + "/ran"), "");
}

// A layer whose bytes are not those its name promises: seen at submission, and also if it changes
// after it has been submitted once.
TEST_F(Refusals, WrongDigestOfALayer) {
  const std::string busybox = find_image("busybox.tar");
  if (busybox.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  const std::string image = directory() + "/image";
  const std::string spoil =
      "blob=$(ls -S image/blobs/sha256/* | head -1) && chmod u+w $blob && "
      "printf X | dd of=$blob bs=1 seek=100 conv=notrunc 2>/dev/null";
  ASSERT_EQ(user({"sh", "-ec", "mkdir image && tar xf " + busybox + " -C image"}).exit_code, 0);
  EXPECT_EQ(user({"jsubmit", "--wait", "--image", image, "--", "true"}).exit_code, 0);
  const Ran held =
      user({"jsubmit", "--parsable", "--hold", "--image", image, "--", "touch", "ran"});
  ASSERT_EQ(held.exit_code, 0) << held.err;
  ASSERT_EQ(user({"sh", "-ec", spoil}).exit_code, 0);
  const Ran refused = user({"jsubmit", "--image", image, "--", "true"});
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_THAT(refused.err, HasSubstr("image " + image + ": layer 1 of 1: "));
  EXPECT_THAT(refused.err, HasSubstr("another digest"));
  // The other one was submitted while its image was whole, and its nodes have that one already.
  const std::string id = held.out.substr(0, held.out.find('\n'));
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
}

}  // namespace
}  // namespace gangway::e2e
