#include "containers/image_opener.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "containers/byte_codec.hpp"
#include "containers/init_protocol.hpp"
#include "containers/namespaces.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

// The empty name is the archive itself.
class OpenerProcess {
 public:
  OpenerProcess(Fd socket, std::string path) : socket_(std::move(socket)), path_(std::move(path)) {}

  Result<void> open_source(bool directory) {
    const int flags = directory ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY;
    Fd fd(open(path_.c_str(), flags | O_CLOEXEC));
    if (!fd) return errno_error(cat("image ", path_), errno);
    if (directory) {
      files_ = make_directory_files(std::move(fd));
      return {};
    }
    struct stat status {};
    if (fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
      return Error(ErrorKind::Invalid, cat("image ", path_, ": not a regular file"));
    }
    archive_ = std::move(fd);
    return {};
  }

  void serve() {
    while (true) {
      const Result<std::optional<Packet>> packet = receive_packet(socket_.get(), /*wait=*/true);
      if (!packet || !packet.value() || packet.value()->bytes.empty()) return;
      const std::string name = packet.value()->bytes.substr(1);
      if (name.empty() && archive_) {
        ByteWriter out;
        out.number(0);
        out.number(0);
        reply("+" + out.take(), archive_.get());
        continue;
      }
      if (name.empty() || !files_) return;
      const Result<ImageFiles::Opened> opened = files_->open(name);
      if (!opened) {
        reply_error(opened.error().with_context(cat("image ", path_)));
        continue;
      }
      ByteWriter out;
      out.number(opened->range.offset);
      out.number(opened->range.size);
      reply("+" + out.take(), opened->fd.get());
    }
  }

  void reply_error(const Error& error) {
    [[maybe_unused]] const Result<void> sent =
        send_packet(socket_.get(), "-" + encode_report(SetUpFailed{error}), {}, /*wait=*/true);
  }
  void reply_ready() {
    [[maybe_unused]] const Result<void> sent = send_packet(socket_.get(), "+", {}, /*wait=*/true);
  }

 private:
  void reply(const std::string& bytes, int fd) {
    [[maybe_unused]] const Result<void> sent =
        send_packet(socket_.get(), bytes, {fd}, /*wait=*/true);
  }

  Fd socket_;
  std::string path_;
  std::unique_ptr<ImageFiles> files_;
  Fd archive_;
};

int opener_main(Fd socket, const Credentials& user, const std::string& path, bool directory) {
  const int number = socket.get();
  OpenerProcess process(std::move(socket), path);
  const auto prepare = [&]() -> Result<void> {
    GANGWAY_TRY(close_from(3, {number}));
    GANGWAY_TRY(become(user));
    GANGWAY_TRY(set_parent_death_signal());
    GANGWAY_TRY(set_no_new_privileges());
    return process.open_source(directory);
  };
  if (auto ready = prepare(); !ready) {
    process.reply_error(ready.error());
    return 1;
  }
  process.reply_ready();
  process.serve();
  return 0;
}

Result<Packet> receive_answer(int socket) {
  GANGWAY_ASSIGN(std::optional<Packet> packet, receive_packet(socket, /*wait=*/true));
  CHECK(packet.has_value());
  if (packet->bytes.starts_with('-')) {
    GANGWAY_ASSIGN(const InitReport report, decode_report(packet->bytes.substr(1)));
    if (const auto* why = std::get_if<SetUpFailed>(&report)) return why->error;
  }
  if (!packet->bytes.starts_with('+')) {
    return Error(ErrorKind::Internal, "the process that opens images ended");
  }
  return *std::move(packet);
}

}  // namespace

Result<std::unique_ptr<ImageOpener>> ImageOpener::start(const Credentials& user,
                                                        const std::string& path,
                                                        bool directory) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error("make socket pair", errno);
  }
  std::unique_ptr<ImageOpener> opener(new ImageOpener);
  opener->socket_ = Fd(pair[0]);
  Fd theirs(pair[1]);
  GANGWAY_ASSIGN(HeldChild child, spawn_held(0, [&] {
                   return opener_main(std::move(theirs), user, path, directory);
                 }));
  theirs.reset();
  opener->pid_ = child.pid();
  child.release();
  GANGWAY_ASSIGN(const Packet hello, receive_answer(opener->socket_.get()));
  return opener;
}

ImageOpener::~ImageOpener() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  reap(pid_);
}

Result<ImageFiles::Opened> ImageOpener::ask(const std::string& name) {
  GANGWAY_TRY(send_packet(socket_.get(), "?" + name, {}, /*wait=*/true));
  GANGWAY_ASSIGN(Packet packet, receive_answer(socket_.get()));
  ByteReader in(std::string_view(packet.bytes).substr(1));
  Opened opened;
  opened.range.offset = in.number();
  opened.range.size = in.number();
  if (packet.fds.size() != 1 || !in.done()) {
    return Error(ErrorKind::Internal, "the process that opens images answered nonsense");
  }
  opened.fd = std::move(packet.fds.front());
  opened.range.fd = opened.fd.get();
  return opened;
}

Result<ImageFiles::Opened> ImageOpener::open(const std::string& name) {
  CHECK(!name.empty());
  return ask(name);
}

Result<Fd> ImageOpener::archive() {
  GANGWAY_ASSIGN(Opened opened, ask(""));
  return std::move(opened.fd);
}

}  // namespace gangway::containers
