#include "queues/base/spool_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "queues/base/text.hpp"

namespace gangway {

Result<Fd> lock_spool(const std::string& spool, std::string_view daemon) {
  if (::mkdir(spool.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(cat("make the spool ", spool), errno);
  }
  Fd lock(::open((spool + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return errno_error(cat("open ", spool, "/lock"), errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error(ErrorKind::Conflict, cat("another ", daemon, " works on ", spool));
  }
  return lock;
}

}  // namespace gangway
