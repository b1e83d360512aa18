// SandboxPause: what is wished of a sandbox's processes, to stand still or to go on, how the wish
// is met, and its answer.
//
// By the control group's freezer where there is one, which is asked again until all have come to
// rest: v1 may stop half-way where processes fork. Else by the sandbox's init, with signals: the
// caller passes the order on to it, and its answer in.
//
// In the reactor's thread. Answers come in a later turn; a wish that has been replaced gets none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containers/freezer.hpp"
#include "containers/init_protocol.hpp"
#include "containers/reactor.hpp"
#include "containers/retry_timer.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

class SandboxPause {
 public:
  using Done = std::function<void(Result<void>)>;

  // `on_thawed`: a freezer has let all go on, init as well, which reads again; it may end the
  // caller.
  SandboxPause(Reactor& reactor, std::function<void()> on_thawed);
  ~SandboxPause();
  SandboxPause(const SandboxPause&) = delete;
  SandboxPause& operator=(const SandboxPause&) = delete;

  // Replaces a wish that is not met yet. A freezer is looked for in `groups`, the directories of
  // the sandbox's control groups. Returns what init has to be told, where there is no freezer.
  [[nodiscard]] std::optional<PauseOrder> begin(bool on,
                                                const std::vector<std::string>& groups,
                                                Done done);
  // The same, of a wish that cannot be met.
  void refuse(const Error& why, Done done);
  void on_init_done(const PauseDone& answer);

  [[nodiscard]] bool is_on() const { return on_; }  // wished, met or not
  // Init too stands still, or will in a moment: it does not read.
  [[nodiscard]] bool is_frozen() const { return on_ && freezer_; }

  // For those who have killed what is in the sandbox, as often as they do.
  void thaw();
  // The groups are gone. Later ones may have their names.
  void drop_freezer();

 private:
  void replace(Done done);
  void settle();
  void answer(Result<void> result);

  Reactor& reactor_;
  std::function<void()> on_thawed_;
  bool on_ = false;
  std::optional<Freezer> freezer_;  // while it is paused by one
  std::int64_t number_ = 0;         // of the newest wish
  Done done_;
  RetryTimer settle_timer_;
  std::shared_ptr<bool> alive_;
};

}  // namespace gangway::containers
