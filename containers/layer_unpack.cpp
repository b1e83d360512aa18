#include "containers/layer_unpack.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "containers/init_protocol.hpp"
#include "containers/namespaces.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kPipeBytes = 1 << 20;

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return errno_error("write layer", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> check_size(std::int64_t bytes, const FileRange& layer, const UnpackLimits& limits) {
  if (bytes > limits.max_bytes) {
    return Error(ErrorKind::Exhausted, "the layer is larger than an image may be");
  }
  const std::int64_t compressed = std::max<std::int64_t>(layer.size, 1);
  const bool grows = bytes - limits.ratio_free_bytes > 0 &&
                     (bytes - limits.ratio_free_bytes) / compressed >= limits.max_ratio;
  if (grows) {
    return Error(ErrorKind::Exhausted,
                 cat("the layer grows to more than ", limits.max_ratio, " times its size"));
  }
  return {};
}

// The hexadecimal digest of the whole stream, which has gone down the pipe.
Result<std::string> decompress_into(int pipe, const FileRange& layer, const UnpackLimits& limits) {
  GANGWAY_ASSIGN(Decompressor stream, Decompressor::open(layer));
  Sha256 hash;
  std::int64_t bytes = 0;
  while (true) {
    GANGWAY_ASSIGN(const std::string_view block, stream.next());
    if (block.empty()) return hash.finish_hex();
    bytes += static_cast<std::int64_t>(block.size());
    GANGWAY_TRY(check_size(bytes, layer, limits));
    hash.update(block);
    GANGWAY_TRY(write_all(pipe, block));
  }
}

// The decompressing child.
class Feeder {
 public:
  static Result<Feeder> start(const FileRange& layer, const UnpackLimits& limits) {
    GANGWAY_ASSIGN(Pipe data, make_pipe());
    GANGWAY_ASSIGN(Pipe verdict, make_pipe());
    fcntl(data.write.get(), F_SETPIPE_SZ, static_cast<int>(kPipeBytes));
    const pid_t pid = fork();
    if (pid < 0) return errno_error("fork", errno);
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      data.read.reset();
      signal(SIGPIPE, SIG_DFL);
      const Result<std::string> result = decompress_into(data.write.get(), layer, limits);
      const std::string text =
          result ? "+" + *result : "-" + encode_report(SetUpFailed{result.error()});
      [[maybe_unused]] const Result<void> told = write_all(verdict.write.get(), text);
      _exit(result ? 0 : 1);
    }
    Feeder feeder;
    feeder.pid_ = pid;
    feeder.data_ = std::move(data.read);
    feeder.verdict_ = std::move(verdict.read);
    feeder.buffer_.resize(kPipeBytes);
    return feeder;
  }

  Feeder(Feeder&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)),
        data_(std::move(other.data_)),
        verdict_(std::move(other.verdict_)),
        buffer_(std::move(other.buffer_)) {}
  Feeder& operator=(Feeder&&) = delete;
  ~Feeder() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    reap(pid_);
  }

  // Empty at the end of the stream, or where the child gave up: then finish() says why.
  Result<std::string_view> next() {
    while (true) {
      const ssize_t got = read(data_.get(), buffer_.data(), buffer_.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno_error("read layer", errno);
      return std::string_view(buffer_.data(), static_cast<std::size_t>(got));
    }
  }

  // Reads what is left, and takes the child's verdict: the digest of everything.
  Result<std::string> finish() {
    while (true) {
      GANGWAY_ASSIGN(const std::string_view rest, next());
      if (rest.empty()) break;
    }
    return take_verdict();
  }

  // If the child gave up, why.
  std::optional<Error> failure() {
    data_.reset();  // it ends if it was still writing
    const Result<std::string> verdict = take_verdict();
    if (verdict) return std::nullopt;
    return verdict.error();
  }

 private:
  Feeder() = default;

  Result<std::string> take_verdict() {
    std::string text;
    char block[4096];
    ssize_t got = 0;
    while ((got = read(verdict_.get(), block, sizeof block)) > 0) {
      text.append(block, static_cast<std::size_t>(got));
    }
    if (text.starts_with('+')) return text.substr(1);
    if (text.starts_with('-')) {
      const Result<InitReport> report = decode_report(std::string_view(text).substr(1));
      if (report && std::holds_alternative<SetUpFailed>(*report)) {
        return std::get<SetUpFailed>(*report).error;
      }
    }
    // Killed: by the writer's side closing the pipe, or by a bound of the system.
    return Error(ErrorKind::Internal, "the decompressor ended without a word");
  }

  pid_t pid_ = -1;
  Fd data_;
  Fd verdict_;
  std::vector<char> buffer_;
};

Result<void> apply_all(Feeder& feeder, TreeWriter& writer) {
  GANGWAY_ASSIGN(TarReader tar, TarReader::open([&] { return feeder.next(); }));
  while (true) {
    GANGWAY_ASSIGN(const TarEntry* entry, tar.next());
    if (entry == nullptr) return {};
    GANGWAY_TRY(writer.apply(*entry, [&] { return tar.next_block(); }));
  }
}

}  // namespace

Result<void> unpack_layer(const FileRange& layer,
                          const Digest& diff_id,
                          const UnpackLimits& limits,
                          TreeWriter& writer) {
  GANGWAY_ASSIGN(Feeder feeder, Feeder::start(layer, limits));
  Result<void> applied = apply_all(feeder, writer);
  if (!applied) {
    // A tar that breaks off is only the consequence of a stream that broke off.
    if (applied.error().kind() == ErrorKind::Corrupt) {
      const std::optional<Error> cause = feeder.failure();
      if (cause && cause->kind() != ErrorKind::Internal) return *cause;
    }
    return applied;
  }
  GANGWAY_ASSIGN(const std::string hex, feeder.finish());
  if (hex != diff_id.hex()) {
    return Error(ErrorKind::Corrupt, "the layer's contents have another digest than its diff id");
  }
  return writer.end_layer();
}

}  // namespace gangway::containers
