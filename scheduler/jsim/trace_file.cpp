#include "scheduler/jsim/trace_file.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <memory>

#include "queues/base/text.hpp"

namespace gangway::jsim {

namespace {

constexpr std::size_t kMostBytes = std::size_t{4} << 30;
constexpr unsigned kPiece = 1U << 20;

struct Close {
  void operator()(gzFile_s* file) const { (void)gzclose_r(file); }
};

gzFile open_file(const std::string& path) {
  if (path != "-") return gzopen(path.c_str(), "rbe");
  // A copy, because closing the file closes its descriptor too.
  const int copy = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return nullptr;
  gzFile const file = gzdopen(copy, "rb");
  if (file == nullptr) (void)::close(copy);
  return file;
}

}  // namespace

Result<std::string> read_trace_file(const std::string& path) {
  errno = 0;
  const std::unique_ptr<gzFile_s, Close> file(open_file(path));
  if (!file) return errno_error(cat("open ", path), errno == 0 ? ENOMEM : errno);
  (void)gzbuffer(file.get(), kPiece);
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    if (before > kMostBytes) {
      return Error(ErrorKind::Exhausted, cat("read ", path, ": more than 4 GiB of text"));
    }
    text.resize(before + kPiece);
    const int got = gzread(file.get(), text.data() + before, kPiece);
    if (got < 0) {
      int code = Z_OK;
      const std::string why = gzerror(file.get(), &code);
      if (code == Z_ERRNO) return errno_error(cat("read ", path), errno);
      return Error(ErrorKind::Corrupt, cat("read ", path, ": ", why));
    }
    text.resize(before + static_cast<std::size_t>(got));
    if (got == 0) break;
  }
  int code = Z_OK;
  (void)gzerror(file.get(), &code);
  if (code == Z_BUF_ERROR) {
    return Error(ErrorKind::Corrupt, cat("read ", path, ": the compressed file ends early"));
  }
  return text;
}

}  // namespace gangway::jsim
