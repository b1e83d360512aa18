// Holds the sources to the directions in which layers may include each other, to the one file per C
// library, and the pure layers to purity. It reads the text of the sources; it guards architecture,
// not taste.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace gangway {
namespace {

namespace fs = std::filesystem;

// Which layers each layer may include, besides itself. The longest prefix of a path is its layer.
const std::set<std::string> kQueues = {"queues/base", "queues/model", "queues/wire",
                                       "queues/config", "queues/io"};
std::set<std::string> with(std::set<std::string> layers, const std::set<std::string>& more) {
  layers.insert(more.begin(), more.end());
  return layers;
}
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"queues/base", {}},
    {"queues/model", {"queues/base"}},
    {"queues/wire", {"queues/base", "queues/model"}},
    {"queues/store", {"queues/base", "queues/model", "queues/wire"}},
    {"queues/config", {"queues/base", "queues/model"}},
    {"queues/io", {"queues/base", "queues/model", "queues/wire"}},
    {"containers", {"queues/base"}},
    {"containers/build", {"queues/base", "containers"}},
    {"containers/jimage_main.cpp",
     {"queues/base", "queues/model", "queues/wire", "queues/config", "queues/io", "containers",
      "containers/build"}},
    {"scheduler/policy", {"queues/base", "queues/model"}},
    {"scheduler/jsim", {"queues/base", "queues/model", "scheduler/policy"}},
    {"scheduler/jsim_main.cpp", {"queues/base", "queues/model", "scheduler/jsim"}},
    {"scheduler", with(kQueues, {"queues/store", "scheduler/policy"})},
    {"scheduler/balancer", kQueues},
    {"scheduler/jbalancerd_main.cpp", with(kQueues, {"scheduler/balancer"})},
    {"executor", with(kQueues, {"containers"})},
    {"submit", kQueues},
    {"submit/monitor", with(kQueues, {"submit"})},
    {"submit/jqueue_watch_main.cpp", with(kQueues, {"submit", "submit/monitor"})},
    // The cluster on one machine asks what this kernel allows, as executors do.
    {"submit/one_machine", with(kQueues, {"containers", "submit"})},
    {"submit/gangway_main.cpp", with(kQueues, {"containers", "submit", "submit/one_machine"})},
};

// Headers of C libraries that one file alone may know.
struct Library {
  std::string header;  // a regular expression
  std::string users;   // of paths
};
const std::vector<Library> kLibraries = {
    {R"(archive(_entry)?\.h)", R"(containers/(archive_reader|build/layer_writer)\.cpp)"},
    {R"(sqlite3\.h)", R"(queues/store/sqlite(_[a-z]+)?\.cpp)"},
    {R"(pmix.*\.h)", R"(executor/pmix_(server|callbacks).*)"},
    {R"(openssl/.*)", R"(queues/base/digest\.cpp)"},
    {R"(zlib\.h)", R"(scheduler/jsim/trace_file\.cpp)"},
    {R"(seccomp\.h)", R"(containers/.*)"},
    {R"(yaml-cpp/.*)",
     R"(queues/config/(cdi|config|value)\.cpp|submit/(yaml_tree\.cpp|yaml_fields\.hpp))"},
    {R"(boost/asio.*)", R"(queues/io/.*\.cpp)"},
    {R"(boost/graph/.*)", R"(queues/model/dependency_graph\.cpp)"},
    {R"(CLI/.*)", R"([^/]+/[^/]+_main\.cpp)"},
    {R"(nlohmann/.*)",
     R"(containers/(image_document|build/image_settings)\.cpp|queues/model/wfformat\.cpp)"},
    {R"((ncurses|curses|term)\.h)", R"(submit/monitor/terminal\.cpp)"},
    {R"(expat\.h)", R"(scheduler/jsim/dax\.cpp)"},
};

// What a layer without I/O has no business with.
const std::regex kPurePaths(
    R"((queues/model|scheduler/policy)/.*|containers/build/(dockerfile|glob|json_words|word_expand).*|scheduler/balancer/(haproxy_answers|haproxy_config|live_table|routes).*|submit/monitor/(canvas|draw|output_text|picture|queue_lines|screen)\..*|.*_machine\.[ch]pp)");
const std::regex kImpure(
    R"(<(ctime|chrono|random|thread|mutex|atomic|future|condition_variable|filesystem|fstream|iostream|cstdio|sys/[a-z]+\.h|unistd\.h|fcntl\.h|pthread\.h|time\.h)>)"
    R"(|\b(clock_gettime|gettimeofday|SystemClock|rand|srand|random_bytes|getenv|setenv|fopen|localtime_r?|render_local_time)\s*\()"
    R"(|\bstd::(chrono|thread|mutex|atomic|random_device|mt19937)|\bSystemClock\b)"
    R"(|"queues/base/(log|fd|find_program|pipe|system_program|process|small_file)\.hpp")");

struct Source {
  std::string path;  // below the root, with "/"
  std::vector<std::string> lines;
};

std::vector<Source> sources() {
  const fs::path root = GANGWAY_SOURCE_DIR;
  std::vector<Source> found;
  for (const auto* folder : {"queues", "containers", "scheduler", "executor", "submit"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".hpp") continue;
      Source source{fs::relative(entry.path(), root).generic_string(), {}};
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) source.lines.push_back(std::move(line));
      found.push_back(std::move(source));
    }
  }
  std::ranges::sort(found, {}, &Source::path);
  return found;
}

// The entry of kMayInclude that `path` belongs to; empty if none.
std::string layer_of(const std::string& path) {
  std::string best;
  for (const auto& [layer, unused] : kMayInclude) {
    const bool inside = path == layer || path.starts_with(layer + "/");
    if (inside && layer.size() > best.size()) best = layer;
  }
  return best;
}

std::string without_comment(const std::string& line) { return line.substr(0, line.find("//")); }

std::string where(const Source& source, std::size_t line) {
  std::ostringstream out;
  out << source.path << ":" << line + 1 << ": " << source.lines[line];
  return out.str();
}

TEST(Layering, IncludesOnlyPointDownwards) {
  // Headers only: a piece of generated text (.inc) stands beside the file that takes it in.
  const std::regex include(R"re(^\s*#\s*include\s+"([^"]+\.h(?:pp)?)")re");
  std::size_t seen = 0;
  for (const auto& source : sources()) {
    const std::string layer = layer_of(source.path);
    ASSERT_FALSE(layer.empty()) << source.path << " belongs to no layer";
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      std::smatch match;
      if (!std::regex_search(source.lines[i], match, include)) continue;
      const std::string target = layer_of(match[1].str());
      ++seen;
      EXPECT_FALSE(target.empty()) << where(source, i) << "\n  includes are written from the root";
      EXPECT_TRUE(target.empty() || target == layer || kMayInclude.at(layer).contains(target))
          << where(source, i) << "\n  " << layer << " may not include " << target;
    }
  }
  EXPECT_GT(seen, 100U) << "the sources were not found";
}

TEST(Layering, EachLibraryIsKnownToItsOwnFilesAlone) {
  struct Rule {
    std::regex header;
    std::regex users;
  };
  std::vector<Rule> rules;
  for (const auto& library : kLibraries) {
    rules.push_back({std::regex(library.header), std::regex(library.users)});
  }
  const std::regex include(R"re(^\s*#\s*include\s+["<]([^">]+)[">])re");
  for (const auto& source : sources()) {
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      std::smatch match;
      if (!std::regex_search(source.lines[i], match, include)) continue;
      for (const auto& rule : rules) {
        if (!std::regex_match(match[1].str(), rule.header)) continue;
        EXPECT_TRUE(std::regex_match(source.path, rule.users)) << where(source, i);
      }
    }
  }
}

TEST(Layering, PureLayersKnowNoClockNoChanceNoThreadsNoFiles) {
  std::size_t seen = 0;
  for (const auto& source : sources()) {
    if (!std::regex_match(source.path, kPurePaths)) continue;
    ++seen;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(without_comment(source.lines[i]), kImpure))
          << where(source, i);
    }
  }
  EXPECT_GT(seen, 20U) << "the sources were not found";
}

TEST(Layering, NothingIncludesTheTests) {
  const std::regex include(R"re(^\s*#\s*include\s+["<](tests/|gtest|gmock))re");
  for (const auto& source : sources()) {
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(source.lines[i], include)) << where(source, i);
    }
  }
}

TEST(Layering, HeadersKeepTheirNamesToThemselves) {
  const std::regex using_namespace(R"(^\s*using\s+namespace\b)");
  for (const auto& source : sources()) {
    if (!source.path.ends_with(".hpp")) continue;
    ASSERT_FALSE(source.lines.empty()) << source.path;
    EXPECT_TRUE(source.lines.front().starts_with("//"))
        << source.path << " does not open with its purpose";
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(source.lines[i], using_namespace)) << where(source, i);
    }
  }
}

}  // namespace
}  // namespace gangway
