// The inside of SandboxRuntime: private to its sources, which divide it by a sandbox's life:
//
//   sandbox_preparing.cpp  the image, the first process, the outputs
//   sandbox_programs.cpp   programs: their files, their starters, signals; standing still
//   sandbox_runtime.cpp    the ends of processes, and the sandbox's; the face
//
// What can be said without the rest has files of its own: sandbox_spawn, program_table,
// kept_outputs, sandbox_pause, retry_timer, and image_getter, order_queue, program_batch.
//
// Everything is a turn of the reactor. Callbacks that wait there know this object weakly, because
// the runtime may be gone by then; inside of one it stays alive even if what it calls ends the
// runtime.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "containers/cgroup.hpp"
#include "containers/image_getter.hpp"
#include "containers/init_protocol.hpp"
#include "containers/kept_outputs.hpp"
#include "containers/order_queue.hpp"
#include "containers/program_batch.hpp"
#include "containers/program_table.hpp"
#include "containers/retry_timer.hpp"
#include "containers/sandbox_init.hpp"
#include "containers/sandbox_pause.hpp"
#include "containers/sandbox_plan.hpp"
#include "containers/sandbox_runtime.hpp"
#include "containers/user_files.hpp"

namespace gangway::containers {

struct SandboxRuntime::Impl : std::enable_shared_from_this<Impl> {
  enum class State {
    New,
    Fetching,        // the image
    SettingUp,       // init does its mounts
    CheckingAccess,  // the image helper does what init could not: the user may read the image
    MakingOutputs,
    Up,
    Failing,  // prepare has failed; until the last process is gone
    Failed,   // nothing is left of it
    CleaningUp,
    Gone
  };
  using OpenedThen = std::function<void(Impl&, Result<std::vector<Fd>>)>;

  Impl(Reactor& the_reactor, SandboxSettings the_settings)
      : reactor(the_reactor),
        settings(std::move(the_settings)),
        pausing(the_reactor,
                [this] {
                  const auto self = weak_from_this().lock();
                  if (self) self->send_orders();
                }),
        order_timer(the_reactor) {}

  [[nodiscard]] Credentials credentials() const {
    return {request.user.uid, request.user.gid, request.user.groups};
  }

  // A callback that does nothing once this object is gone.
  template <typename Method>
  std::function<void()> later(Method method) {
    return [weak = weak_from_this(), method] {
      if (const auto self = weak.lock()) method(*self);
    };
  }

  // ---- preparing
  void prepare(SandboxRequest the_request, std::function<void(Result<SandboxReady>)> done);
  void get_image(AccessCheck check);
  void on_image(Result<ReadyImage> image);
  void set_up(const ImageReport* image, std::vector<Fd> slots);  // image: null if there is none
  Result<void> start_init(NodeFacts facts, std::vector<Fd> slots);
  void on_init_readable();
  void stop_watching_init();
  void on_set_up(const SetUp& up, std::vector<Fd> opened);
  void take_outputs();
  void come_up();
  void answer_prepare(Result<SandboxReady> answer);
  void fail(const Error& error);

  // ---- programs
  void start(std::vector<ProgramRequest> requests, const std::function<void(ProgramEnd)>& on_end);
  void open_files(const std::vector<UserFile>& files, mode_t mask, OpenedThen then);
  void send_programs(std::vector<ProgramRequest>& requests,
                     const std::vector<UserFile>& files,
                     Result<std::vector<Fd>> opened);
  void send(const ProgramBatch& batch);
  [[nodiscard]] int inside_socket() const { return init ? init->socket.get() : -1; }
  Result<void> start_host();
  void on_host_readable();
  void stop_watching_host();
  void on_program_over(const ProgramOver& over);
  void signal(int number, std::optional<std::uint32_t> id);
  void signal_others(int number, std::uint32_t id);
  void send_orders();
  void start_held_back();
  void pause(bool on, std::function<void(Result<void>)> done);

  // ---- the end
  void lose(const Error& error);
  void kill_everything();
  void watch(pid_t pid);
  void on_child_exit(pid_t pid, int status);
  void on_init_exit(int status);
  void on_host_exit();
  void child_gone(pid_t pid);
  void take_down();
  void note_usage();
  [[nodiscard]] SandboxUsage usage() const;
  void cleanup(std::function<void(SandboxUsage)> done);
  void finish_cleanup();
  void destroy();

  Reactor& reactor;
  SandboxSettings settings;
  State state = State::New;
  SandboxRequest request;
  SandboxReady ready;
  std::function<void(Result<SandboxReady>)> on_prepared;
  std::optional<Error> failure;  // of prepare
  std::function<void(SandboxUsage)> on_clean;

  std::optional<ImageGetter> images;
  bool getting_image = false;
  bool access_checked = true;  // the user may read the image, or there is none
  Fd image_pin;
  KeptOutputs outputs;  // opened by prepare, for the first programs
  std::optional<Cgroup> cgroup;
  std::optional<SandboxInit> init;
  Reactor::WatchId init_watch = 0;
  std::optional<HostStarter> host;
  Reactor::WatchId host_watch = 0;
  std::set<pid_t> children;  // alive and to be waited for
  ProgramTable programs;
  SandboxPause pausing;
  OrderQueue init_orders;
  OrderQueue host_orders;
  RetryTimer order_timer;                             // for orders that a starter had no room for
  std::vector<std::function<void(Impl&)>> held_back;  // starts, until it goes on
  SandboxUsage seen;  // summed from programs that have ended, or last of the group
};

}  // namespace gangway::containers
