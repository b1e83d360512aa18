// Keepalive: tells a silent peer from a busy one. A hung process or a lost machine closes nothing:
// without questions of our own it is never noticed.
//
// Misses are counted in questions asked, not in time passed: a process that was itself stopped for
// a while asks again before it gives others up. Pure.
#pragma once

#include "queues/base/time.hpp"

namespace gangway::io {

class Keepalive {
 public:
  enum class Verdict { Fine, Ask, Dead };

  // A peer that has said nothing for `every` is asked; after `max_missed` questions without any
  // sign of life, each given `every`, it is dead.
  Keepalive(Duration every, int max_missed, BootTime now)
      : every_(every), max_missed_(max_missed), last_sign_(now) {}

  // Bytes have come from it, or it has taken some that were waiting for it.
  void on_sign(BootTime now) {
    last_sign_ = now;
    missed_ = 0;
  }
  // Call at next(). After Ask, a question is to be sent.
  [[nodiscard]] Verdict on_time(BootTime now) {
    if (now < next()) return Verdict::Fine;
    if (missed_ >= max_missed_) return Verdict::Dead;
    ++missed_;
    last_asked_ = now;
    return Verdict::Ask;
  }
  [[nodiscard]] BootTime next() const { return (missed_ == 0 ? last_sign_ : last_asked_) + every_; }

 private:
  Duration every_;
  int max_missed_;
  int missed_ = 0;  // questions since the last sign
  BootTime last_sign_;
  BootTime last_asked_;
};

}  // namespace gangway::io
