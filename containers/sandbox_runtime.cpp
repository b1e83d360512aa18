#include "containers/sandbox_runtime.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>

#include "containers/accounts.hpp"
#include "containers/cgroup.hpp"
#include "containers/freezer.hpp"
#include "containers/image_getter.hpp"
#include "containers/init_protocol.hpp"
#include "containers/order_queue.hpp"
#include "containers/program_batch.hpp"
#include "containers/remove_tree.hpp"
#include "containers/sandbox_init.hpp"
#include "containers/subordinate_ids.hpp"
#include "containers/tree_walk.hpp"
#include "containers/user_files.hpp"
#include "queues/base/check.hpp"
#include "queues/base/log.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kMaxAccountsBytes = 1 << 20;

struct Opening {  // files of the user that are being opened
  FileOpener opener;
  OpenedFiles files;
  Reactor::WatchId watch = 0;
};

bool is_ignored_by_default(int number) {
  return number == SIGCONT || number == SIGURG || number == SIGWINCH || number == SIGCHLD;
}

bool stops_by_default(int number) {
  return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

std::string describe_end(int status) {
  return WIFSIGNALED(status) ? cat("by signal ", WTERMSIG(status))
                             : cat("with exit code ", WEXITSTATUS(status));
}

}  // namespace

struct SandboxRuntime::Impl : std::enable_shared_from_this<Impl> {
  enum class State {
    New,
    Fetching,
    SettingUp,
    CheckingAccess,
    MakingOutputs,
    Up,
    Failing,
    Failed,
    CleaningUp,
    Gone
  };

  struct Program {
    std::function<void(ProgramEnd)> on_end;
    bool on_host = false;
    bool sent = false;     // its starter knows of it
    int early_signal = 0;  // came before that
    int early_stop = 0;    // the same, of those that make it stand still
  };

  Impl(Reactor& the_reactor, SandboxSettings the_settings)
      : reactor(the_reactor), settings(std::move(the_settings)) {}

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
  std::map<std::string, Fd> outputs;  // opened by prepare, for the first programs
  std::optional<Cgroup> cgroup;
  std::optional<SandboxInit> init;
  Reactor::WatchId init_watch = 0;
  std::optional<HostStarter> host;
  Reactor::WatchId host_watch = 0;
  std::map<pid_t, int> children;  // alive and to be waited for; value unused
  std::map<std::uint32_t, Program> programs;
  bool paused = false;
  std::optional<Freezer> freezer;  // while it is paused by one
  std::int64_t pause_number = 0;   // of the newest order
  std::function<void(Result<void>)> on_paused;
  Fd settle_timer;
  Reactor::WatchId settle_watch = 0;
  OrderQueue init_orders;
  OrderQueue host_orders;
  Fd order_timer;  // tries again
  Reactor::WatchId order_watch = 0;
  std::vector<std::function<void(Impl&)>> held_back;  // starts, until it goes on
  SandboxUsage seen;  // summed from programs that have ended, or last of the group

  Credentials credentials() const {
    return {request.user.uid, request.user.gid, request.user.groups};
  }
  static bool privileged() { return geteuid() == 0; }

  // A callback that does nothing once this object is gone.
  template <typename Method>
  std::function<void()> later(Method method) {
    return [weak = weak_from_this(), method] {
      if (const auto self = weak.lock()) method(*self);
    };
  }

  // ---- prepare ---------------------------------------------------------------------------------
  void prepare(SandboxRequest the_request, std::function<void(Result<SandboxReady>)> done) {
    CHECK(state == State::New);
    request = std::move(the_request);
    on_prepared = std::move(done);
    if (!request.image) {
      state = State::SettingUp;
      // Not at once: the answer comes in a later turn, whatever it is.
      reactor.post(later([](Impl& self) {
        if (self.state == State::SettingUp) self.set_up(nullptr, {});
      }));
      return;
    }
    state = State::Fetching;
    // The sandbox's init has the user's ids; where it has others, a process that has them looks.
    get_image(request.inside == InsideUser::Self ? AccessCheck::ByCaller : AccessCheck::ByChild);
  }

  void get_image(AccessCheck check) {
    getting_image = true;
    images.emplace(reactor, settings.image_helper, settings.image_store, settings.image_bounds);
    images->start(*request.image, credentials(), check,
                  [weak = weak_from_this()](Result<ReadyImage> image) {
                    if (const auto self = weak.lock()) self->on_image(std::move(image));
                  });
  }

  void on_image(Result<ReadyImage> image) {
    getting_image = false;
    if (state != State::Fetching && state != State::CheckingAccess) return child_gone(-1);
    if (!image) return fail(image.error());
    if (state == State::CheckingAccess)
      return take_outputs();  // the tree is the same by its digest
    access_checked = image->access_checked;
    ready.image_env = image->report.env;
    ready.image_entrypoint = image->report.entrypoint;
    ready.image_cmd = image->report.cmd;
    ready.image_workdir = image->report.workdir;
    image_pin = std::move(image->pin);
    state = State::SettingUp;
    std::vector<Fd> slots;
    if (image->tree) slots.push_back(std::move(image->tree));
    set_up(&image->report, std::move(slots));
  }

  // Who programs are inside. Errors: what the image does not know.
  Result<void> choose_identity(const ImageReport& image, const std::vector<Fd>& slots) {
    if (request.inside == InsideUser::Self) return {};
    if (request.inside == InsideUser::Root) {
      ready.inside = UserIdentity{
          .uid = 0, .gid = 0, .groups = {}, .name = "root", .home = "/root", .shell = {}};
      return {};
    }
    const Fd tree(slots.empty() ? open(image.tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)
                                : fcntl(slots[kTreeSlot].get(), F_DUPFD_CLOEXEC, 3));
    if (!tree) return errno_error(cat("open ", image.tree), errno);
    GANGWAY_ASSIGN(ready.inside,
                   find_image_user(read_file_in_tree(tree.get(), "/etc/passwd", kMaxAccountsBytes),
                                   read_file_in_tree(tree.get(), "/etc/group", kMaxAccountsBytes),
                                   image.user));
    return {};
  }

  void set_up(const ImageReport* image, std::vector<Fd> slots) {
    NodeFacts facts;
    if (image != nullptr) {
      if (auto chosen = choose_identity(*image, slots); !chosen) return fail(chosen.error());
    }
    facts.tree_by_slot = !slots.empty();
    facts.check_access = !access_checked;
    facts.devices = settings.devices;
    facts.waivers = settings.waivers;
    if (image != nullptr) {
      facts.tree_path = image->tree;
      facts.hosts_text = read_small_file("/etc/hosts", 1 << 20).value_or("");
      facts.resolv_text = read_small_file("/etc/resolv.conf", 1 << 16).value_or("");
    }
    if (auto started = start_init(facts, std::move(slots)); !started) return fail(started.error());
    init_watch = reactor.watch_readable(init->socket.get(),
                                        later([](Impl& self) { self.on_init_readable(); }));
    watch(init->child.pid());
    init->child.release();
  }

  Result<void> start_init(NodeFacts facts, std::vector<Fd> slots) {
    const SandboxLimits& limits = request.limits;
    if (settings.cgroup_parent.empty()) {
      if (limits.memory || limits.pids || !limits.cores.empty()) {
        return Error(ErrorKind::Invalid, "limits need a control group, and none is configured");
      }
    } else {
      GANGWAY_ASSIGN(Cgroup made, Cgroup::make(read_cgroup_layout(),
                                               {.parent = settings.cgroup_parent,
                                                .name = request.name,
                                                .cores = request.limits.cores,
                                                .memory = request.limits.memory,
                                                .pids = request.limits.pids,
                                                .closed_devices = numbers_of_closed_devices()},
                                               settings.waivers, ready.waivers));
      cgroup = std::move(made);
    }
    if (request.socket) {
      slots.resize(kSocketSlot + 1);
      slots[kSocketSlot] = Fd(fcntl(request.socket->socket->get(), F_DUPFD_CLOEXEC, 3));
    }
    const UserIdentity& user = request.user;
    std::optional<IdMaps> maps = identity_maps(user.uid, user.gid, user.groups, privileged());
    if (ready.inside) {
      GANGWAY_ASSIGN(maps, make_ranged_maps(user, *ready.inside, privileged()));
      facts.inside = ready.inside;
      facts.keep_groups = !privileged();
      if (privileged()) add_own_groups(*maps, *facts.inside);
    }
    GANGWAY_ASSIGN(SandboxPlan plan, make_sandbox_plan(request, facts));
    Result<SandboxInit> spawned =
        spawn_sandbox_init(plan, share(slots), maps, request.private_network);
    if (!spawned && !ready.inside && settings.waivers.contains(Waiver::UserNamespace) &&
        privileged()) {
      ready.waivers.push_back(render_waived(Waiver::UserNamespace, spawned.error().message()));
      facts.user_namespace = false;
      GANGWAY_ASSIGN(plan, make_sandbox_plan(request, facts));
      maps.reset();
      spawned = spawn_sandbox_init(plan, std::move(slots), maps, request.private_network);
    }
    if (!spawned) return spawned.error().with_context("sandbox");
    init = *std::move(spawned);
    if (!cgroup) return {};
    Result<void> added = cgroup->add(init->child.pid());
    if (!added) {
      init->child.abandon();
      init.reset();
    }
    return added;
  }

  [[nodiscard]] std::vector<dev_t> numbers_of_closed_devices() const {
    std::vector<dev_t> numbers;
    for (const std::string& path : request.closed_devices) {
      struct stat status {};
      const bool there = stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode);
      // Another name of a device that is its own stays open.
      const bool own =
          there && std::ranges::any_of(request.devices, [&](const DeviceNode& device) {
            struct stat given {};
            return stat(device.source.c_str(), &given) == 0 && given.st_rdev == status.st_rdev;
          });
      if (there && !own) numbers.push_back(status.st_rdev);
    }
    return numbers;
  }

  // The user's supplementary groups that have a number inside.
  void add_own_groups(const IdMaps& maps, UserIdentity& inside) const {
    for (const gid_t group : request.user.groups) {
      const bool mapped = std::ranges::any_of(maps.gids, [&](const IdRange& range) {
        return range.count == 1 && range.inside == group && range.outside == group;
      });
      if (mapped) inside.groups.push_back(group);
    }
  }

  static std::vector<Fd> share(const std::vector<Fd>& slots) {
    std::vector<Fd> copies;
    copies.reserve(slots.size());
    for (const Fd& slot : slots) copies.emplace_back(fcntl(slot.get(), F_DUPFD_CLOEXEC, 3));
    return copies;
  }

  void on_init_readable() {
    while (init) {
      Result<std::optional<Packet>> packet = receive_packet(init->socket.get(), /*wait=*/false);
      if (packet && !packet.value()) return;
      if (!packet || packet.value()->bytes.empty()) return stop_watching_init();
      const Result<InitReport> report = decode_report(packet.value()->bytes);
      if (!report) return fail(report.error());
      std::visit(overloaded{[&](const SetUp& up) { on_set_up(up, std::move(packet.value()->fds)); },
                            [&](const SetUpFailed& failed) { fail(failed.error); },
                            [&](const ProgramOver& over) { on_program_over(over); },
                            [&](const PauseDone& done) { on_init_paused(done); }},
                 *report);
    }
  }

  void stop_watching_init() {
    if (init_watch != 0) reactor.unwatch(init_watch);
    init_watch = 0;
  }

  void on_set_up(const SetUp& up, std::vector<Fd> opened) {
    if (state != State::SettingUp) return;
    ready.waivers.insert(ready.waivers.end(), up.waived.begin(), up.waived.end());
    if (has_files(request)) ready.files_directory = std::string(kFilesDirectory);
    request.socket.reset();  // the listener is ours alone now
    if (opened.size() == request.outputs.size()) keep_outputs(std::move(opened));
    access_checked = access_checked || up.access_checked;
    if (access_checked) return take_outputs();
    state = State::CheckingAccess;
    get_image(AccessCheck::ByHelper);
  }

  void keep_outputs(std::vector<Fd> opened) {
    for (std::size_t i = 0; i < opened.size(); ++i) {
      outputs[request.outputs[i].path] = std::move(opened[i]);
    }
  }

  // Init has opened them, or they are left to a process of their own.
  void take_outputs() {
    state = State::MakingOutputs;
    if (!outputs.empty() || request.outputs.empty()) return come_up();
    std::vector<UserFile> files;
    for (const ProgramOutput& output : request.outputs) {
      files.push_back(
          {output.path, output.truncate ? UserFile::Mode::Truncate : UserFile::Mode::Append});
    }
    open_files(files, request.umask, [](Impl& self, Result<std::vector<Fd>> opened) {
      if (self.state != State::MakingOutputs) return;
      if (!opened) return self.fail(opened.error());
      self.keep_outputs(*std::move(opened));
      self.come_up();
    });
  }

  void come_up() {
    state = State::Up;
    answer_prepare(ready);
  }

  void answer_prepare(Result<SandboxReady> answer) {
    if (!on_prepared) return;
    const auto done = std::move(on_prepared);
    on_prepared = nullptr;
    done(std::move(answer));
  }

  // Prepare has failed: take everything down, then say so.
  void fail(const Error& error) {
    if (state == State::Up) return lose(error);
    if (state == State::Failing || state == State::Failed || state == State::CleaningUp ||
        state == State::Gone) {
      return;
    }
    failure = error;
    state = State::Failing;
    kill_everything();
    child_gone(-1);
  }

  // The sandbox has broken while it was up: its programs' ends follow from init's.
  void lose(const Error& error) {
    log_warning("sandbox_lost", {{"sandbox", request.name}, {"error", error.message()}});
    kill_everything();
  }

  void kill_everything() {
    if (getting_image) images->give_up();
    for (const auto& [pid, unused] : children) {
      if (!host || pid != host->child.pid()) kill(pid, SIGKILL);
    }
    stop_settling();
    stop_order_timer();
    if (freezer) freezer->thaw();
    if (!host) {
      if (cgroup) cgroup->kill_all();
      return;
    }
    // It reaps its programs and ends; killed with the group, it would leave them as zombies to the
    // node's first process. All others die with init's process namespace.
    shutdown(host->socket.get(), SHUT_RDWR);
  }

  // ---- children ---------------------------------------------------------------------------------
  void watch(pid_t pid) {
    children.emplace(pid, 0);
    reactor.watch_child(pid, [weak = weak_from_this(), pid](int status) {
      if (const auto self = weak.lock()) self->on_child_exit(pid, status);
    });
  }

  void on_child_exit(pid_t pid, int status) {
    if (init && pid == init->child.pid()) on_init_exit(status);
    if (host && pid == host->child.pid()) on_host_exit();
    child_gone(pid);
  }

  void on_init_exit(int status) {
    // What it said last lies in the socket still.
    on_init_readable();
    stop_watching_init();
    if (state == State::SettingUp || state == State::CheckingAccess ||
        state == State::MakingOutputs) {
      fail(Error(ErrorKind::Internal,
                 cat("sandbox: its first process ended ", describe_end(status))));
    }
    end_programs(/*on_host=*/false);
  }

  void on_host_exit() {
    on_host_readable();
    if (host_watch != 0) reactor.unwatch(host_watch);
    host_watch = 0;
    end_programs(/*on_host=*/true);
  }

  // Programs whose starter is gone are gone too.
  void end_programs(bool on_host) {
    std::vector<std::uint32_t> ids;
    for (const auto& [id, program] : programs) {
      if (program.on_host == on_host && program.sent) ids.push_back(id);
    }
    for (const std::uint32_t id : ids) ended_by(id, SIGKILL);
  }

  void ended_by(std::uint32_t id, int signal_number) {
    end_program({.id = id, .started = true, .wait_status = signal_number, .message = {}});
  }

  void end_program(ProgramEnd end) {
    const auto found = programs.find(end.id);
    if (found == programs.end()) return;
    const auto on_end = std::move(found->second.on_end);
    programs.erase(found);
    if (on_end) on_end(std::move(end));
  }

  void not_started(std::uint32_t id, std::string why) {
    end_program({.id = id, .started = false, .wait_status = 0, .message = std::move(why)});
  }

  // A process has ended (-1: something else has): is that the last?
  void child_gone(pid_t pid) {
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

  // After the last process: groups, directory.
  void take_down() {
    note_usage();
    if (cgroup) {
      if (auto removed = cgroup->remove(); !removed) {
        log_warning("cgroup_left_behind",
                    {{"sandbox", request.name}, {"error", removed.error().message()}});
      }
      cgroup.reset();
    }
    stop_watching_init();
    stop_order_timer();
    init.reset();
    host.reset();
    freezer.reset();
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

  // ---- programs ---------------------------------------------------------------------------------
  void start(std::vector<ProgramRequest> requests, const std::function<void(ProgramEnd)>& on_end) {
    if (state != State::Up) {
      for (const ProgramRequest& program : requests) {
        programs.emplace(program.id, Program{on_end, program.host_files});
        reactor.post(later(
            [id = program.id](Impl& self) { self.not_started(id, "the sandbox was taken down"); }));
      }
      return;
    }
    for (const ProgramRequest& program : requests) {
      CHECK(!programs.contains(program.id));
      programs.emplace(program.id, Program{on_end, program.host_files});
    }
    const std::vector<UserFile> files = files_of(requests);
    const mode_t mask = requests.empty() ? 022 : requests.front().umask;
    // Shared, because std::function wants what it captures to be copyable.
    auto pending = std::make_shared<std::vector<ProgramRequest>>(std::move(requests));
    open_files(files, mask, [pending, files](Impl& self, Result<std::vector<Fd>> opened) {
      // One that stands still would start them at once, or has no room for so many orders. Signals
      // that wait are not meant for them, and go before.
      if (!self.paused && self.init_orders.size() + self.host_orders.size() == 0) {
        return self.send_programs(*pending, files, std::move(opened));
      }
      auto kept = std::make_shared<Result<std::vector<Fd>>>(std::move(opened));
      self.held_back.emplace_back([pending, files, kept](Impl& later_self) {
        later_self.send_programs(*pending, files, std::move(*kept));
      });
    });
  }

  void send_programs(std::vector<ProgramRequest>& requests,
                     const std::vector<UserFile>& files,
                     Result<std::vector<Fd>> opened) {
    if (!opened) {
      for (const ProgramRequest& program : requests) {
        not_started(program.id, opened.error().message());
      }
      return;
    }
    // Meanwhile some may have been killed.
    std::erase_if(requests, [&](const ProgramRequest& program) {
      const auto found = programs.find(program.id);
      if (found == programs.end()) return true;
      const int signal_number = found->second.early_signal;
      if (signal_number != 0) ended_by(program.id, signal_number);
      return signal_number != 0;
    });
    std::vector<int> numbers;
    for (const Fd& fd : *opened) numbers.push_back(fd.get());
    for (const ProgramBatch& batch : make_batches(requests, files, numbers)) send(batch);
  }

  void send(const ProgramBatch& batch) {
    Result<void> sent = batch.host_files ? start_host() : Result<void>();
    if (sent) sent = send_to(batch.host_files ? host->socket.get() : inside_socket(), batch);
    for (const ProgramOrder& order : batch.programs) {
      const auto found = programs.find(order.id);
      if (found == programs.end()) continue;
      found->second.sent = true;
      if (!sent) {
        not_started(order.id, sent.error().message());
      } else if (found->second.early_stop != 0) {
        signal(found->second.early_stop, order.id);
      }
    }
  }

  [[nodiscard]] int inside_socket() const { return init ? init->socket.get() : -1; }

  static Result<void> send_to(int socket, const ProgramBatch& batch) {
    if (socket < 0) return Error(ErrorKind::Unavailable, "the sandbox is gone");
    GANGWAY_ASSIGN(const Fd list, make_memory_file(encode_programs(batch.programs)));
    std::vector<int> fds{list.get()};
    fds.insert(fds.end(), batch.fds.begin(), batch.fds.end());
    return send_packet(socket, encode_order(StartOrder{}), fds, /*wait=*/false);
  }

  Result<void> start_host() {
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

  void on_host_readable() {
    while (host) {
      Result<std::optional<Packet>> packet = receive_packet(host->socket.get(), /*wait=*/false);
      if (packet && !packet.value()) return;
      if (!packet || packet.value()->bytes.empty()) {
        if (host_watch != 0) reactor.unwatch(host_watch);
        host_watch = 0;
        return;
      }
      const Result<InitReport> report = decode_report(packet.value()->bytes);
      if (!report) return lose(report.error());
      if (const auto* over = std::get_if<ProgramOver>(&*report)) on_program_over(*over);
    }
  }

  void on_program_over(const ProgramOver& over) {
    seen.cpu = seen.cpu + over.cpu;
    seen.peak_memory = std::max(seen.peak_memory, over.peak_memory);
    seen.read = seen.read + over.read;
    seen.written = seen.written + over.written;
    end_program({.id = over.id,
                 .started = over.started,
                 .wait_status = over.wait_status,
                 .message = over.message,
                 .cpu = over.cpu,
                 .peak_memory = over.peak_memory,
                 .read = over.read,
                 .written = over.written});
  }

  void signal(int number, std::optional<std::uint32_t> id) {
    const std::string order = encode_order(SignalOrder{.number = number, .id = id});
    const auto found = id ? programs.find(*id) : programs.end();
    if (id && found == programs.end()) return;
    for (auto& [program_id, program] : programs) {
      const bool meant = id ? program_id == *id : !program.on_host || number == SIGKILL;
      if (meant) signal_early(program, number);
    }
    const bool to_host = id ? found->second.on_host : number == SIGKILL;
    const bool to_inside = id ? !found->second.on_host : true;
    if (to_host && host) host_orders.add(order);
    if (to_inside && init) init_orders.add(order);
    send_orders();
  }

  // Those that no starter knows of yet would die of it in their first moment, or stand still.
  static void signal_early(Program& program, int number) {
    if (program.sent) return;
    if (number == SIGCONT) program.early_stop = 0;
    if (is_ignored_by_default(number)) return;
    if (stops_by_default(number)) {
      program.early_stop = number;
    } else if (program.early_signal == 0) {
      program.early_signal = number;
    }
  }

  void signal_others(int number, std::uint32_t id) {
    for (auto& [program_id, program] : programs) {
      if (program_id != id && !program.on_host) signal_early(program, number);
    }
    if (!init) return;
    init_orders.add(encode_order(SignalOrder{.number = number, .id = id, .others = true}));
    send_orders();
  }

  // What a starter has no room for is kept until it reads again; one that stands still reads when
  // it goes on.
  void send_orders() {
    stop_order_timer();
    bool done = !init || init_orders.send(init->socket.get());
    done = (!host || host_orders.send(host->socket.get())) && done;
    if (done && !paused) return start_held_back();
    if (done || (paused && freezer)) return;
    Result<Fd> timer = make_timer();
    if (!timer) return lose(timer.error());
    order_timer = *std::move(timer);
    order_watch =
        reactor.watch_readable(order_timer.get(), later([](Impl& self) { self.send_orders(); }));
  }

  void stop_order_timer() {
    if (order_watch != 0) reactor.unwatch(order_watch);
    order_watch = 0;
    order_timer.reset();
  }

  static Result<Fd> make_timer() {
    constexpr long kAgainNs = 2'000'000;
    const itimerspec soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kAgainNs}};
    Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!timer || timerfd_settime(timer.get(), 0, &soon, nullptr) != 0) {
      return errno_error("wait for the sandbox", errno);
    }
    return timer;
  }

  // ---- pausing ----------------------------------------------------------------------------------
  void pause(bool on, std::function<void(Result<void>)> done) {
    stop_settling();
    on_paused = std::move(done);
    ++pause_number;
    if (state != State::Up || !init) {
      return answer_pause(Error(ErrorKind::Conflict, "there is no sandbox to pause"));
    }
    if (on && !freezer && !paused && settings.use_freezer && cgroup) {
      freezer = Freezer::find(cgroup->directories());
    }
    paused = on;
    if (freezer) return settle();
    init_orders.add(encode_order(PauseOrder{on, pause_number}));
    send_orders();
  }

  void start_held_back() {
    for (const auto& start : std::exchange(held_back, {})) start(*this);
  }

  // Asks again until all have come to rest: v1 may stop half-way where processes fork.
  void settle() {
    if (const Result<void> asked = freezer->ask(paused); !asked) return answer_pause(asked);
    const Result<bool> settled = freezer->is_settled(paused);
    if (!settled) return answer_pause(settled.error());
    if (*settled) {
      if (!paused) {
        freezer.reset();
        send_orders();
      }
      return answer_pause({});
    }
    Result<Fd> timer = make_timer();
    if (!timer) return answer_pause(timer.error());
    settle_timer = *std::move(timer);
    settle_watch = reactor.watch_readable(settle_timer.get(), later([](Impl& self) {
                                            self.stop_settling();
                                            self.settle();
                                          }));
  }

  void stop_settling() {
    if (settle_watch != 0) reactor.unwatch(settle_watch);
    settle_watch = 0;
    settle_timer.reset();
  }

  void on_init_paused(const PauseDone& done) {
    if (done.number == pause_number) answer_pause({});
  }

  // In a later turn.
  void answer_pause(Result<void> answer) {
    reactor.post(later([answer = std::move(answer), number = pause_number](Impl& self) {
      if (number != self.pause_number || !self.on_paused) return;
      const auto done = std::move(self.on_paused);
      self.on_paused = nullptr;
      done(answer);
    }));
  }

  // ---- files of the user ------------------------------------------------------------------------
  // What prepare has opened is for the first programs, whose outputs they are, and for no others
  // later: a file that has been moved away meanwhile is made anew for them.
  std::vector<Fd> take_kept(const std::vector<UserFile>& files) {
    const auto is_kept = [&](const UserFile& file) {
      return file.mode == UserFile::Mode::Append && outputs.contains(file.path);
    };
    std::vector<Fd> taken;
    if (files.empty() || !std::ranges::all_of(files, is_kept)) return taken;
    for (const UserFile& file : files) {
      taken.push_back(std::move(outputs.extract(file.path).mapped()));
    }
    outputs.clear();
    return taken;
  }

  void open_files(const std::vector<UserFile>& files,
                  mode_t mask,
                  std::function<void(Impl&, Result<std::vector<Fd>>)> then) {
    std::vector<Fd> open_already = take_kept(files);
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

  // ---- the end ----------------------------------------------------------------------------------
  void note_usage() {
    if (!cgroup) return;
    const CgroupUsage usage = cgroup->usage();
    if (usage.cpu) seen.cpu = *usage.cpu;
    if (usage.peak_memory) seen.peak_memory = *usage.peak_memory;
    seen.out_of_memory = seen.out_of_memory || usage.out_of_memory;
  }

  [[nodiscard]] SandboxUsage usage() const {
    SandboxUsage now = seen;
    if (!cgroup) return now;
    const CgroupUsage group = cgroup->usage();
    if (group.cpu) now.cpu = *group.cpu;
    if (group.peak_memory) now.peak_memory = *group.peak_memory;
    now.out_of_memory = now.out_of_memory || group.out_of_memory;
    return now;
  }

  void cleanup(std::function<void(SandboxUsage)> done) {
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

  void finish_cleanup() {
    state = State::Gone;
    take_down();
    end_programs(/*on_host=*/false);
    end_programs(/*on_host=*/true);
    std::vector<std::uint32_t> never_sent;
    for (const auto& [id, program] : programs) never_sent.push_back(id);
    for (const std::uint32_t id : never_sent) {
      not_started(id, "the sandbox was taken down");
    }
    const auto done = std::move(on_clean);
    on_clean = nullptr;
    if (done) done(seen);
  }

  // The last resort of a destructor: nothing survives, nothing is told.
  void destroy() {
    images.reset();
    getting_image = false;
    stop_watching_init();
    if (host_watch != 0) reactor.unwatch(host_watch);
    stop_settling();
    stop_order_timer();
    kill_everything();
  }
};

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
