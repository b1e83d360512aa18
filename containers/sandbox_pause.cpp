#include "containers/sandbox_pause.hpp"

#include <utility>

namespace gangway::containers {

SandboxPause::SandboxPause(Reactor& reactor, std::function<void()> on_thawed)
    : reactor_(reactor),
      on_thawed_(std::move(on_thawed)),
      settle_timer_(reactor),
      alive_(std::make_shared<bool>(true)) {}

SandboxPause::~SandboxPause() { *alive_ = false; }

std::optional<PauseOrder> SandboxPause::begin(bool on,
                                              const std::vector<std::string>& groups,
                                              Done done) {
  replace(std::move(done));
  if (on && !freezer_ && !on_) freezer_ = Freezer::find(groups);
  on_ = on;
  if (!freezer_) return PauseOrder{on, number_};
  settle();
  return std::nullopt;
}

void SandboxPause::refuse(const Error& why, Done done) {
  replace(std::move(done));
  answer(why);
}

void SandboxPause::on_init_done(const PauseDone& answered) {
  if (answered.number == number_) answer({});
}

void SandboxPause::thaw() {
  settle_timer_.stop();
  if (freezer_) freezer_->thaw();
}

void SandboxPause::drop_freezer() {
  settle_timer_.stop();
  freezer_.reset();
}

void SandboxPause::replace(Done done) {
  settle_timer_.stop();
  done_ = std::move(done);
  ++number_;
}

void SandboxPause::settle() {
  if (const Result<void> asked = freezer_->ask(on_); !asked) return answer(asked);
  const Result<bool> settled = freezer_->is_settled(on_);
  if (!settled) return answer(settled.error());
  if (!*settled) {
    if (const Result<void> armed = settle_timer_.arm([this] { settle(); }); !armed) answer(armed);
    return;
  }
  answer({});
  if (on_) return;
  freezer_.reset();
  const auto go_on = on_thawed_;  // a copy: what goes on may end us
  go_on();
}

void SandboxPause::answer(Result<void> result) {
  reactor_.post([this, alive = alive_, result = std::move(result), number = number_] {
    if (!*alive || number != number_ || !done_) return;
    const Done done = std::exchange(done_, nullptr);
    done(result);
  });
}

}  // namespace gangway::containers
