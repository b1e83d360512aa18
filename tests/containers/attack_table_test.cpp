// The table of attacks names tests that exist.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <string>

#include "queues/base/small_file.hpp"

namespace gangway::containers {
namespace {

TEST(AttackTable, EveryTestItNamesExists) {
  const std::string directory = GANGWAY_SOURCE_DIR "/tests/containers";
  std::set<std::string> known;
  const std::regex test(R"(TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\))");
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() != ".cpp") continue;
    const std::string text = read_small_file(file.path()).value_or("");
    for (std::sregex_iterator at(text.begin(), text.end(), test), end; at != end; ++at) {
      known.insert((*at)[1].str() + "." + (*at)[2].str());
    }
  }
  const std::string table = read_small_file(directory + "/ATTACKS.md").value_or("");
  const std::regex name(R"(`(\w+\.[A-Z]\w+)`)");
  std::size_t named = 0;
  for (std::sregex_iterator at(table.begin(), table.end(), name), end; at != end; ++at) {
    ++named;
    EXPECT_TRUE(known.contains((*at)[1].str())) << (*at)[1].str();
  }
  EXPECT_GT(named, 40U);
}

}  // namespace
}  // namespace gangway::containers
