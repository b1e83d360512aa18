// Launcher: the small process that starts shepherds, forked from jexecd before that grows (a fork
// of a large process copies its page tables: 60 times slower at 1 GB), and that asks the node's
// user database, which may block on a network, in place of jexecd.
//
// It talks protobuf packets over a SOCK_SEQPACKET pair, reaps what it has started and says so, and
// ends when jexecd does. Shepherds are in sessions of their own and go on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

struct LauncherProcess {
  Fd socket;
  pid_t pid = 0;
};
// Who has this uid, from the node's user database. Errors: NotFound, Unavailable.
[[nodiscard]] Result<wire::UserRecord> find_user(std::uint32_t uid);
using FindUser = Result<wire::UserRecord> (*)(std::uint32_t uid);

// Whether the launcher keeps a shepherd ready that has begun and waits to be told for which attempt
// (spare_shepherd.hpp): what a job waits for is then less by an exec. The program must know how.
enum class Spares { None, Keep };

// Forks. Requires: one thread. The child never returns from here. It calls `find` in children of
// its own, one for each uid that is asked for.
[[nodiscard]] Result<LauncherProcess> fork_launcher(FindUser find = &find_user,
                                                    Spares spares = Spares::None);

// jexecd's end.
class LauncherLink {
 public:
  using OnEnded = std::function<void(pid_t, int wait_status)>;

  // `on_ended`: a process that was spawned is over; never before the answer to its spawn has been
  // handed on. `on_lost`: the launcher is gone; nothing can be started any more.
  LauncherLink(io::EventLoop& loop,
               Fd socket,
               OnEnded on_ended,
               std::function<void(const Error&)> on_lost);
  ~LauncherLink();
  LauncherLink(const LauncherLink&) = delete;
  LauncherLink& operator=(const LauncherLink&) = delete;

  // `then` is called once, in a later turn.
  void spawn(const std::string& program,
             const std::string& directory,
             std::function<void(Result<pid_t>)> then);
  void find_user(std::uint32_t uid, std::function<void(Result<wire::UserRecord>)> then);
  // In its own time; failures are logged.
  void remove(const std::string& directory);

 private:
  using Then = std::function<void(const wire::FromLauncher&)>;
  void ask(wire::ToLauncher message, Then then);
  void send_what_waits();
  void on_readable();
  void lose(const Error& why);

  io::EventLoop& loop_;
  Fd socket_;
  io::WatchId watch_;
  OnEnded on_ended_;
  std::function<void(const Error&)> on_lost_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Then> waiting_;
  std::deque<std::string> unsent_;
  std::optional<io::WatchId> writable_;
  bool lost_ = false;
};

}  // namespace gangway::executor
