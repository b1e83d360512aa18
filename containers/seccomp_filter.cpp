#include "containers/seccomp_filter.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace gangway::containers {
namespace {

const sock_filter kJobFilter[] = {
#include "seccomp_job.inc"
};
const sock_filter kUnpackFilter[] = {
#include "seccomp_unpack.inc"
};
const sock_filter kBuildFilter[] = {
#include "seccomp_build.inc"
};

template <std::size_t N>
sock_fprog program_of(const sock_filter (&filter)[N]) {
  return {.len = static_cast<unsigned short>(N), .filter = const_cast<sock_filter*>(filter)};
}

sock_fprog program_of(SeccompProfile profile) {
  switch (profile) {
    case SeccompProfile::Job:
      return program_of(kJobFilter);
    case SeccompProfile::Unpack:
      return program_of(kUnpackFilter);
    case SeccompProfile::Build:
      break;
  }
  return program_of(kBuildFilter);
}

long load(const sock_fprog& program, unsigned flags) {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

}  // namespace

Result<void> load_seccomp(SeccompProfile profile) {
  const sock_fprog program = program_of(profile);
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
