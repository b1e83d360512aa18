// How a sandbox comes up: its image, its first process, the outputs of its programs; or how that
// fails.
#include <sys/wait.h>

#include <utility>

#include "containers/sandbox_plan.hpp"
#include "containers/sandbox_runtime_impl.hpp"
#include "containers/sandbox_spawn.hpp"
#include "queues/base/check.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/small_file.hpp"

namespace gangway::containers {

void SandboxRuntime::Impl::prepare(SandboxRequest the_request,
                                   std::function<void(Result<SandboxReady>)> done) {
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

void SandboxRuntime::Impl::get_image(AccessCheck check) {
  getting_image = true;
  images.emplace(reactor, settings.image_helper, settings.image_store, settings.image_bounds);
  images->start(*request.image, credentials(), check,
                [weak = weak_from_this()](Result<ReadyImage> image) {
                  if (const auto self = weak.lock()) self->on_image(std::move(image));
                });
}

void SandboxRuntime::Impl::on_image(Result<ReadyImage> image) {
  getting_image = false;
  if (state != State::Fetching && state != State::CheckingAccess) return child_gone(-1);
  if (!image) return fail(image.error());
  if (state == State::CheckingAccess) return take_outputs();  // the tree is the same by its digest
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

void SandboxRuntime::Impl::set_up(const ImageReport* image, std::vector<Fd> slots) {
  NodeFacts facts;
  if (image != nullptr) {
    Result<std::optional<UserIdentity>> inside = choose_inside(request, *image, slots);
    if (!inside) return fail(inside.error());
    ready.inside = *std::move(inside);
    facts.tree_path = image->tree;
    facts.hosts_text = read_small_file("/etc/hosts", 1 << 20).value_or("");
    facts.resolv_text = read_small_file("/etc/resolv.conf", 1 << 16).value_or("");
  }
  facts.tree_by_slot = !slots.empty();
  facts.check_access = !access_checked;
  facts.devices = settings.devices;
  facts.waivers = settings.waivers;
  facts.inside = ready.inside;
  const Result<void> started = start_init(std::move(facts), std::move(slots));
  if (!started) return fail(started.error());
  init_watch = reactor.watch_readable(init->socket.get(),
                                      later([](Impl& self) { self.on_init_readable(); }));
  watch(init->child.pid());
  init->child.release();
}

Result<void> SandboxRuntime::Impl::start_init(NodeFacts facts, std::vector<Fd> slots) {
  GANGWAY_ASSIGN(cgroup, make_sandbox_cgroup(request, settings, ready.waivers));
  GANGWAY_ASSIGN(init, spawn_sandbox(request, settings.waivers, std::move(facts), std::move(slots),
                                     ready.waivers));
  if (!cgroup) return {};
  Result<void> added = cgroup->add(init->child.pid());
  if (!added) {
    init->child.abandon();
    init.reset();
  }
  return added;
}

void SandboxRuntime::Impl::on_init_readable() {
  while (init) {
    Result<std::optional<Packet>> packet = receive_packet(init->socket.get(), /*wait=*/false);
    if (packet && !packet.value()) return;
    if (!packet || packet.value()->bytes.empty()) return stop_watching_init();
    const Result<InitReport> report = decode_report(packet.value()->bytes);
    if (!report) return fail(report.error());
    std::visit(overloaded{[&](const SetUp& up) { on_set_up(up, std::move(packet.value()->fds)); },
                          [&](const SetUpFailed& failed) { fail(failed.error); },
                          [&](const ProgramOver& over) { on_program_over(over); },
                          [&](const PauseDone& done) { pausing.on_init_done(done); }},
               *report);
  }
}

void SandboxRuntime::Impl::stop_watching_init() {
  if (init_watch != 0) reactor.unwatch(init_watch);
  init_watch = 0;
}

void SandboxRuntime::Impl::on_set_up(const SetUp& up, std::vector<Fd> opened) {
  if (state != State::SettingUp) return;
  ready.waivers.insert(ready.waivers.end(), up.waived.begin(), up.waived.end());
  if (has_files(request)) ready.files_directory = std::string(kFilesDirectory);
  request.socket.reset();  // the listener is ours alone now
  if (opened.size() == request.outputs.size()) outputs.keep(request.outputs, std::move(opened));
  access_checked = access_checked || up.access_checked;
  if (access_checked) return take_outputs();
  state = State::CheckingAccess;
  get_image(AccessCheck::ByHelper);
}

// Init has opened them, or they are left to a process of their own.
void SandboxRuntime::Impl::take_outputs() {
  state = State::MakingOutputs;
  if (!outputs.is_empty() || request.outputs.empty()) return come_up();
  std::vector<UserFile> files;
  for (const ProgramOutput& output : request.outputs) {
    files.push_back(
        {output.path, output.truncate ? UserFile::Mode::Truncate : UserFile::Mode::Append});
  }
  open_files(files, request.umask, [](Impl& self, Result<std::vector<Fd>> opened) {
    if (self.state != State::MakingOutputs) return;
    if (!opened) return self.fail(opened.error());
    self.outputs.keep(self.request.outputs, *std::move(opened));
    self.come_up();
  });
}

void SandboxRuntime::Impl::come_up() {
  state = State::Up;
  answer_prepare(ready);
}

void SandboxRuntime::Impl::answer_prepare(Result<SandboxReady> answer) {
  if (!on_prepared) return;
  const auto done = std::exchange(on_prepared, nullptr);
  done(std::move(answer));
}

// Takes everything down, then says so. What breaks later is another matter.
void SandboxRuntime::Impl::fail(const Error& error) {
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

}  // namespace gangway::containers
