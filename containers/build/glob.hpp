// Patterns for names: those of COPY and ADD, of .dockerignore, and of a shell's ${x%pattern}.
//
// A path pattern is Go's filepath.Match: * and ? do not match '/', [a-z] and [^a-z] are classes, a
// backslash takes the next character as it is. .dockerignore adds "**", any number of directories,
// and exceptions with '!', of which the last line that matches decides (moby's patternmatcher): a
// pattern that matches a directory matches what is in it.
//
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers::build {

// * matches anything, ? one character, both also '/'.
[[nodiscard]] bool matches_shell_pattern(std::string_view pattern, std::string_view text);

// Of a whole relative path. A malformed pattern matches nothing; see is_valid_pattern().
[[nodiscard]] bool matches_path(std::string_view pattern, std::string_view path);
[[nodiscard]] bool is_valid_pattern(std::string_view pattern);
[[nodiscard]] bool has_wildcard(std::string_view pattern);

class IgnoreRules {
 public:
  // Of a .dockerignore's text. Errors: Invalid, as "NAME:LINE: what".
  [[nodiscard]] static Result<IgnoreRules> parse(std::string_view text, std::string_view name);
  // `path`: relative, clean.
  [[nodiscard]] bool excludes(std::string_view path) const;
  [[nodiscard]] bool is_empty() const { return rules_.empty(); }
  // Whether something below an excluded directory may come back.
  [[nodiscard]] bool has_exceptions() const { return has_exceptions_; }

 private:
  struct Rule {
    std::vector<std::string> pattern;  // by components; "**" stands for any number
    bool exception = false;
  };
  std::vector<Rule> rules_;
  bool has_exceptions_ = false;
};

}  // namespace gangway::containers::build
