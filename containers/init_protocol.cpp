#include "containers/init_protocol.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "containers/byte_codec.hpp"
#include "queues/base/check.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

enum Tag : std::int64_t {
  kStart = 1,
  kSignal,
  kSetUp,
  kSetUpFailed,
  kProgramOver,
  kPause,
  kPauseDone
};

Error malformed(std::string_view what) {
  return Error(ErrorKind::Corrupt, cat("malformed ", what, " between shepherd and init"));
}

}  // namespace

std::string encode_programs(const std::vector<ProgramOrder>& programs) {
  ByteWriter out;
  out.number(static_cast<std::int64_t>(programs.size()));
  for (const ProgramOrder& program : programs) {
    out.number(program.id);
    out.texts(program.argv);
    out.texts(program.env);
    out.text(program.workdir);
    out.number(static_cast<std::int64_t>(program.cores.size()));
    for (const int core : program.cores) out.number(core);
    out.number(program.umask);
    out.number(program.in);
    out.number(program.out);
    out.number(program.err);
    out.number(program.inherit);
    out.number(program.terminal);
    out.number(program.only_inspect ? 1 : 0);
  }
  return out.take();
}

Result<std::vector<ProgramOrder>> decode_programs(std::string_view bytes) {
  ByteReader in(bytes);
  std::vector<ProgramOrder> programs;
  for (std::int64_t left = in.number(); left > 0 && in.ok(); --left) {
    ProgramOrder program;
    program.id = static_cast<std::uint32_t>(in.number());
    program.argv = in.texts();
    program.env = in.texts();
    program.workdir = in.text();
    for (std::int64_t cores = in.number(); cores > 0 && in.ok(); --cores) {
      program.cores.push_back(static_cast<int>(in.number()));
    }
    program.umask = static_cast<mode_t>(in.number());
    program.in = static_cast<int>(in.number());
    program.out = static_cast<int>(in.number());
    program.err = static_cast<int>(in.number());
    program.inherit = static_cast<int>(in.number());
    program.terminal = static_cast<int>(in.number());
    program.only_inspect = in.number() != 0;
    programs.push_back(std::move(program));
  }
  if (!in.done()) return malformed("programs");
  return programs;
}

std::string encode_order(const InitOrder& order) {
  ByteWriter out;
  std::visit(overloaded{[&](const StartOrder&) { out.number(kStart); },
                        [&](const SignalOrder& signal) {
                          out.number(kSignal);
                          out.number(signal.number);
                          out.number(signal.id ? 1 : 0);
                          out.number(signal.id.value_or(0));
                          out.number(signal.others ? 1 : 0);
                        },
                        [&](const PauseOrder& pause) {
                          out.number(kPause);
                          out.number(pause.on ? 1 : 0);
                          out.number(pause.number);
                        }},
             order);
  return out.take();
}

Result<InitOrder> decode_order(std::string_view bytes) {
  ByteReader in(bytes);
  const std::int64_t tag = in.number();
  if (tag == kStart && in.done()) return InitOrder{StartOrder{}};
  if (tag == kSignal) {
    SignalOrder signal;
    signal.number = static_cast<int>(in.number());
    const bool has_id = in.number() != 0;
    const auto id = static_cast<std::uint32_t>(in.number());
    if (has_id) signal.id = id;
    signal.others = in.number() != 0;
    if (in.done()) return InitOrder{signal};
  }
  if (tag == kPause) {
    const bool on = in.number() != 0;
    const std::int64_t number = in.number();
    if (in.done()) return InitOrder{PauseOrder{on, number}};
  }
  return malformed("order");
}

std::string encode_report(const InitReport& report) {
  ByteWriter out;
  std::visit(overloaded{[&](const SetUp& up) {
                          out.number(kSetUp);
                          out.texts(up.waived);
                          out.number(up.access_checked ? 1 : 0);
                        },
                        [&](const SetUpFailed& failed) {
                          out.number(kSetUpFailed);
                          out.number(static_cast<std::int64_t>(failed.error.kind()));
                          out.text(failed.error.message());
                        },
                        [&](const ProgramOver& over) {
                          out.number(kProgramOver);
                          out.number(over.id);
                          out.number(over.started ? 1 : 0);
                          out.number(over.wait_status);
                          out.text(over.message);
                          out.number(over.cpu.ns);
                          out.number(over.peak_memory.value);
                          out.number(over.read.value);
                          out.number(over.written.value);
                        },
                        [&](const PauseDone& done) {
                          out.number(kPauseDone);
                          out.number(done.number);
                        }},
             report);
  return out.take();
}

Result<InitReport> decode_report(std::string_view bytes) {
  ByteReader in(bytes);
  const std::int64_t tag = in.number();
  if (tag == kSetUp) {
    SetUp up{in.texts()};
    up.access_checked = in.number() != 0;
    if (in.done()) return InitReport{std::move(up)};
  } else if (tag == kSetUpFailed) {
    const std::int64_t kind = in.number();
    std::string message = in.text();
    if (in.done() && kind >= 0 && kind <= static_cast<std::int64_t>(ErrorKind::Internal)) {
      return InitReport{SetUpFailed{Error(static_cast<ErrorKind>(kind), std::move(message))}};
    }
  } else if (tag == kProgramOver) {
    ProgramOver over;
    over.id = static_cast<std::uint32_t>(in.number());
    over.started = in.number() != 0;
    over.wait_status = static_cast<int>(in.number());
    over.message = in.text();
    over.cpu = nanoseconds(in.number());
    over.peak_memory = Bytes{in.number()};
    over.read = Bytes{in.number()};
    over.written = Bytes{in.number()};
    if (in.done()) return InitReport{std::move(over)};
  } else if (tag == kPauseDone) {
    const PauseDone done{in.number()};
    if (in.done()) return InitReport{done};
  }
  return malformed("report");
}

Result<void> send_packet(int socket,
                         std::string_view bytes,
                         const std::vector<int>& fds,
                         bool wait) {
  if (bytes.empty() || bytes.size() > kMaxPacketBytes || fds.size() > kMaxPacketFds) {
    return Error(ErrorKind::Invalid, "packet too large");
  }
  const ssize_t sent = send_with_fds(socket, bytes, fds, wait ? 0 : MSG_DONTWAIT);
  if (sent >= 0) return {};
  if (errno == EAGAIN) return Error(ErrorKind::Exhausted, "the other side does not read");
  if (errno == EPIPE || errno == ECONNRESET) {
    return Error(ErrorKind::Unavailable, "the other side is gone");
  }
  return errno_error("send packet", errno);
}

Result<std::optional<Packet>> receive_packet(int socket, bool wait) {
  // On the stack and not cleared: most packets are short, and in a process that has just been
  // forked each page that is touched is copied.
  char block[kMaxPacketBytes];
  ReceivedWithFds received = receive_with_fds(socket, block, wait ? 0 : MSG_DONTWAIT);
  if (received.bytes < 0) {
    if (errno == EAGAIN) return std::optional<Packet>{};
    if (errno != ECONNRESET) return errno_error("receive packet", errno);
    received.bytes = 0;
  }
  if (received.is_cut) return malformed("packet");
  Packet packet;
  packet.fds = std::move(received.fds);
  packet.bytes.assign(block, static_cast<std::size_t>(received.bytes));
  return std::optional<Packet>(std::move(packet));
}

Result<Fd> make_memory_file(std::string_view bytes) {
  Fd fd(memfd_create("gangway", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return errno_error("make memory file", errno);
  while (!bytes.empty()) {
    const ssize_t written = write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return errno_error("write memory file", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return errno_error("seal memory file", errno);
  }
  return fd;
}

Result<std::string> read_memory_file(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return errno_error("read memory file", errno);
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return malformed("memory file");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace gangway::containers
