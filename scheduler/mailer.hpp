// Mailer: sends mails through the host's sendmail, by a small process of its own that is made
// before the scheduler grows.
//
// The socket between the two is the queue and its bound: a mail that finds it full (some hundred
// wait because sendmail is slow) is dropped with a line in the log. Nothing here ever blocks the
// scheduler. The process ends with the scheduler.
#pragma once

#include <string>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "scheduler/effect.hpp"

namespace gangway::scheduler {

class Mailer {
 public:
  // Requires: no thread has been started. `program` takes "-i -t" and a mail with headers on its
  // standard input. Errors: those of the kernel.
  [[nodiscard]] static Result<Mailer> start(const std::string& program);
  void send(const effect::SendMail& mail);

 private:
  explicit Mailer(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

// The mail as sendmail reads it. What could end a header or begin another one is left out.
[[nodiscard]] std::string render_mail(const effect::SendMail& mail);

}  // namespace gangway::scheduler
