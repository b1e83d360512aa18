#include "containers/image_getter.hpp"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "containers/image_access.hpp"
#include "containers/image_fetch.hpp"
#include "containers/image_store.hpp"
#include "containers/namespaces.hpp"
#include "containers/sandbox_run.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

// An image that is removed again and again between unpack and use.
constexpr int kMaxRemovals = 5;

// Overlays take layers with mapped owners from this kernel on.
bool overlay_takes_mapped_layers() {
  utsname names{};
  if (uname(&names) != 0) return false;
  const std::vector<std::string_view> parts = split(names.release, '.');
  const int major = parts.empty() ? 0 : parse_integer<int>(parts[0]).value_or(0);
  const int minor = parts.size() < 2 ? 0 : parse_integer<int>(parts[1]).value_or(0);
  return major > 5 || (major == 5 && minor >= 19);
}

// Unsupported: take the variant that everybody may read.
Result<Fd> open_tree_for(const ImageReport& image, const Credentials& user, bool readable_by_all) {
  if (geteuid() != 0) return Fd();  // the tree is the user's own, and opened by path
  const Fd directory(open(image.tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_error(cat("open ", image.tree), errno);
  Fd map;
  const bool same = image.owner_uid == user.uid && image.owner_gid == user.gid;
  if (!same && !readable_by_all) {
    if (!overlay_takes_mapped_layers()) {
      return Error(ErrorKind::Unsupported, "overlays take no mapped layers");
    }
    const IdMaps maps{.uids = {{.inside = image.owner_uid, .outside = user.uid}},
                      .gids = {{.inside = image.owner_gid, .outside = user.gid}},
                      .deny_setgroups = false};
    GANGWAY_ASSIGN(map, make_user_namespace(maps));
  }
  return clone_tree(directory.get(), map ? map.get() : -1);
}

}  // namespace

struct ImageGetter::Run : std::enable_shared_from_this<Run> {
  Run(Reactor& the_reactor, std::string the_helper, std::string the_store, GcPolicy the_bounds)
      : reactor(the_reactor),
        helper(std::move(the_helper)),
        store(std::move(the_store)),
        bounds(the_bounds) {}

  Reactor& reactor;
  std::string helper;
  std::string store;
  GcPolicy bounds;
  ImageSource source;
  Credentials user;
  AccessCheck access_check = AccessCheck::ByChild;
  bool access_checked = true;  // of what is about to be answered
  bool readable_by_all = false;
  std::function<void(Result<ReadyImage>)> done;
  bool given_up = false;
  pid_t checking = -1;
  int removals = 0;
  std::optional<ImageFetch> fetch;

  void answer(Result<ReadyImage> result) {
    if (!done) return;
    const auto callback = std::move(done);
    done = nullptr;
    callback(std::move(result));
  }

  void answer_later(const Error& error) {
    reactor.post([self = shared_from_this(), error] { self->answer(error); });
  }

  void begin() {
    if (access_check == AccessCheck::ByHelper) return begin_fetch();
    std::optional<ImageReport> stored =
        find_stored_layout(store, source, user.uid, readable_by_all);
    if (!stored) return begin_fetch();
    if (access_check == AccessCheck::ByCaller) {
      access_checked = false;
      reactor.post([self = shared_from_this(), image = *std::move(stored)] { self->use(image); });
      return;
    }
    const Result<pid_t> check = spawn_access_check(user, source);
    if (!check) return begin_fetch();
    checking = *check;
    reactor.watch_child(checking,
                        [self = shared_from_this(), image = *std::move(stored)](int status) {
                          self->checking = -1;
                          if (self->given_up) return self->answer_given_up();
                          // If the user may not, the helper says why.
                          if (status != 0) return self->begin_fetch();
                          self->use(image);
                        });
  }

  void begin_fetch() {
    access_checked = true;  // by the helper
    stop_watching();        // of one before, whose image was removed again
    stop_watching_errors();
    Result<ImageFetch> started = ImageFetch::start({.helper = helper,
                                                    .store = store,
                                                    .source = source,
                                                    .user = user,
                                                    .readable_by_all = readable_by_all,
                                                    .bounds = bounds});
    if (!started) return answer_later(started.error());
    fetch = *std::move(started);
    fetch->set_watch(reactor.watch_readable(fetch->output(),
                                            [self = shared_from_this()] { self->on_output(); }));
    fetch->set_error_watch(reactor.watch_readable(
        fetch->errors(), [self = shared_from_this()] { self->on_errors(); }));
    reactor.watch_child(fetch->pid(), [self = shared_from_this(), pid = fetch->pid()](int status) {
      self->on_exit(pid, status);
    });
  }

  void stop_watching() {
    if (!fetch || fetch->watch() == 0) return;
    reactor.unwatch(fetch->watch());
    fetch->set_watch(0);
  }

  void stop_watching_errors() {
    if (!fetch || fetch->error_watch() == 0) return;
    reactor.unwatch(fetch->error_watch());
    fetch->set_error_watch(0);
  }

  void on_errors() {
    const auto keep = shared_from_this();
    if (fetch->read_errors()) stop_watching_errors();
  }

  void on_output() {
    const auto keep = shared_from_this();  // unwatch() takes the function's own away
    if (!fetch->read_output()) return;     // more to come
    stop_watching();
    // Without a whole report its exit tells why.
    if (!given_up && fetch->complete()) use_report();
  }

  // The helper may live on for a moment after its report, to bring the tree safely to disk; nobody
  // waits for that. Its exit and its last words may also be seen in either order.
  void on_exit(pid_t pid, int status) {
    if (!fetch || fetch->pid() != pid) return;
    fetch->read_output();
    stop_watching();
    stop_watching_errors();
    fetch->set_exited();
    if (given_up) return answer_given_up();
    if (fetch->complete()) return use_report();
    answer(fetch->failure(status));
  }

  void use_report() {
    if (!done) return;
    const Result<ImageReport> report = fetch->report();
    if (!report) return answer(report.error());
    use(*report);
  }

  // It is in the store; but another may remove it before it is pinned.
  Result<Fd> pin() const {
    GANGWAY_ASSIGN(const Digest digest, Digest::parse(source.manifest_digest));
    return ImageStore::at(store).pin({digest, readable_by_all});
  }

  void use(const ImageReport& image) {
    if (!done) return;
    Result<Fd> pinned = pin();
    if (!pinned && pinned.error().kind() == ErrorKind::NotFound && ++removals < kMaxRemovals) {
      return begin_fetch();
    }
    if (!pinned) return answer(pinned.error());
    Result<Fd> tree = open_tree_for(image, user, readable_by_all);
    if (tree) {
      return answer(ReadyImage{image, access_checked, *std::move(tree), *std::move(pinned)});
    }
    if (tree.error().kind() != ErrorKind::Unsupported || readable_by_all) {
      return answer(tree.error());
    }
    readable_by_all = true;
    stop_watching();
    stop_watching_errors();
    fetch.reset();
    begin();
  }

  void answer_given_up() { answer(Error(ErrorKind::Unavailable, "preparation was given up")); }

  void give_up() {
    given_up = true;
    if (checking > 0) kill(checking, SIGKILL);
    // With its report out it does not count any more.
    const bool fetching = fetch && !fetch->exited() && !fetch->complete();
    if (fetching) kill(fetch->pid(), SIGKILL);
    if (checking < 0 && !fetching && done) {
      reactor.post([self = shared_from_this()] { self->answer_given_up(); });
    }
  }
};

ImageGetter::ImageGetter(Reactor& reactor, std::string helper, std::string store, GcPolicy bounds)
    : run_(std::make_shared<Run>(reactor, std::move(helper), std::move(store), bounds)) {}

ImageGetter::~ImageGetter() {
  run_->done = nullptr;
  run_->stop_watching();
  run_->stop_watching_errors();
  run_->give_up();
}

void ImageGetter::start(ImageSource source,
                        Credentials user,
                        AccessCheck check,
                        std::function<void(Result<ReadyImage>)> done) {
  CHECK(!run_->done);
  run_->source = std::move(source);
  run_->user = std::move(user);
  run_->access_check = check;
  run_->done = std::move(done);
  run_->begin();
}

void ImageGetter::give_up() { run_->give_up(); }

}  // namespace gangway::containers
