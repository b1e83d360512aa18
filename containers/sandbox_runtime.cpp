#include "containers/sandbox_runtime.hpp"

#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <utility>

#include "containers/remove_tree.hpp"
#include "containers/sandbox_runtime_impl.hpp"
#include "queues/base/check.hpp"
#include "queues/base/log.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

std::string describe_end(int status) {
  return WIFSIGNALED(status) ? cat("by signal ", WTERMSIG(status))
                             : cat("with exit code ", WEXITSTATUS(status));
}

}  // namespace

// ---- processes and their ends ------------------------------------------------------------------

// The sandbox has broken while it was up: its programs' ends follow from init's.
void SandboxRuntime::Impl::lose(const Error& error) {
  log_warning("sandbox_lost", {{"sandbox", request.name}, {"error", error.message()}});
  kill_everything();
}

void SandboxRuntime::Impl::kill_everything() {
  if (getting_image) images->give_up();
  for (const pid_t pid : children) {
    if (!host || pid != host->child.pid()) kill(pid, SIGKILL);
  }
  order_timer.stop();
  pausing.thaw();
  if (!host) {
    if (cgroup) cgroup->kill_all();
    return;
  }
  // It reaps its programs and ends; killed with the group, it would leave them as zombies to the
  // node's first process. All others die with init's process namespace.
  shutdown(host->socket.get(), SHUT_RDWR);
}

void SandboxRuntime::Impl::watch(pid_t pid) {
  children.insert(pid);
  reactor.watch_child(pid, [weak = weak_from_this(), pid](int status) {
    if (const auto self = weak.lock()) self->on_child_exit(pid, status);
  });
}

void SandboxRuntime::Impl::on_child_exit(pid_t pid, int status) {
  if (init && pid == init->child.pid()) on_init_exit(status);
  if (host && pid == host->child.pid()) on_host_exit();
  child_gone(pid);
}

void SandboxRuntime::Impl::on_init_exit(int status) {
  // What it said last lies in the socket still.
  on_init_readable();
  stop_watching_init();
  if (state == State::SettingUp || state == State::CheckingAccess ||
      state == State::MakingOutputs) {
    fail(
        Error(ErrorKind::Internal, cat("sandbox: its first process ended ", describe_end(status))));
  }
  programs.end_those_sent(/*on_host=*/false);
}

void SandboxRuntime::Impl::on_host_exit() {
  on_host_readable();
  stop_watching_host();
  programs.end_those_sent(/*on_host=*/true);
}

// A process has ended (-1: something else has): is that the last?
void SandboxRuntime::Impl::child_gone(pid_t pid) {
  children.erase(pid);
  if (!children.empty() || getting_image) return;
  if (state == State::Failing) {
    state = State::Failed;
    take_down();
    reactor.post(later([](Impl& self) { self.answer_prepare(*self.failure); }));
  } else if (state == State::CleaningUp) {
    finish_cleanup();
  }
}

// ---- what is left after the last process -------------------------------------------------------

void SandboxRuntime::Impl::take_down() {
  note_usage();
  if (cgroup) {
    if (auto removed = cgroup->remove(); !removed) {
      log_warning("cgroup_left_behind",
                  {{"sandbox", request.name}, {"error", removed.error().message()}});
    }
    cgroup.reset();
  }
  stop_watching_init();
  order_timer.stop();
  init.reset();
  host.reset();
  pausing.drop_freezer();
  held_back.clear();
  image_pin.reset();
  outputs.clear();
  if (!request.directory.empty()) {
    if (auto removed = remove_tree(request.directory); !removed) {
      log_warning("directory_left_behind",
                  {{"sandbox", request.name}, {"error", removed.error().message()}});
    }
  }
}

void SandboxRuntime::Impl::note_usage() { seen = usage(); }

SandboxUsage SandboxRuntime::Impl::usage() const {
  SandboxUsage now = seen;
  if (!cgroup) return now;
  const CgroupUsage group = cgroup->usage();
  if (group.cpu) now.cpu = *group.cpu;
  if (group.peak_memory) now.peak_memory = *group.peak_memory;
  now.out_of_memory = now.out_of_memory || group.out_of_memory;
  return now;
}

void SandboxRuntime::Impl::cleanup(std::function<void(SandboxUsage)> done) {
  CHECK(!on_clean);
  on_clean = std::move(done);
  if (on_prepared) {
    // Unfinished: it is answered too, before this is.
    if (!failure) failure = Error(ErrorKind::Unavailable, "preparation was given up");
    reactor.post(later([](Impl& self) { self.answer_prepare(*self.failure); }));
  }
  const bool taken_down = state == State::Failed || state == State::Gone || state == State::New;
  state = State::CleaningUp;
  if (!taken_down) kill_everything();
  reactor.post(later([](Impl& self) { self.child_gone(-1); }));
}

void SandboxRuntime::Impl::finish_cleanup() {
  state = State::Gone;
  take_down();
  programs.end_those_sent(/*on_host=*/false);
  programs.end_those_sent(/*on_host=*/true);
  programs.end_all_unstarted("the sandbox was taken down");
  const auto done = std::exchange(on_clean, nullptr);
  if (done) done(seen);
}

// The last resort of a destructor: nothing survives, nothing is told.
void SandboxRuntime::Impl::destroy() {
  images.reset();
  getting_image = false;
  stop_watching_init();
  stop_watching_host();
  kill_everything();
}

// ---- the face ----------------------------------------------------------------------------------

SandboxRuntime::SandboxRuntime(Reactor& reactor, SandboxSettings settings)
    : impl_(std::make_shared<Impl>(reactor, std::move(settings))) {}

SandboxRuntime::~SandboxRuntime() { impl_->destroy(); }

void SandboxRuntime::prepare(SandboxRequest request,
                             std::function<void(Result<SandboxReady>)> done) {
  impl_->prepare(std::move(request), std::move(done));
}

void SandboxRuntime::start(std::vector<ProgramRequest> programs,
                           std::function<void(ProgramEnd)> on_end) {
  impl_->start(std::move(programs), on_end);
}

void SandboxRuntime::signal(int signal_number, std::optional<std::uint32_t> id) {
  impl_->signal(signal_number, id);
}

void SandboxRuntime::signal_others(int signal_number, std::uint32_t id) {
  impl_->signal_others(signal_number, id);
}

void SandboxRuntime::pause(bool on, std::function<void(Result<void>)> done) {
  impl_->pause(on, std::move(done));
}

SandboxUsage SandboxRuntime::usage() const { return impl_->usage(); }

void SandboxRuntime::cleanup(std::function<void(SandboxUsage)> done) {
  impl_->cleanup(std::move(done));
}

}  // namespace gangway::containers
