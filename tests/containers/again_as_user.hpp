// The tests of this program once more, as an ordinary user: whoever runs them as root sees both
// executors' side.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "queues/base/fd.hpp"

namespace gangway::containers {

// Those that `filter` names. Requires: root.
inline void pass_again_as_user(const std::string& filter) {
  constexpr uid_t kUser = 12345;
  // Opened first: the directory it lies in need not be one that others may enter.
  const Fd program(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(program);
  fflush(nullptr);
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    std::string chosen = "--gtest_filter=" + filter;
    std::string quiet = "--gtest_brief=1";
    char* const argv[] = {const_cast<char*>("again"), chosen.data(), quiet.data(), nullptr};
    if (setgroups(0, nullptr) == 0 && setresgid(kUser, kUser, kUser) == 0 &&
        setresuid(kUser, kUser, kUser) == 0) {
      fexecve(program.get(), argv, environ);
    }
    _exit(99);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "as a user: status " << status;
}

}  // namespace gangway::containers
