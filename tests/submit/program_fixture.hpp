// The programs of people, run as they run them: in a directory of their own, against a socket.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "queues/base/text.hpp"

extern char** environ;

namespace gangway::submit {

namespace fs = std::filesystem;

struct Ended {
  int code = -1;
  std::string out;
  std::string err;
};

inline std::string slurp(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A directory of its own for each test, with a scheduler in front of it.
class Programs : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/gangway-programs-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
  }

  Ended run(std::vector<std::string> words, const std::string& input = "") const {
    write(".in", input);
    const std::string program = cat(GANGWAY_BINARY_DIR, "/bin/", words[0]);
    std::vector<std::string> wrapped = {"/usr/bin/env", "-C", directory_.string(),
                                        cat("GANGWAY_SOCKET=", socket_), program};
    wrapped.insert(wrapped.end(), words.begin() + 1, words.end());
    std::vector<char*> argv;
    for (std::string& word : wrapped) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string in = (directory_ / ".in").string();
    const std::string out = (directory_ / ".out").string();
    const std::string err = (directory_ / ".err").string();
    posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child = 0;
    EXPECT_EQ(::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    ::waitpid(child, &status, 0);
    return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status),
            .out = slurp(out),
            .err = slurp(err)};
  }

  fs::path directory_;
  std::string socket_ = "/nonexistent/socket";
};

}  // namespace gangway::submit
