#include "executor/mpi_choice.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "containers/linkage.hpp"

namespace gangway::executor {
namespace {

TEST(MpiChoice, WhatWasAskedForIsTaken) {
  EXPECT_EQ(choose_mpi(MpiMode::Pmi2, {"libmpi.so.40"}).mode, MpiMode::Pmi2);
  EXPECT_TRUE(choose_mpi(MpiMode::Pmix, {}).is_sure);
  EXPECT_FALSE(choose_mpi(MpiMode::None, {}).is_sure);
}

TEST(MpiChoice, TheLibraryTells) {
  const auto mode = [](std::vector<std::string> libraries) {
    return choose_mpi(MpiMode::Auto, libraries).mode;
  };
  EXPECT_EQ(mode({"libc.so.6", "libmpi.so.40"}), MpiMode::Pmix);
  EXPECT_EQ(mode({"libmpich.so.12", "libc.so.6"}), MpiMode::Pmi1);
  EXPECT_EQ(mode({"libmpich.so.12", "libpmi2.so.0"}), MpiMode::Pmi2);
  EXPECT_EQ(mode({"libmpich.so.12", "libpmix.so.2"}), MpiMode::Pmix);
  // Intel MPI, and an Open MPI of 2015.
  EXPECT_EQ(mode({"libmpi.so.12"}), MpiMode::Pmi1);
  EXPECT_EQ(mode({"libmpi.so.12", "libopen-rte.so.12"}), MpiMode::Pmix);
}

TEST(MpiChoice, AProgramWithoutMpiIsOfferedAllAndNothingIsExpectedOfIt) {
  const MpiChoice choice = choose_mpi(MpiMode::Auto, {"libc.so.6"});
  EXPECT_EQ(choice.mode, MpiMode::Auto);
  EXPECT_FALSE(choice.is_sure);
  EXPECT_TRUE(offers_pmix(choice.mode) && offers_pmi(choice.mode));
}

TEST(MpiChoice, AFewCommandsAreKnownToBePlain) {
  EXPECT_EQ(choose_mpi(MpiMode::Auto, {"libc.so.6"}, "/bin/hostname").mode, MpiMode::None);
  // What starts other programs is not one of them.
  EXPECT_EQ(choose_mpi(MpiMode::Auto, {"libc.so.6"}, "/usr/bin/timeout").mode, MpiMode::Auto);
  EXPECT_EQ(choose_mpi(MpiMode::Pmix, {}, "hostname").mode, MpiMode::Pmix);
}

// ---- what a program links ----------------------------------------------------------------------

bool links(const std::vector<std::string>& names, std::string_view library) {
  return std::ranges::any_of(names, [&](const auto& name) { return name.starts_with(library); });
}

TEST(Linkage, LibrariesOfLibrariesAreFound) {
  const auto names =
      containers::find_linked_libraries("jpmixd", {"PATH=" GANGWAY_BINARY_DIR "/bin"});
  EXPECT_TRUE(links(names, "libpmix.so"));
  EXPECT_TRUE(links(names, "libhwloc.so") || links(names, "libevent"));  // of libpmix
}

TEST(Linkage, AScriptIsItsFirstLineAndWhatIsMissingLinksNothing) {
  EXPECT_TRUE(containers::find_linked_libraries("/no/such/program", {}).empty());
  EXPECT_TRUE(containers::find_linked_libraries("/etc/passwd", {}).empty());
  EXPECT_TRUE(links(containers::find_linked_libraries("/usr/bin/ldd", {}), "#!"));
}

TEST(Linkage, BrokenFilesLinkNothing) {
  for (const std::size_t keep :
       {std::size_t{0}, std::size_t{16}, std::size_t{64}, std::size_t{100}}) {
    const auto read = [&](std::uint64_t offset, std::size_t size) {
      std::string bytes(keep, '\xff');
      bytes.replace(0, std::min<std::size_t>(keep, 7), std::string("\x7f\x45LF\2\1\1", 7), 0,
                    std::min<std::size_t>(keep, 7));
      return offset >= bytes.size() ? std::string() : bytes.substr(offset, size);
    };
    EXPECT_FALSE(containers::parse_dynamic(read)) << keep;
  }
}

}  // namespace
}  // namespace gangway::executor
