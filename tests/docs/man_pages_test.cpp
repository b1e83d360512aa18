// Holds the manual pages to the programs: the options that `--help` prints (and `--list-options`,
// and the help of each subcommand) are those of the page's section OPTIONS, no more and no less.
#include <gtest/gtest.h>
#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "queues/base/text.hpp"

namespace gangway {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> programs() {
  std::vector<std::string> names;
  for (const std::string_view name : split(GANGWAY_PROGRAMS, ' ')) names.emplace_back(name);
  return names;
}

std::string read_all(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Empty if there is none, in any section.
fs::path find_page(const std::string& program) {
  for (const char* section : {".1", ".8"}) {
    const fs::path path = fs::path(GANGWAY_SOURCE_DIR) / "docs/man" / (program + section);
    if (fs::exists(path)) return path;
  }
  return {};
}

std::string output_of(const std::string& program, const std::string& arguments) {
  const std::string command =
      cat(GANGWAY_BINARY_DIR, "/bin/", program, " ", arguments, " 2>/dev/null");
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::string text;
  char block[4096];
  while (const std::size_t got = ::fread(block, 1, sizeof block, pipe)) text.append(block, got);
  // A program without this option says so on stderr.
  return ::pclose(pipe) == 0 ? text : std::string();
}

std::set<std::string> options_in(const std::string& text) {
  static const std::regex kOption(R"((^|[^\w-])(--[a-z][\w-]*|-[A-Za-z](?![\w-])))");
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), kOption), end; at != end; ++at) {
    found.insert((*at)[2]);
  }
  return found;
}

// Without the examples and what else speaks of other programs: "jsubmit --hold".
std::string help_of(const std::string& program, const std::string& arguments) {
  const std::string text = output_of(program, arguments + "--help");
  static const std::regex kOther(R"(\bj[a-z]+ -[\w-]*)");
  return std::regex_replace(text.substr(0, text.find("\nexamples:")), kOther, "");
}

std::set<std::string> options_of_program(const std::string& program) {
  const std::string help = help_of(program, "");
  EXPECT_NE(help, "") << program;
  std::set<std::string> options = options_in(help);
  if (options.contains("--list-options")) {
    options.merge(options_in(output_of(program, "--list-options")));
  }
  const std::size_t subcommands = help.find("\nSubcommands:\n");
  if (subcommands != std::string::npos) {
    static const std::regex kName(R"(\n  ([a-z]+) )");
    const std::string names = help.substr(subcommands);
    for (std::sregex_iterator at(names.begin(), names.end(), kName), end; at != end; ++at) {
      options.merge(options_in(help_of(program, (*at)[1].str() + " ")));
    }
  }
  return options;
}

std::set<std::string> options_of_page(const fs::path& path) {
  std::string page = read_all(path);
  const std::size_t begin = page.find("\n.SH OPTIONS\n");
  if (begin == std::string::npos) return {};
  const std::size_t end = page.find("\n.SH ", begin + 1);
  page = page.substr(begin, end - begin);
  std::erase(page, '\\');
  return options_in(page);
}

TEST(ManPages, EveryInstalledProgramHasOneOfItsNameAndVersion) {
  EXPECT_GT(programs().size(), 10u);
  for (const std::string& program : programs()) {
    const fs::path page = find_page(program);
    ASSERT_NE(page, fs::path()) << program;
    std::string title(program);
    for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_TRUE(read_all(page).starts_with(cat(".TH ", title, " ", page.extension().string()[1],
                                               " \"\" \"Gangway ", GANGWAY_VERSION, "\"")))
        << page;
  }
}

TEST(ManPages, NameTheOptionsThatTheProgramsHave) {
  for (const std::string& program : programs()) {
    EXPECT_EQ(options_of_page(find_page(program)), options_of_program(program)) << program;
  }
}

TEST(ManPages, EveryPageThatOneSendsTheReaderToIsThere) {
  static const std::regex kReference(R"(((?:gangway|j)[a-z.]*)\(([158])\))");
  for (const auto& entry : fs::directory_iterator(fs::path(GANGWAY_SOURCE_DIR) / "docs/man")) {
    const std::string page = read_all(entry.path());
    for (std::sregex_iterator at(page.begin(), page.end(), kReference), end; at != end; ++at) {
      EXPECT_TRUE(fs::exists(entry.path().parent_path() / cat((*at)[1].str(), ".", (*at)[2].str())))
          << entry.path() << ": " << at->str();
    }
  }
}

}  // namespace
}  // namespace gangway
