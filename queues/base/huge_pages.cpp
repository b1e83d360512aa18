#include "queues/base/huge_pages.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace gangway {

void use_huge_pages(char** argv) {
  constexpr const char* kName = "GLIBC_TUNABLES";
  constexpr std::string_view kOurs = "glibc.malloc.hugetlb=1";
  if (const char* const given = ::getenv(kName)) {
    if (given == kOurs) ::unsetenv(kName);
    return;
  }
  // Its own path and not /proc/self/exe, which would become the process's name.
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed || ::setenv(kName, kOurs.data(), 1) != 0) return;
  ::execv(program.c_str(), argv);
  ::unsetenv(kName);
}

}  // namespace gangway
