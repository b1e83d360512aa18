#include "executor/inventory.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"
#include "queues/io/endpoint.hpp"
#include "queues/model/devices.hpp"

namespace gangway::executor {

namespace {

Result<std::vector<int>> usable_cores() {
  // Machines with more logical cores than a cpu_set_t has bits need a larger set.
  for (std::size_t bits = 1024; bits <= (1 << 16); bits *= 4) {
    cpu_set_t* set = CPU_ALLOC(bits);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(bits);
    CPU_ZERO_S(bytes, set);
    const int failed = ::sched_getaffinity(0, bytes, set) == 0 ? 0 : errno;
    std::vector<int> cores;
    for (std::size_t core = 0; failed == 0 && core < bits; ++core) {
      if (CPU_ISSET_S(core, bytes, set)) cores.push_back(static_cast<int>(core));
    }
    CPU_FREE(set);
    if (failed == 0) return cores;
    if (failed != EINVAL) return errno_error("read this process's cores", failed);
  }
  return Error(ErrorKind::Unsupported, "read this process's cores: too many");
}

// The first number in the file; nullopt: none, or "max".
std::optional<std::int64_t> read_number(const char* path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;
  return parse_integer<std::int64_t>(word);
}

bool has_fabric() {
  std::error_code error;
  for (const char* directory : {"/sys/class/infiniband", "/sys/class/hfi1", "/sys/class/cxi"}) {
    if (std::filesystem::exists(directory, error) && !std::filesystem::is_empty(directory, error)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<MachineFacts> read_machine() {
  MachineFacts facts;
  GANGWAY_ASSIGN(facts.cores, usable_cores());
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) {
    return Error(ErrorKind::Unsupported, "read the size of the machine's memory");
  }
  facts.memory = Bytes{static_cast<std::int64_t>(pages) * page};
  // In a container of its own the machine's memory is not ours to give away.
  for (const char* limit :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    if (const auto bytes = read_number(limit); bytes && *bytes > 0) {
      facts.memory = std::min(facts.memory, Bytes{*bytes});
    }
  }
  facts.fast_network = has_fabric();
  return facts;
}

Resources plan_capacity(const MachineFacts& machine,
                        std::optional<std::int64_t> cores,
                        std::optional<Bytes> memory,
                        const std::vector<std::pair<std::string, std::int64_t>>& named) {
  Resources capacity;
  capacity.cores = cores.value_or(static_cast<std::int64_t>(machine.cores.size()));
  capacity.memory = memory.value_or(machine.memory);
  for (const auto& [name, amount] : named) capacity.set_named(name, amount);
  add_kinds(capacity);
  return capacity;
}

Result<std::string> find_own_address(const std::string& endpoint) {
  GANGWAY_ASSIGN(const io::Endpoint there, io::parse_endpoint(endpoint));
  if (there.is_unix()) return Error(ErrorKind::Invalid, cat(endpoint, " is no network address"));
  sockaddr_storage address{};
  socklen_t length = 0;
  if (there.is_v6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(there.port);
    ::inet_pton(AF_INET6, there.address.c_str(), &v6->sin6_addr);
    length = sizeof *v6;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(there.port);
    ::inet_pton(AF_INET, there.address.c_str(), &v4->sin_addr);
    length = sizeof *v4;
  }
  // Connecting a datagram socket sends nothing; the kernel chooses the route and so the address.
  const Fd socket(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return errno_error(cat("find this machine's address towards ", endpoint), errno);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes =
      address.ss_family == AF_INET6
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr)
          : static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&address)->sin_addr);
  if (::inet_ntop(address.ss_family, bytes, text.data(), text.size()) == nullptr) {
    return errno_error("print this machine's address", errno);
  }
  return std::string(text.data());
}

}  // namespace gangway::executor
