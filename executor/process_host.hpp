// ProcessHost: the real ShepherdHost. Shepherds are processes started by the launcher; their orders
// and reports lie in the spool.
//
// A shepherd that is gone has taken its sandbox's processes and mounts with it; what the kernel
// keeps (control groups, files) is removed by `clean_leftovers` before its end is told.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "executor/launcher.hpp"
#include "executor/ports.hpp"
#include "executor/spool.hpp"
#include "queues/base/time.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

struct ProcessHostConfig {
  std::string shepherd_program;
  std::string boot_id;
  wire::ShepherdStart node;  // what every order of this node carries: addresses, settings
  // `name`: of the sandbox, "42.1". May be called for what is not there.
  std::function<void(const std::string& name)> clean_leftovers;
};

// How long a user's entry of the database is believed.
inline constexpr Duration kUserMemory = minutes(1);

class ProcessHost final : public ShepherdHost {
 public:
  // `spool` and `loop` outlive the host.
  ProcessHost(io::EventLoop& loop,
              Spool& spool,
              ProcessHostConfig config,
              Fd launcher_socket,
              std::function<void(const Error&)> on_launcher_lost);
  ~ProcessHost() override;

  // What the spool holds at start; watches the shepherds found alive, and cleans up after the
  // others. May wait up to a second for a shepherd that is just starting.
  [[nodiscard]] std::vector<RecoveredAttempt> recover();

  void set_on_gone(OnGone on_gone) override { on_gone_ = std::move(on_gone); }
  void spawn(const AttemptKey& key, const wire::Prepare& order, BootTime lease_until) override;
  void forget(const AttemptKey& key) override;
  Result<void> note_epoch(std::uint64_t epoch) override;

 private:
  struct KnownUser {
    wire::UserRecord user;
    BootTime until;
  };
  // A shepherd of an earlier life of jexecd: not our launcher's child.
  struct Recovered {
    Fd process;
    io::WatchId watch;
  };

  void start(const AttemptKey& key, wire::ShepherdStart order, const wire::UserRecord& user);
  void on_ended(pid_t pid, int wait_status);
  void gone(const AttemptKey& key, const std::string& why);
  void watch_recovered(const AttemptKey& key, Fd process);

  io::EventLoop& loop_;
  Spool& spool_;
  ProcessHostConfig config_;
  LauncherLink launcher_;
  OnGone on_gone_;
  std::map<std::uint32_t, KnownUser> users_;
  std::map<pid_t, AttemptKey> running_;
  std::map<AttemptKey, Recovered> recovered_;
};

}  // namespace gangway::executor
