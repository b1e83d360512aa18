// docs/sbatch.md says for every option what it does here, and names a test that exists.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "queues/base/text.hpp"
#include "submit/job_options.hpp"

namespace gangway::submit {
namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(SbatchTable, HasARowForEveryOptionAndATestForEachRow) {
  const fs::path top = GANGWAY_SOURCE_DIR;
  std::set<std::string> tests;
  static const std::regex kTest(R"(TEST(?:_F|_P)?\((\w+),\s*(\w+)\))");
  for (const auto& entry : fs::recursive_directory_iterator(top / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = read_all(entry.path());
    for (std::sregex_iterator at(text.begin(), text.end(), kTest), end; at != end; ++at) {
      tests.insert(cat((*at)[1].str(), ".", (*at)[2].str()));
    }
  }
  std::set<std::string> rows;
  static const std::regex kRow(R"(\n\| `--([\w-]+)`(?:, `-(\w)`)? \| ([^|]+) \| ([\w.]+) (?=\|))");
  const std::string table = read_all(top / "docs/sbatch.md");
  for (std::sregex_iterator at(table.begin(), table.end(), kRow), end; at != end; ++at) {
    EXPECT_TRUE(rows.insert((*at)[1]).second) << at->str();
    EXPECT_TRUE(tests.contains((*at)[4])) << at->str();
  }
  std::set<std::string> options;
  for (const OptionName& option : job_option_names()) options.emplace(option.name);
  EXPECT_EQ(rows, options);
}

}  // namespace
}  // namespace gangway::submit
