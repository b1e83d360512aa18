// Dockerfiles, ignore rules and words with variables, made of the bytes of strangers.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "containers/build/dockerfile.hpp"
#include "containers/build/glob.hpp"
#include "containers/build/word_expand.hpp"
#include "queues/base/check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gangway::containers::build;  // NOLINT: this program is about nothing else
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = parse_dockerfile_lines(text, "f");
  if (lines) {
    int last = 0;
    for (const InstructionLine& line : lines->instructions) {
      // Instructions stand one after the other, each on lines of its own.
      CHECK(line.first_line > last && line.last_line >= line.first_line);
      last = line.last_line;
      static_cast<void>(render_line(line));
    }
  }
  CHECK(!parse_dockerfile(text, "f") || lines);
  const Variables variables = {{"a", "b c"}, {"HOME", ""}};
  static_cast<void>(expand_words(text.substr(0, 2000), variables, '\\'));
  static_cast<void>(expand_text(text.substr(0, 2000), variables, '`'));
  if (const auto rules = IgnoreRules::parse(text.substr(0, 4000), "f")) {
    static_cast<void>(rules->excludes("a/b/c/d"));
  }
  return 0;
}
