#include "executor/mpi_choice.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

struct Sign {
  std::string_view library;  // begins so
  MpiMode mode;
  std::string_view of;
};

// In the order of what they tell: Open MPI of old and Intel MPI have both had a libmpi.so.12, but
// only the former comes with libopen-pal; MPICH links a PMI library if it was built to use it.
constexpr std::array kSigns{
    Sign{"libopen-pal.so", MpiMode::Pmix, "Open MPI"},
    Sign{"libopen-rte.so", MpiMode::Pmix, "Open MPI"},
    Sign{"libmpi.so.40", MpiMode::Pmix, "Open MPI"},
    Sign{"libpmix.so", MpiMode::Pmix, "PMIx"},
    Sign{"libpmi2.so", MpiMode::Pmi2, "PMI-2"},
    Sign{"libpmi.so", MpiMode::Pmi1, "PMI-1"},
    Sign{"libmpich.so", MpiMode::Pmi1, "MPICH"},
    Sign{"libmpi.so.12", MpiMode::Pmi1, "the MPICH family"},
    Sign{"libmpi_cray.so", MpiMode::Pmi1, "the MPICH family"},
};

// They start nothing else, and link no more than the C library.
constexpr std::array<std::string_view, 16> kPlainCommands{
    "cat",      "cp", "date", "echo", "false", "hostname", "id",    "ls",
    "printenv", "ps", "pwd",  "rm",   "sleep", "true",     "uname", "uptime"};

}  // namespace

MpiChoice choose_mpi(MpiMode asked,
                     const std::vector<std::string>& libraries,
                     std::string_view program) {
  if (asked != MpiMode::Auto) {
    return {.mode = asked,
            .is_sure = asked != MpiMode::None,
            .why = cat("--mpi=", to_string(asked), " was given")};
  }
  for (const Sign& sign : kSigns) {
    const auto found = std::ranges::find_if(
        libraries, [&](const std::string& name) { return name.starts_with(sign.library); });
    if (found == libraries.end()) continue;
    return {.mode = sign.mode, .is_sure = true, .why = cat("it links ", *found, ", of ", sign.of)};
  }
  const std::string_view name = program.substr(program.rfind('/') + 1);
  if (std::ranges::find(kPlainCommands, name) != kPlainCommands.end()) {
    return {.mode = MpiMode::None, .is_sure = false, .why = cat(name, " is known to use no MPI")};
  }
  return {.mode = MpiMode::Auto,
          .is_sure = false,
          .why = "it links no MPI library that is known: PMIx and PMI are offered"};
}

std::string render_alone(std::uint32_t task,
                         std::string_view node,
                         std::uint32_t tasks,
                         const MpiChoice& choice) {
  const std::string_view offered =
      choice.mode == MpiMode::Auto ? std::string_view("PMIx and PMI") : to_string(choice.mode);
  return cat("task ", task, " on ", node, " ended without having met the other ranks, of ", tasks,
             " in all, by ", offered, " (", choice.why,
             "); it may have run as if it were alone. Try another --mpi=pmix, pmi2 or pmi1; for a "
             "program that is not to use MPI: --mpi=none");
}

}  // namespace gangway::executor
