// JSON arrays of strings, as Dockerfiles have them in place of command lines. Strict: RFC 8259, and
// nothing after the array. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gangway::containers::build {

enum class JsonWords {
  Strings,     // an array of strings
  OtherArray,  // valid JSON, an array of other things too
  NoArray,     // anything else: Docker takes it for a shell's line
};

// Fills `words` if the answer is Strings.
[[nodiscard]] JsonWords parse_json_words(std::string_view text, std::vector<std::string>& words);

// The opposite, on one line: `["a", "b"]`.
[[nodiscard]] std::string render_json_words(const std::vector<std::string>& words);

}  // namespace gangway::containers::build
