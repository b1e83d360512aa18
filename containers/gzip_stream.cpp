#include "containers/gzip_stream.hpp"

#ifdef GANGWAY_HAS_ISAL
#include <isa-l/igzip_lib.h>
#endif

#include <algorithm>
#include <cstring>

#include "queues/base/check.hpp"
#include "queues/base/raw_buffer.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {

#ifdef GANGWAY_HAS_ISAL

namespace {
constexpr std::size_t kInBytes = std::size_t{64} << 10;  // read at once
constexpr std::size_t kOutBytes = std::size_t{128} << 10;
// At a member's end the library gives bytes back that it has looked at already, at most 8, also if
// they came with the chunk before: they must still lie in front of this one.
constexpr std::size_t kBackBytes = 64;
}  // namespace

bool has_gzip_stream() { return true; }

struct GzipStream::State {
  Source source;
  inflate_state inflate{};
  RawBuffer in{kBackBytes + 2 * kInBytes};
  RawBuffer out{kOutBytes};
  bool source_over = false;
  bool over = false;
  bool between_members = false;

  Result<void> refill() {
    auto* const begin = reinterpret_cast<unsigned char*>(in.data());
    if (inflate.next_in == nullptr) inflate.next_in = begin;
    const std::size_t behind =
        std::min(kBackBytes, static_cast<std::size_t>(inflate.next_in - begin));
    std::memmove(begin, inflate.next_in - behind, behind + inflate.avail_in);
    inflate.next_in = begin + behind;
    GANGWAY_ASSIGN(const std::size_t got, source(in.data() + behind + inflate.avail_in, kInBytes));
    inflate.avail_in += static_cast<std::uint32_t>(got);
    source_over = got == 0;
    return {};
  }

  // Whether another member begins.
  Result<bool> begins_member() {
    while (inflate.avail_in < 2 && !source_over) GANGWAY_TRY(refill());
    return inflate.avail_in >= 2 && inflate.next_in[0] == 0x1f && inflate.next_in[1] == 0x8b;
  }

  Result<std::string_view> next() {
    while (!over) {
      if (between_members) {
        GANGWAY_ASSIGN(const bool more, begins_member());
        if (!more) {
          over = true;
          break;
        }
        isal_inflate_reset(&inflate);
        inflate.crc_flag = ISAL_GZIP;
        between_members = false;
      }
      if (inflate.avail_in == 0 && !source_over) GANGWAY_TRY(refill());
      inflate.next_out = reinterpret_cast<unsigned char*>(out.data());
      inflate.avail_out = static_cast<std::uint32_t>(out.size());
      const int result = isal_inflate(&inflate);
      const std::size_t made = out.size() - inflate.avail_out;
      if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT) {
        return Error(ErrorKind::Corrupt, cat("decompress: damaged gzip data (", result, ")"));
      }
      if (inflate.block_state == ISAL_BLOCK_FINISH) {
        between_members = true;
      } else if (made == 0 && inflate.avail_in == 0 && source_over) {
        return Error(ErrorKind::Corrupt, "decompress: truncated gzip input");
      }
      if (made > 0) return std::string_view(out.data(), made);
    }
    return std::string_view();
  }
};

GzipStream::GzipStream(Source source) : state_(std::make_unique<State>()) {
  state_->source = std::move(source);
  isal_inflate_init(&state_->inflate);
  state_->inflate.crc_flag = ISAL_GZIP;
}

Result<std::string_view> GzipStream::next() { return state_->next(); }

#else

bool has_gzip_stream() { return false; }
struct GzipStream::State {};
GzipStream::GzipStream(Source) { CHECK(false); }
Result<std::string_view> GzipStream::next() { CHECK(false); }

#endif

GzipStream::GzipStream(GzipStream&&) noexcept = default;
GzipStream& GzipStream::operator=(GzipStream&&) noexcept = default;
GzipStream::~GzipStream() = default;

}  // namespace gangway::containers
