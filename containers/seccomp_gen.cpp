// Build-time program: prints the filters of seccomp_profile.hpp as BPF instructions, in the form of
// a C array's elements. `seccomp_gen job`, `seccomp_gen unpack` and `seccomp_gen build`.
//
// At build time, because making a filter of 400 calls takes libseccomp two milliseconds, which is
// longer than the rest of a sandbox's start; and so that the shepherd does not carry the library.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <utility>

#include "containers/seccomp_profile.hpp"

namespace {

using namespace gangway::containers;  // NOLINT: this program is about nothing else

[[noreturn]] void fail(const char* what, int error) {
  std::fprintf(stderr, "seccomp_gen: %s: %s\n", what, std::strerror(error));
  std::_Exit(1);
}

void add(scmp_filter_ctx filter,
         std::uint32_t action,
         const char* name,
         std::initializer_list<scmp_arg_cmp> arguments = {}) {
  const int number = seccomp_syscall_resolve_name(name);
  // Names newer than this libseccomp, and those of other machines (negative numbers), are left out:
  // they end as ENOSYS.
  if (number < 0) return;
  const int result = seccomp_rule_add_array(
      filter, action, number, static_cast<unsigned>(arguments.size()), arguments.begin());
  if (result != 0) fail(name, -result);
}

scmp_arg_cmp argument(unsigned index, scmp_compare compare, scmp_datum_t a, scmp_datum_t b = 0) {
  return {.arg = index, .op = compare, .datum_a = a, .datum_b = b};
}

bool is_faked(std::string_view name) {
  return std::ranges::find(kFakedCalls, name) != std::end(kFakedCalls);
}

// The calls that need more than one id: in a build, whose user namespace has one, they seem to
// succeed (charliecloud's way; no lie is kept up, who looks sees the one id).
void fill_fake_calls(scmp_filter_ctx filter) {
  constexpr std::uint32_t kPretend = SCMP_ACT_ERRNO(0);
  for (const char* name : kFakedCalls) {
    if (std::string_view(name).starts_with("mknod")) continue;
    add(filter, kPretend, name);
  }
  for (const auto& [name, mode] : {std::pair{"mknod", 1U}, {"mknodat", 2U}}) {
    for (const unsigned type : {S_IFCHR, S_IFBLK}) {
      add(filter, kPretend, name, {argument(mode, SCMP_CMP_MASKED_EQ, S_IFMT, type)});
    }
    for (const unsigned type : {0U, unsigned{S_IFREG}, unsigned{S_IFIFO}, unsigned{S_IFSOCK}}) {
      add(filter, SCMP_ACT_ALLOW, name, {argument(mode, SCMP_CMP_MASKED_EQ, S_IFMT, type)});
    }
  }
}

void fill_job_filter(scmp_filter_ctx filter, bool build) {
  constexpr std::uint32_t kRefuse = SCMP_ACT_ERRNO(EPERM);
  for (const char* name : kAllowedCalls) {
    if (!build || !is_faked(name)) add(filter, SCMP_ACT_ALLOW, name);
  }
  if (build) fill_fake_calls(filter);
  for (const char* name : kRefusedCalls) add(filter, kRefuse, name);
  add(filter, SCMP_ACT_ALLOW, "clone", {argument(0, SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0)});
  for (unsigned flag = 1; flag != 0; flag <<= 1) {
    if ((kNamespaceFlags & flag) == 0) continue;
    add(filter, kRefuse, "clone", {argument(0, SCMP_CMP_MASKED_EQ, flag, flag)});
  }
  add(filter, SCMP_ACT_ALLOW, "socket", {argument(0, SCMP_CMP_NE, AF_VSOCK)});
  add(filter, kRefuse, "socket", {argument(0, SCMP_CMP_EQ, AF_VSOCK)});
  for (const unsigned value : kAllowedPersonalities) {
    add(filter, SCMP_ACT_ALLOW, "personality", {argument(0, SCMP_CMP_EQ, value)});
  }
}

void print(const sock_filter& instruction) {
  std::printf("{%u, %u, %u, %uU},\n", unsigned{instruction.code}, unsigned{instruction.jt},
              unsigned{instruction.jf}, instruction.k);
}

// In front of the job's filter, by hand: libseccomp cannot say "this call, but not with these two
// values of the low half of an argument". The kernel takes an ioctl's request as 32 bits, so a
// filter that compared all 64 would be passed by setting a high one. Machines are little-endian
// here.
void print_ioctl_guard() {
  const int ioctl_number = seccomp_syscall_resolve_name("ioctl");
  constexpr std::uint32_t kRequestLow = offsetof(seccomp_data, args[1]);
  const sock_filter guard[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, 6),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(ioctl_number), 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kRequestLow),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  };
  for (const sock_filter& instruction : guard) print(instruction);
}

void fill_unpack_filter(scmp_filter_ctx filter) {
  for (const char* name : kUnpackCalls) add(filter, SCMP_ACT_ALLOW, name);
  // fork() for the decompressor, as glibc calls it.
  add(filter, SCMP_ACT_ALLOW, "clone", {argument(0, SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0)});
  add(filter, SCMP_ACT_ALLOW, "prctl", {argument(0, SCMP_CMP_EQ, PR_SET_PDEATHSIG)});
  // FIFOs, and nothing else that is not a file.
  add(filter, SCMP_ACT_ALLOW, "mknodat", {argument(2, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFIFO)});
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view which = argc == 2 ? argv[1] : "";
  if (which != "job" && which != "unpack" && which != "build") {
    std::fprintf(stderr, "usage: seccomp_gen job|unpack|build\n");
    return 64;
  }
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
  if (filter == nullptr) fail("make filter", ENOMEM);
  // Calls of another architecture (32-bit, x32) would have other numbers than those listed.
  seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a binary tree
  if (which != "unpack") {
    fill_job_filter(filter, which == "build");
  } else {
    fill_unpack_filter(filter);
  }
  const int memory = memfd_create("filter", MFD_CLOEXEC);
  if (memory < 0) fail("memfd", errno);
  if (const int result = seccomp_export_bpf(filter, memory); result != 0) {
    fail("export filter", -result);
  }
  seccomp_release(filter);
  if (lseek(memory, 0, SEEK_SET) != 0) fail("seek", errno);
  sock_filter instruction{};
  if (which != "unpack") print_ioctl_guard();
  while (read(memory, &instruction, sizeof instruction) == sizeof instruction) print(instruction);
  return 0;
}
