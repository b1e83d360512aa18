// The programs of a sandbox that is up: their files, the processes that start them, what is said to
// these, and standing still.
#include <algorithm>
#include <csignal>
#include <utility>

#include "containers/sandbox_runtime_impl.hpp"
#include "queues/base/check.hpp"

namespace gangway::containers {
namespace {

struct Opening {  // files of the user that are being opened
  FileOpener opener;
  OpenedFiles files;
  Reactor::WatchId watch = 0;
};

Result<void> send_to(int socket, const ProgramBatch& batch) {
  if (socket < 0) return Error(ErrorKind::Unavailable, "the sandbox is gone");
  GANGWAY_ASSIGN(const Fd list, make_memory_file(encode_programs(batch.programs)));
  std::vector<int> fds{list.get()};
  fds.insert(fds.end(), batch.fds.begin(), batch.fds.end());
  return send_packet(socket, encode_order(StartOrder{}), fds, /*wait=*/false);
}

}  // namespace

// ---- starting ----------------------------------------------------------------------------------

void SandboxRuntime::Impl::start(std::vector<ProgramRequest> requests,
                                 const std::function<void(ProgramEnd)>& on_end) {
  if (state != State::Up) {
    for (const ProgramRequest& program : requests) {
      programs.add(program.id, program.host_files, on_end);
      reactor.post(later([id = program.id](Impl& self) {
        self.programs.end_unstarted(id, "the sandbox was taken down");
      }));
    }
    return;
  }
  for (const ProgramRequest& program : requests) {
    CHECK(!programs.contains(program.id));
    programs.add(program.id, program.host_files, on_end);
  }
  const std::vector<UserFile> files = files_of(requests);
  const mode_t mask = requests.empty() ? 022 : requests.front().umask;
  // Shared, because std::function wants what it captures to be copyable.
  auto pending = std::make_shared<std::vector<ProgramRequest>>(std::move(requests));
  open_files(files, mask, [pending, files](Impl& self, Result<std::vector<Fd>> opened) {
    // One that stands still would start them at once, or has no room for so many orders. Signals
    // that wait are not meant for them, and go before.
    if (!self.pausing.is_on() && self.init_orders.size() + self.host_orders.size() == 0) {
      return self.send_programs(*pending, files, std::move(opened));
    }
    auto kept = std::make_shared<Result<std::vector<Fd>>>(std::move(opened));
    self.held_back.emplace_back([pending, files, kept](Impl& later_self) {
      later_self.send_programs(*pending, files, std::move(*kept));
    });
  });
}

void SandboxRuntime::Impl::open_files(const std::vector<UserFile>& files,
                                      mode_t mask,
                                      OpenedThen then) {
  std::vector<Fd> open_already = outputs.take(files);
  const bool is_complete = open_already.size() == files.size();
  Result<FileOpener> opener = is_complete ? Result<FileOpener>(FileOpener{})
                                          : spawn_file_opener(credentials(), files, mask);
  if (is_complete || !opener) {
    Result<std::vector<Fd>> answer =
        opener ? Result<std::vector<Fd>>(std::move(open_already)) : opener.error();
    // std::function wants copyable captures; descriptors are not.
    auto shared = std::make_shared<Result<std::vector<Fd>>>(std::move(answer));
    reactor.post(
        later([shared, then = std::move(then)](Impl& self) { then(self, std::move(*shared)); }));
    return;
  }
  watch(opener->pid);
  auto opening =
      std::make_shared<Opening>(Opening{*std::move(opener), OpenedFiles(files.size()), 0});
  opening->watch = reactor.watch_readable(
      opening->opener.socket.get(),
      [weak = weak_from_this(), &loop = reactor, opening, then = std::move(then)] {
        const auto self = weak.lock();
        if (!self) return loop.unwatch(opening->watch);
        // Copies, because unwatch() may destroy this very function.
        const auto kept = opening;  // NOLINT(performance-unnecessary-copy-initialization)
        const auto next = then;     // NOLINT(performance-unnecessary-copy-initialization)
        Result<bool> complete = kept->files.take(kept->opener.socket.get());
        if (complete && !*complete) return;
        self->reactor.unwatch(kept->watch);
        if (!complete) return next(*self, complete.error());
        next(*self, std::move(kept->files.fds()));
      });
}

void SandboxRuntime::Impl::send_programs(std::vector<ProgramRequest>& requests,
                                         const std::vector<UserFile>& files,
                                         Result<std::vector<Fd>> opened) {
  if (!opened) {
    for (const ProgramRequest& program : requests) {
      programs.end_unstarted(program.id, opened.error().message());
    }
    return;
  }
  // Meanwhile some may have been killed.
  std::erase_if(requests, [&](const ProgramRequest& program) {
    if (!programs.contains(program.id)) return true;
    const int killed_by = programs.early_end(program.id);
    if (killed_by != 0) programs.end_by_signal(program.id, killed_by);
    return killed_by != 0;
  });
  std::vector<int> numbers;
  for (const Fd& fd : *opened) numbers.push_back(fd.get());
  for (const ProgramBatch& batch : make_batches(requests, files, numbers)) send(batch);
}

void SandboxRuntime::Impl::send(const ProgramBatch& batch) {
  Result<void> sent = batch.host_files ? start_host() : Result<void>();
  if (sent) sent = send_to(batch.host_files ? host->socket.get() : inside_socket(), batch);
  for (const ProgramOrder& order : batch.programs) {
    const int stopped_by = programs.mark_sent(order.id);
    if (!sent) {
      programs.end_unstarted(order.id, sent.error().message());
    } else if (stopped_by != 0) {
      signal(stopped_by, order.id);
    }
  }
}

// ---- the starter on the host -------------------------------------------------------------------

Result<void> SandboxRuntime::Impl::start_host() {
  if (host) return {};
  if (!init) return Error(ErrorKind::Unavailable, "the sandbox is gone");
  GANGWAY_ASSIGN(
      HostStarter started,
      spawn_host_starter(init->join, credentials(), settings.waivers.contains(Waiver::Seccomp)));
  host = std::move(started);
  if (cgroup) {
    if (auto added = cgroup->add(host->child.pid()); !added) {
      host->child.abandon();
      host.reset();
      return added;
    }
  }
  host_watch = reactor.watch_readable(host->socket.get(),
                                      later([](Impl& self) { self.on_host_readable(); }));
  watch(host->child.pid());
  host->child.release();
  return {};
}

void SandboxRuntime::Impl::on_host_readable() {
  while (host) {
    Result<std::optional<Packet>> packet = receive_packet(host->socket.get(), /*wait=*/false);
    if (packet && !packet.value()) return;
    if (!packet || packet.value()->bytes.empty()) return stop_watching_host();
    const Result<InitReport> report = decode_report(packet.value()->bytes);
    if (!report) return lose(report.error());
    if (const auto* over = std::get_if<ProgramOver>(&*report)) on_program_over(*over);
  }
}

void SandboxRuntime::Impl::stop_watching_host() {
  if (host_watch != 0) reactor.unwatch(host_watch);
  host_watch = 0;
}

void SandboxRuntime::Impl::on_program_over(const ProgramOver& over) {
  seen.cpu = seen.cpu + over.cpu;
  seen.peak_memory = std::max(seen.peak_memory, over.peak_memory);
  seen.read = seen.read + over.read;
  seen.written = seen.written + over.written;
  programs.end({.id = over.id,
                .started = over.started,
                .wait_status = over.wait_status,
                .message = over.message,
                .cpu = over.cpu,
                .peak_memory = over.peak_memory,
                .read = over.read,
                .written = over.written});
}

// ---- signals and other orders ------------------------------------------------------------------

void SandboxRuntime::Impl::signal(int number, std::optional<std::uint32_t> id) {
  if (id && !programs.contains(*id)) return;
  programs.note_signal(number, id);
  const bool to_host = id ? programs.is_on_host(*id) : number == SIGKILL;
  const bool to_inside = id ? !to_host : true;
  const std::string order = encode_order(SignalOrder{.number = number, .id = id});
  if (to_host && host) host_orders.add(order);
  if (to_inside && init) init_orders.add(order);
  send_orders();
}

void SandboxRuntime::Impl::signal_others(int number, std::uint32_t id) {
  programs.note_signal_to_others(number, id);
  if (!init) return;
  init_orders.add(encode_order(SignalOrder{.number = number, .id = id, .others = true}));
  send_orders();
}

// What a starter has no room for is kept until it reads again; one that stands still reads when it
// goes on.
void SandboxRuntime::Impl::send_orders() {
  order_timer.stop();
  bool done = !init || init_orders.send(init->socket.get());
  done = (!host || host_orders.send(host->socket.get())) && done;
  if (done && !pausing.is_on()) return start_held_back();
  if (done || pausing.is_frozen()) return;
  const Result<void> armed = order_timer.arm(later([](Impl& self) { self.send_orders(); }));
  if (!armed) lose(armed.error());
}

void SandboxRuntime::Impl::start_held_back() {
  for (const auto& start : std::exchange(held_back, {})) start(*this);
}

void SandboxRuntime::Impl::pause(bool on, std::function<void(Result<void>)> done) {
  if (state != State::Up || !init) {
    return pausing.refuse(Error(ErrorKind::Conflict, "there is no sandbox to pause"),
                          std::move(done));
  }
  std::vector<std::string> groups;
  if (settings.use_freezer && cgroup) groups = cgroup->directories();
  const std::optional<PauseOrder> order = pausing.begin(on, groups, std::move(done));
  if (!order) return;
  init_orders.add(encode_order(*order));
  send_orders();
}

}  // namespace gangway::containers
