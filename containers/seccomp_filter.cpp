#include "containers/seccomp_filter.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

namespace gangway::containers {
namespace {

const sock_filter kJobFilter[] = {
#include "seccomp_job.inc"
};
const sock_filter kUnpackFilter[] = {
#include "seccomp_unpack.inc"
};

long load(const sock_fprog& program, unsigned flags) {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

}  // namespace

Result<void> load_seccomp(SeccompProfile profile) {
  const bool job = profile == SeccompProfile::Job;
  const sock_fprog program{
      .len = static_cast<unsigned short>(job ? std::size(kJobFilter) : std::size(kUnpackFilter)),
      .filter = const_cast<sock_filter*>(job ? kJobFilter : kUnpackFilter)};
  // Without SPEC_ALLOW older kernels slow all of the program's branches down; the filter is no
  // secret and the sandbox no boundary within one address space.
  if (load(program, SECCOMP_FILTER_FLAG_SPEC_ALLOW) == 0) return {};
  if (errno == EINVAL && load(program, 0) == 0) return {};
  if (errno == ENOSYS || errno == EINVAL) {
    return Error(ErrorKind::Unsupported, "this kernel has no seccomp filters");
  }
  return errno_error("load system call filter", errno);
}

}  // namespace gangway::containers
