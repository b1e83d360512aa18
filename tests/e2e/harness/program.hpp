// Runs a program to its end as some user, with all it says.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "queues/base/time.hpp"

namespace gangway::e2e {

// Sanitizers make programs slower; all patience is multiplied by this.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::int64_t kSlowness = 5;
#else
inline constexpr std::int64_t kSlowness = 1;
#endif

struct RunAs {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct RunOptions {
  std::optional<RunAs> user;               // none: as ourselves
  std::map<std::string, std::string> env;  // beside PATH; nothing else is inherited
  std::string directory = "/";
  std::string input;
  Duration limit = seconds(120) * kSlowness;  // then it is killed
};

struct Ran {
  int exit_code = -1;  // 128+n if killed by signal n
  bool timed_out = false;
  std::string out;
  std::string err;
  Duration took;
};

// The first word is looked up in env's PATH if it has no slash.
[[nodiscard]] Ran run(const std::vector<std::string>& argv, const RunOptions& options = {});

// A program that goes on beside the test; killed at the end of the object's life.
class Background {
 public:
  Background(const std::vector<std::string>& argv, const RunOptions& options);
  ~Background();
  Background(Background&& other) noexcept;
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Waits for its end. Requires: not waited for yet.
  Ran finish();

 private:
  Ran wait(Duration limit);
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  Duration limit_;
  BootTime started_;
};

}  // namespace gangway::e2e
