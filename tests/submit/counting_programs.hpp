// Programs in front of a scheduler that counts what it is asked: what is wrong is to be refused
// before anybody is.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>

#include "tests/submit/fake_scheduler.hpp"
#include "tests/submit/program_fixture.hpp"

namespace gangway::submit {

class CountingPrograms : public Programs {
 protected:
  void SetUp() override {
    Programs::SetUp();
    scheduler_.emplace([this](const wire::Request&) {
      ++requests_;
      return FakeAnswer{};
    });
    socket_ = scheduler_->socket();
  }
  static void expect_one_line(const Ended& ended, int code) {
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_EQ(ended.out, "");
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
  }

  std::optional<FakeScheduler> scheduler_;
  std::atomic<int> requests_ = 0;
};

}  // namespace gangway::submit
