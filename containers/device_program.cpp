#include "containers/device_program.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::uint8_t kContext = BPF_REG_1;
constexpr std::uint8_t kKind = BPF_REG_2;
constexpr std::uint8_t kMajor = BPF_REG_3;
constexpr std::uint8_t kMinor = BPF_REG_4;

bpf_insn instruction(std::uint8_t code,
                     std::uint8_t to,
                     std::uint8_t from,
                     std::int16_t offset,
                     std::int32_t value) {
  bpf_insn one{};
  one.code = code;
  one.dst_reg = to & 0xf;
  one.src_reg = from & 0xf;
  one.off = offset;
  one.imm = value;
  return one;
}
bpf_insn load(std::uint8_t to, std::size_t offset) {
  return instruction(BPF_LDX | BPF_W | BPF_MEM, to, kContext, static_cast<std::int16_t>(offset), 0);
}
bpf_insn unless_equal(std::uint8_t what, unsigned value, std::int16_t skip) {
  return instruction(BPF_JMP | BPF_JNE | BPF_K, what, 0, skip, static_cast<std::int32_t>(value));
}
bpf_insn answer(int value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
}
bpf_insn end() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

long call_bpf(int command, bpf_attr& attributes) {
  return syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

template <typename T>
std::uint64_t address(const T* of) {
  return reinterpret_cast<std::uint64_t>(of);
}

}  // namespace

std::vector<bpf_insn> make_device_program(const std::vector<dev_t>& closed) {
  std::vector<bpf_insn> program = {
      load(kKind, offsetof(bpf_cgroup_dev_ctx, access_type)),
      load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
      // The other half says what it is opened for.
      instruction(BPF_ALU64 | BPF_AND | BPF_K, kKind, 0, 0, 0xffff),
  };
  for (const dev_t device : closed) {
    program.push_back(unless_equal(kKind, BPF_DEVCG_DEV_CHAR, 4));
    program.push_back(unless_equal(kMajor, major(device), 3));
    program.push_back(unless_equal(kMinor, minor(device), 2));
    program.push_back(answer(0));
    program.push_back(end());
  }
  program.push_back(answer(1));
  program.push_back(end());
  return program;
}

Result<void> attach_device_program(const std::string& group, const std::vector<dev_t>& closed) {
  const Fd directory(open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_error(cat("open ", group), errno);
  const std::vector<bpf_insn> program = make_device_program(closed);
  bpf_attr load_it{};
  load_it.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load_it.insns = address(program.data());
  load_it.insn_cnt = static_cast<std::uint32_t>(program.size());
  load_it.license = address("Apache-2.0");
  const Fd loaded(static_cast<int>(call_bpf(BPF_PROG_LOAD, load_it)));
  if (!loaded) return errno_error("load the program that closes devices", errno);
  bpf_attr attach_it{};
  attach_it.target_fd = static_cast<std::uint32_t>(directory.get());
  attach_it.attach_bpf_fd = static_cast<std::uint32_t>(loaded.get());
  attach_it.attach_type = BPF_CGROUP_DEVICE;
  attach_it.attach_flags = BPF_F_ALLOW_MULTI;
  if (call_bpf(BPF_PROG_ATTACH, attach_it) != 0) {
    return errno_error(cat("close devices of ", group), errno);
  }
  return {};
}

}  // namespace gangway::containers
