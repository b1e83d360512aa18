#include "containers/stream_ring.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "queues/base/check.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kSlots = 8;
constexpr std::size_t kSlotBytes = std::size_t{128} << 10;

Error gone() { return Error(ErrorKind::Internal, "who reads the stream is gone"); }

}  // namespace

Result<StreamRing> StreamRing::make() {
  StreamRing ring;
  void* memory =
      mmap(nullptr, kSlots * kSlotBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno_error("share memory", errno);
  ring.memory_ = static_cast<char*>(memory);
  for (Reader& reader : ring.readers_) {
    GANGWAY_ASSIGN(reader.filled, make_pipe());
    GANGWAY_ASSIGN(reader.freed, make_pipe());
  }
  return ring;
}

StreamRing::StreamRing(StreamRing&& other) noexcept
    : readers_(std::move(other.readers_)),
      memory_(std::exchange(other.memory_, nullptr)),
      next_(other.next_),
      which_(other.which_),
      holds_slot_(other.holds_slot_) {}

StreamRing::~StreamRing() {
  if (memory_ != nullptr) munmap(memory_, kSlots * kSlotBytes);
}

void StreamRing::be_writer() {
  for (Reader& reader : readers_) {
    reader.filled.read.reset();
    reader.freed.write.reset();
  }
}

void StreamRing::be_reader(std::size_t which) {
  CHECK(which < kReaders);
  which_ = which;
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers_[i].filled.write.reset();
    // The own one stays, so that a slot may be given back to a writer that is gone.
    if (i != which) readers_[i] = Reader{};
  }
}

void StreamRing::close() { readers_ = {}; }

Result<void> StreamRing::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kSlotBytes);
    bytes.remove_prefix(piece.size());
    for (const Reader& reader : readers_) {
      char freed = 0;
      ssize_t got = 1;
      do {
        if (next_ >= kSlots) got = ::read(reader.freed.read.get(), &freed, 1);
      } while (got < 0 && errno == EINTR);
      if (got != 1) return gone();
    }
    std::memcpy(memory_ + next_ % kSlots * kSlotBytes, piece.data(), piece.size());
    const auto size = static_cast<std::uint32_t>(piece.size());
    for (const Reader& reader : readers_) {
      ssize_t put = 0;
      do {
        put = ::write(reader.filled.write.get(), &size, sizeof size);
      } while (put < 0 && errno == EINTR);
      if (put != sizeof size) return gone();
    }
    ++next_;
  }
  return {};
}

Result<std::string_view> StreamRing::read() {
  const Reader& own = readers_[which_];
  if (std::exchange(holds_slot_, false)) {
    while (::write(own.freed.write.get(), "f", 1) < 0 && errno == EINTR) {
    }
  }
  std::uint32_t size = 0;
  ssize_t got = 0;
  do {
    got = ::read(own.filled.read.get(), &size, sizeof size);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno_error("read the stream", errno);
  if (got == 0) return std::string_view();
  // Of a process that reads what strangers wrote.
  if (got != sizeof size || size == 0 || size > kSlotBytes) {
    return Error(ErrorKind::Internal, "the stream is out of order");
  }
  const char* slot = memory_ + next_ % kSlots * kSlotBytes;
  ++next_;
  holds_slot_ = true;
  return std::string_view(slot, size);
}

}  // namespace gangway::containers
