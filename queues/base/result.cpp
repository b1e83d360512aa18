#include "queues/base/result.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace gangway {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "CHECK failed: %s at %s:%d\n", condition, file, line);
  std::abort();
}

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Invalid:
      return "invalid";
    case ErrorKind::NotFound:
      return "not found";
    case ErrorKind::Denied:
      return "denied";
    case ErrorKind::Conflict:
      return "conflict";
    case ErrorKind::Unavailable:
      return "unavailable";
    case ErrorKind::Exhausted:
      return "exhausted";
    case ErrorKind::Unsupported:
      return "unsupported";
    case ErrorKind::Corrupt:
      return "corrupt";
    case ErrorKind::Internal:
      return "internal";
  }
  return "internal";
}

Error Error::with_context(std::string_view clause) const& {
  std::string line;
  line.reserve(clause.size() + 2 + message_.size());
  line.append(clause).append(": ").append(message_);
  return {kind_, std::move(line)};
}

namespace {
ErrorKind kind_of_errno(int value) {
  switch (value) {
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorKind::Denied;
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
      return ErrorKind::NotFound;
    case EEXIST:
    case EBUSY:
      return ErrorKind::Conflict;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorKind::Exhausted;
    case EAGAIN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return ErrorKind::Unavailable;
    case ENOSYS:
    case EOPNOTSUPP:
      return ErrorKind::Unsupported;
    case EINVAL:
    case ENAMETOOLONG:
    case EISDIR:
      return ErrorKind::Invalid;
    default:
      return ErrorKind::Internal;
  }
}
}  // namespace

Error errno_error(std::string what, int errno_value) {
  what += ": ";
  what += std::strerror(errno_value);  // NOLINT(concurrency-mt-unsafe): one thread per daemon
  return {kind_of_errno(errno_value), std::move(what)};
}

}  // namespace gangway
