#include "containers/layer_unpack.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <optional>
#include <utility>

#include "containers/init_protocol.hpp"
#include "containers/namespaces.hpp"
#include "containers/stream_ring.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

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
    return Error(ErrorKind::Invalid, "the layer is larger than an image may be");
  }
  const std::int64_t compressed = std::max<std::int64_t>(layer.size, 1);
  const bool grows = bytes - limits.ratio_free_bytes > 0 &&
                     (bytes - limits.ratio_free_bytes) / compressed >= limits.max_ratio;
  if (grows) {
    return Error(ErrorKind::Invalid,
                 cat("the layer grows to more than ", limits.max_ratio, " times its size"));
  }
  return {};
}

// The readers of the stream.
constexpr std::size_t kWriter = 0;
constexpr std::size_t kHasher = 1;

Result<void> decompress_into(StreamRing& ring, const FileRange& layer, const UnpackLimits& limits) {
  GANGWAY_ASSIGN(Decompressor stream, Decompressor::open(layer));
  std::int64_t bytes = 0;
  while (true) {
    GANGWAY_ASSIGN(const std::string_view block, stream.next());
    if (block.empty()) return {};
    bytes += static_cast<std::int64_t>(block.size());
    GANGWAY_TRY(check_size(bytes, layer, limits));
    GANGWAY_TRY(ring.write(block));
  }
}

// In hexadecimal, of the whole stream.
Result<std::string> hash_all(StreamRing& ring) {
  Sha256 hash;
  while (true) {
    GANGWAY_ASSIGN(const std::string_view block, ring.read());
    if (block.empty()) return hash.finish_hex();
    hash.update(block);
  }
}

// A child with one task, and its answer.
class Helper {
 public:
  static Result<Helper> start(const std::function<Result<std::string>()>& task) {
    GANGWAY_ASSIGN(Pipe answer, make_pipe());
    const pid_t pid = fork();
    if (pid < 0) return errno_error("fork", errno);
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      signal(SIGPIPE, SIG_DFL);
      const Result<std::string> result = task();
      const std::string text =
          result ? "+" + *result : "-" + encode_report(SetUpFailed{result.error()});
      [[maybe_unused]] const Result<void> told = write_all(answer.write.get(), text);
      _exit(result ? 0 : 1);
    }
    Helper helper;
    helper.pid_ = pid;
    helper.answer_ = std::move(answer.read);
    return helper;
  }

  Helper(Helper&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), answer_(std::move(other.answer_)) {}
  Helper& operator=(Helper&&) = delete;
  ~Helper() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    reap(pid_);
  }

  Result<std::string> answer() {
    std::string text;
    char block[4096];
    ssize_t got = 0;
    while ((got = read(answer_.get(), block, sizeof block)) > 0) {
      text.append(block, static_cast<std::size_t>(got));
    }
    if (text.starts_with('+')) return text.substr(1);
    if (text.starts_with('-')) {
      const Result<InitReport> report = decode_report(std::string_view(text).substr(1));
      if (report && std::holds_alternative<SetUpFailed>(*report)) {
        return std::get<SetUpFailed>(*report).error;
      }
    }
    // Killed: by this side closing the stream, or by a bound of the system.
    return Error(ErrorKind::Internal, "the decompressor ended without a word");
  }

 private:
  Helper() = default;
  pid_t pid_ = -1;
  Fd answer_;
};

// The stream, with the children that decompress and hash it.
class Feeder {
 public:
  static Result<Feeder> start(const FileRange& layer, const UnpackLimits& limits) {
    GANGWAY_ASSIGN(StreamRing ring, StreamRing::make());
    GANGWAY_ASSIGN(Helper decompressor, Helper::start([&]() -> Result<std::string> {
                     ring.be_writer();
                     GANGWAY_TRY(decompress_into(ring, layer, limits));
                     return std::string();
                   }));
    GANGWAY_ASSIGN(Helper hasher, Helper::start([&] {
                     ring.be_reader(kHasher);
                     return hash_all(ring);
                   }));
    ring.be_reader(kWriter);
    return Feeder(std::move(ring), std::move(decompressor), std::move(hasher));
  }

  // Empty at the end of the stream, or where the child gave up: then finish() says why.
  Result<std::string_view> next() { return ring_.read(); }

  // Reads what is left; the digest of everything.
  Result<std::string> finish() {
    while (true) {
      GANGWAY_ASSIGN(const std::string_view rest, next());
      if (rest.empty()) break;
    }
    GANGWAY_TRY(decompressor_.answer());
    return hasher_.answer();
  }

  // If decompressing failed, why.
  std::optional<Error> failure() {
    ring_.close();  // it ends if it was still writing
    const Result<std::string> answer = decompressor_.answer();
    if (answer) return std::nullopt;
    return answer.error();
  }

 private:
  Feeder(StreamRing ring, Helper decompressor, Helper hasher)
      : ring_(std::move(ring)),
        decompressor_(std::move(decompressor)),
        hasher_(std::move(hasher)) {}

  StreamRing ring_;
  Helper decompressor_;
  Helper hasher_;
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
