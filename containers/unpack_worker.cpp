#include "containers/unpack_worker.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "containers/byte_codec.hpp"
#include "containers/init_protocol.hpp"
#include "containers/layer_unpack.hpp"
#include "containers/namespaces.hpp"
#include "containers/privileges.hpp"
#include "containers/seccomp_filter.hpp"
#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"
#include "queues/base/time.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kMaxAnswerBytes = 64 << 20;
constexpr std::uint64_t kNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

enum Op : std::int64_t { kIndex = 1, kManifest, kDockerImages, kConfig, kUnpack, kFinish };

Error failed(std::string what) { return errno_error(std::move(what), errno); }

// ---- in the worker -----------------------------------------------------------------------------

// The tree becomes "/", and nothing else is left of the file system. `tree`: a mount that is not
// attached anywhere.
Result<void> enter_tree(int tree) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return failed("make mounts private");
  }
  if (move_mount(tree, "", AT_FDCWD, "/tmp", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return failed("attach tree");
  }
  if (chdir("/tmp") != 0) return failed("enter tree");
  if (syscall(SYS_pivot_root, ".", ".") != 0) return failed("pivot to the tree");
  if (umount2(".", MNT_DETACH) != 0) return failed("leave the old root");
  if (chdir("/") != 0) return failed("enter tree");
  return {};
}

// An empty file system, for a worker that only reads.
Result<Fd> empty_mount() {
  const Fd context(fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context) return failed("make an empty file system");
  fsconfig(context.get(), FSCONFIG_SET_STRING, "size", "4k", 0);
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return failed("make an empty file system");
  }
  Fd mount(fsmount(context.get(), FSMOUNT_CLOEXEC,
                   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  if (!mount) return failed("mount an empty file system");
  return mount;
}

Result<Fd> clone_tree_mount(const std::string& path) {
  Fd tree(open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return failed(cat("open ", path));
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH, &change, sizeof change) != 0) {
    return failed(cat("set mount attributes of ", path));
  }
  return tree;
}

void limit(__rlimit_resource what, rlim_t value) {
  rlimit bound{};
  if (getrlimit(what, &bound) != 0) return;
  if (bound.rlim_max != RLIM_INFINITY && bound.rlim_max < value) value = bound.rlim_max;
  bound = {.rlim_cur = value, .rlim_max = value};
  setrlimit(what, &bound);
}

Result<void> give_up_rights(const WorkerSetup& setup, bool privileged) {
  limit(RLIMIT_FSIZE, static_cast<rlim_t>(setup.limits.max_file_bytes));
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, 1024);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, rlim_t{4} << 30);
#endif
  GANGWAY_TRY(drop_bounding_capabilities());
  if (privileged) GANGWAY_TRY(become({setup.uid, setup.gid, {}}));
  GANGWAY_TRY(set_parent_death_signal());
  GANGWAY_TRY(drop_capabilities());
  GANGWAY_TRY(set_no_new_privileges());
  GANGWAY_TRY(set_not_dumpable());
  return load_seccomp(SeccompProfile::Unpack);
}

void put_descriptor(ByteWriter& out, const Descriptor& descriptor) {
  out.text(descriptor.media_type);
  out.text(descriptor.digest.text());
  out.number(descriptor.size);
}

class Server {
 public:
  Server(Fd socket, Fd root, const WorkerSetup& setup)
      : socket_(std::move(socket)),
        limits_(setup.limits),
        writer_(std::move(root), setup.limits, setup.readable_by_all) {}

  int run() {
    while (true) {
      Result<std::optional<Packet>> packet = receive_packet(socket_.get(), /*wait=*/true);
      if (!packet || !packet.value() || packet.value()->bytes.empty()) return 0;
      if (packet.value()->fds.empty()) return 70;
      const Result<std::string> answer = serve(*packet.value());
      // The first descriptor is where the answer's bytes go.
      const std::string bytes = answer ? *answer : encode_report(SetUpFailed{answer.error()});
      if (!write_answer(packet.value()->fds.front().get(), bytes)) return 70;
      if (!send_packet(socket_.get(), answer ? "+" : "-", {}, /*wait=*/true)) return 0;
    }
  }

 private:
  static bool write_answer(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = write(fd, bytes.data(), bytes.size());
      if (written <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  Result<std::string> serve(const Packet& packet) {
    ByteReader in(packet.bytes);
    const std::int64_t op = in.number();
    const int subject = packet.fds.size() > 1 ? packet.fds[1].get() : -1;
    switch (op) {
      case kIndex:
        return serve_index(subject);
      case kManifest:
        return serve_manifest(subject);
      case kDockerImages:
        return serve_docker_images(subject);
      case kConfig:
        return serve_config(subject, static_cast<std::size_t>(in.number()));
      case kUnpack: {
        const std::int64_t offset = in.number();
        const std::int64_t size = in.number();
        GANGWAY_ASSIGN(const Digest diff_id, Digest::parse(in.text()));
        GANGWAY_TRY(unpack_layer({.fd = subject, .offset = offset, .size = size}, diff_id, limits_,
                                 writer_));
        return std::string("ok");
      }
      case kFinish: {
        ByteWriter out;
        out.number(writer_.counts().entries);
        out.number(writer_.counts().bytes);
        out.number(writer_.counts().devices_skipped);
        out.number(writer_.counts().xattrs_dropped);
        return out.take();
      }
      default:
        return Error(ErrorKind::Internal, "unknown request");
    }
  }

  static Result<std::string> serve_index(int archive) {
    GANGWAY_ASSIGN(const ArchiveIndex index, index_archive(archive));
    ByteWriter out;
    out.number(static_cast<std::int64_t>(index.places.size()));
    for (const auto& [name, place] : index.places) {
      out.text(name);
      out.number(place.offset);
      out.number(place.size);
      out.text(place.link);
    }
    return out.take();
  }

  static Result<std::string> serve_manifest(int document) {
    GANGWAY_ASSIGN(const std::string text, read_memory_file(document));
    GANGWAY_ASSIGN(const ImageManifest manifest, parse_manifest(text, ""));
    ByteWriter out;
    put_descriptor(out, manifest.config);
    out.number(static_cast<std::int64_t>(manifest.layers.size()));
    for (const Descriptor& layer : manifest.layers) put_descriptor(out, layer);
    return out.take();
  }

  static Result<std::string> serve_docker_images(int document) {
    GANGWAY_ASSIGN(const std::string text, read_memory_file(document));
    GANGWAY_ASSIGN(const std::vector<DockerImage> images, parse_docker_manifest(text));
    ByteWriter out;
    out.number(static_cast<std::int64_t>(images.size()));
    for (const DockerImage& image : images) {
      out.text(image.config);
      out.texts(image.layers);
    }
    return out.take();
  }

  static Result<std::string> serve_config(int document, std::size_t layers) {
    GANGWAY_ASSIGN(const std::string text, read_memory_file(document));
    GANGWAY_ASSIGN(const ImageConfig config, parse_config(text));
    GANGWAY_TRY(check_config(config, layers, this_platform()));
    ByteWriter out;
    out.number(static_cast<std::int64_t>(config.diff_ids.size()));
    for (const Digest& diff_id : config.diff_ids) out.text(diff_id.text());
    out.texts(config.env);
    out.texts(config.entrypoint);
    out.texts(config.cmd);
    out.text(config.workdir);
    out.text(config.user);
    out.text(config.stop_signal);
    return out.take();
  }

  Fd socket_;
  UnpackLimits limits_;
  TreeWriter writer_;
};

struct Confinement {
  std::uint64_t flags = 0;
  bool privileged = false;
  bool namespaces = true;
};

int worker_main(const WorkerSetup& setup, const Confinement& how, Fd socket, Fd tree) {
  umask(0);
  signal(SIGXFSZ, SIG_IGN);  // writing too much is an error then, and no end
  signal(SIGPIPE, SIG_IGN);
  const auto confine = [&]() -> Result<Fd> {
    std::vector<int> keep{socket.get()};
    if (tree) keep.push_back(tree.get());
    std::sort(keep.begin(), keep.end());
    GANGWAY_TRY(close_from(3, keep));
    std::string root = setup.tree.empty() ? "/" : setup.tree;
    if (how.namespaces) {
      if (!tree) {
        GANGWAY_ASSIGN(tree, setup.tree.empty() ? empty_mount() : clone_tree_mount(setup.tree));
      }
      GANGWAY_TRY(enter_tree(tree.get()));
      tree.reset();
      root = "/";
    }
    Fd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return failed("open tree");
    GANGWAY_TRY(give_up_rights(setup, how.privileged));
    return fd;
  };
  Result<Fd> root = confine();
  const std::string hello =
      root ? "+" : "-" + encode_report(SetUpFailed{root.error().with_context("confine unpacker")});
  if (!send_packet(socket.get(), hello, {}, /*wait=*/true) || !root) return 70;
  return Server(std::move(socket), *std::move(root), setup).run();
}

// ---- in the caller -----------------------------------------------------------------------------

Result<Descriptor> get_descriptor(ByteReader& in) {
  std::string media_type = in.text();
  GANGWAY_ASSIGN(Digest digest, Digest::parse(in.text()));
  const std::int64_t size = in.number();
  if (size < 0) return Error(ErrorKind::Corrupt, "negative size");
  return Descriptor{.media_type = std::move(media_type),
                    .digest = std::move(digest),
                    .size = size,
                    .platform = std::nullopt,
                    .reference = ""};
}

Error bad_answer() { return Error(ErrorKind::Internal, "the unpacker answered nonsense"); }

Result<std::string> read_answer(int fd) {
  const off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0 || static_cast<std::size_t>(size) > kMaxAnswerBytes) return bad_answer();
  return read_memory_file(fd);
}

}  // namespace

UnpackWorker::UnpackWorker(UnpackWorker&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      socket_(std::move(other.socket_)),
      answer_(std::move(other.answer_)),
      unconfined_(std::move(other.unconfined_)),
      deadline_ns_(other.deadline_ns_),
      unpacking_(other.unpacking_) {}

UnpackWorker::~UnpackWorker() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  reap(pid_);
}

Result<UnpackWorker> UnpackWorker::start(const WorkerSetup& setup) {
  // Whatever the libraries read at their first use must be read before the root is gone.
  [[maybe_unused]] const std::string warm = sha256_hex("");
  const bool privileged = geteuid() == 0;
  const auto attempt = [&](const Confinement& how) -> Result<UnpackWorker> {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      return failed("make socket pair");
    }
    UnpackWorker worker;
    worker.socket_ = Fd(pair[0]);
    Fd theirs(pair[1]);
    Fd tree;
    if (how.namespaces && privileged && !setup.tree.empty()) {
      GANGWAY_ASSIGN(tree, clone_tree_mount(setup.tree));
    }
    GANGWAY_ASSIGN(HeldChild child, spawn_held(how.flags, [&] {
                     return worker_main(setup, how, std::move(theirs), std::move(tree));
                   }));
    theirs.reset();
    if ((how.flags & CLONE_NEWUSER) != 0) {
      const Result<void> mapped =
          child.write_maps(identity_maps(geteuid(), getegid(), {}, privileged));
      if (!mapped) {
        child.abandon();
        return mapped.error();
      }
    }
    worker.pid_ = child.pid();
    worker.pidfd_ = child.take_pidfd();
    worker.deadline_ns_ = SystemClock().now().boot.ns + seconds(setup.limits.seconds).ns;
    child.release();
    GANGWAY_ASSIGN(const std::optional<Packet> hello,
                   receive_packet(worker.socket_.get(), /*wait=*/true));
    CHECK(hello.has_value());
    if (hello->bytes == "+") return worker;
    if (hello->bytes.starts_with('-')) {
      GANGWAY_ASSIGN(const InitReport report, decode_report(hello->bytes.substr(1)));
      if (const auto* why = std::get_if<SetUpFailed>(&report)) return why->error;
    }
    return Error(ErrorKind::Internal, "the unpacker did not start");
  };
  // Root needs no user namespace: it leaves its rights behind instead.
  Confinement how{.flags = kNamespaces | (privileged ? 0 : CLONE_NEWUSER),
                  .privileged = privileged,
                  .namespaces = true};
  Result<UnpackWorker> worker = attempt(how);
  if (worker) return worker;
  const std::string why = worker.error().message();
  how = {.flags = 0, .privileged = privileged, .namespaces = false};
  Result<UnpackWorker> bare = attempt(how);
  if (bare) bare->unconfined_ = why;
  return bare;
}

Result<void> UnpackWorker::send(std::string_view request, const std::vector<int>& fds) {
  return send_packet(socket_.get(), request, fds, /*wait=*/true);
}

// Waits for "+" or "-" until the deadline; the bytes lie in the memory file that went with the
// request.
Result<std::string> UnpackWorker::answer() {
  while (true) {
    const std::int64_t left = deadline_ns_ - SystemClock().now().boot.ns;
    if (left <= 0) return Error(ErrorKind::Exhausted, "unpacking the image takes too long");
    pollfd watched{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const int ready = poll(&watched, 1, static_cast<int>(left / 1'000'000 + 1));
    if (ready < 0 && errno != EINTR) return failed("wait for the unpacker");
    if (ready <= 0) continue;
    GANGWAY_ASSIGN(const std::optional<Packet> packet, receive_packet(socket_.get(), false));
    if (!packet) continue;
    if (packet->bytes.empty()) {
      const int status = reap(std::exchange(pid_, -1));
      return Error(ErrorKind::Corrupt,
                   WIFSIGNALED(status) ? cat("the unpacker was killed by signal ", WTERMSIG(status),
                                             ", by what the image contains or for want of memory")
                                       : "the unpacker ended without an answer");
    }
    return packet->bytes;
  }
}

Result<std::string> UnpackWorker::ask(std::string_view request, const std::vector<int>& fds) {
  if (unpacking_) GANGWAY_TRY(unpack_wait());
  const Fd bytes(memfd_create("answer", MFD_CLOEXEC));
  if (!bytes) return failed("make memory file");
  std::vector<int> all{bytes.get()};
  all.insert(all.end(), fds.begin(), fds.end());
  GANGWAY_TRY(send(request, all));
  GANGWAY_ASSIGN(const std::string verdict, answer());
  GANGWAY_ASSIGN(std::string text, read_answer(bytes.get()));
  if (verdict == "+") return text;
  GANGWAY_ASSIGN(const InitReport report, decode_report(text));
  if (const auto* why = std::get_if<SetUpFailed>(&report)) return why->error;
  return bad_answer();
}

Result<std::string> UnpackWorker::ask_about(std::string_view request, std::string_view document) {
  GANGWAY_ASSIGN(const Fd file, make_memory_file(document));
  return ask(request, {file.get()});
}

Result<ArchiveIndex> UnpackWorker::index(int archive) {
  ByteWriter request;
  request.number(kIndex);
  GANGWAY_ASSIGN(const std::string text, ask(request.take(), {archive}));
  ByteReader in(text);
  ArchiveIndex index;
  for (std::int64_t left = in.number(); left > 0 && in.ok(); --left) {
    std::string name = in.text();
    ArchiveIndex::Place place;
    place.offset = in.number();
    place.size = in.number();
    place.link = in.text();
    if (place.offset < 0 || place.size < 0) return bad_answer();
    index.places[std::move(name)] = std::move(place);
  }
  if (!in.done()) return bad_answer();
  return index;
}

Result<ImageManifest> UnpackWorker::manifest(std::string_view text) {
  ByteWriter request;
  request.number(kManifest);
  GANGWAY_ASSIGN(const std::string answer_text, ask_about(request.take(), text));
  ByteReader in(answer_text);
  GANGWAY_ASSIGN(Descriptor config, get_descriptor(in));
  ImageManifest manifest{std::move(config), {}};
  for (std::int64_t left = in.number(); left > 0 && in.ok(); --left) {
    GANGWAY_ASSIGN(Descriptor layer, get_descriptor(in));
    manifest.layers.push_back(std::move(layer));
  }
  if (!in.done()) return bad_answer();
  return manifest;
}

Result<std::vector<DockerImage>> UnpackWorker::docker_images(std::string_view text) {
  ByteWriter request;
  request.number(kDockerImages);
  GANGWAY_ASSIGN(const std::string answer_text, ask_about(request.take(), text));
  ByteReader in(answer_text);
  std::vector<DockerImage> images;
  for (std::int64_t left = in.number(); left > 0 && in.ok(); --left) {
    DockerImage image;
    image.config = in.text();
    image.layers = in.texts();
    images.push_back(std::move(image));
  }
  if (!in.done()) return bad_answer();
  return images;
}

Result<ImageConfig> UnpackWorker::config(std::string_view text, std::size_t layers) {
  ByteWriter request;
  request.number(kConfig);
  request.number(static_cast<std::int64_t>(layers));
  GANGWAY_ASSIGN(const std::string answer_text, ask_about(request.take(), text));
  ByteReader in(answer_text);
  ImageConfig config;
  for (std::int64_t left = in.number(); left > 0 && in.ok(); --left) {
    GANGWAY_ASSIGN(Digest diff_id, Digest::parse(in.text()));
    config.diff_ids.push_back(std::move(diff_id));
  }
  config.platform = this_platform();
  config.env = in.texts();
  config.entrypoint = in.texts();
  config.cmd = in.texts();
  config.workdir = in.text();
  config.user = in.text();
  config.stop_signal = in.text();
  if (!in.done() || config.diff_ids.size() != layers) return bad_answer();
  return config;
}

Result<void> UnpackWorker::unpack_begin(const FileRange& layer, const Digest& diff_id) {
  if (unpacking_) GANGWAY_TRY(unpack_wait());
  ByteWriter request;
  request.number(kUnpack);
  request.number(layer.offset);
  request.number(layer.size);
  request.text(diff_id.text());
  answer_ = Fd(memfd_create("answer", MFD_CLOEXEC));
  if (!answer_) return failed("make memory file");
  GANGWAY_TRY(send(request.take(), {answer_.get(), layer.fd}));
  unpacking_ = true;
  return {};
}

Result<void> UnpackWorker::unpack_wait() {
  if (!unpacking_) return {};
  unpacking_ = false;
  GANGWAY_ASSIGN(const std::string verdict, answer());
  if (verdict == "+") return {};
  GANGWAY_ASSIGN(const std::string text, read_answer(answer_.get()));
  GANGWAY_ASSIGN(const InitReport report, decode_report(text));
  if (const auto* why = std::get_if<SetUpFailed>(&report)) return why->error;
  return bad_answer();
}

Result<WriterCounts> UnpackWorker::finish() {
  ByteWriter request;
  request.number(kFinish);
  GANGWAY_ASSIGN(const std::string text, ask(request.take(), {}));
  ByteReader in(text);
  WriterCounts counts;
  counts.entries = in.number();
  counts.bytes = in.number();
  counts.devices_skipped = in.number();
  counts.xattrs_dropped = in.number();
  if (!in.done()) return bad_answer();
  return counts;
}

}  // namespace gangway::containers
