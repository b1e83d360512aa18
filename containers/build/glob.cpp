#include "containers/build/glob.hpp"

#include <optional>

#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

// What one element of a pattern is: its length, and whether it matches a character.
struct Element {
  std::size_t length = 0;
  bool matches = false;
};

// A class "[…]" at the front of `pattern`; nullopt if it is malformed.
std::optional<Element> match_class(std::string_view pattern, char c) {
  std::size_t at = 1;
  const auto take = [&]() -> std::optional<char> {
    if (at < pattern.size() && pattern[at] == '\\') ++at;
    if (at >= pattern.size()) return std::nullopt;
    return pattern[at++];
  };
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool inside = false;
  for (bool first = true; first || at >= pattern.size() || pattern[at] != ']'; first = false) {
    if (at >= pattern.size() || pattern[at] == '-' || (first && pattern[at] == ']')) {
      return std::nullopt;
    }
    const std::optional<char> low = take();
    if (!low) return std::nullopt;
    std::optional<char> high = low;
    if (at < pattern.size() && pattern[at] == '-') {
      ++at;
      if (at >= pattern.size() || pattern[at] == ']') return std::nullopt;
      high = take();
      if (!high) return std::nullopt;
    }
    inside |= *low <= c && c <= *high;
  }
  return Element{at + 1, inside != negated};
}

std::optional<Element> match_element(std::string_view pattern, char c, bool paths) {
  switch (pattern.front()) {
    case '?':
      return Element{1, !paths || c != '/'};
    case '[':
      if (paths) {
        std::optional<Element> element = match_class(pattern, c);
        if (element && c == '/') element->matches = false;
        return element;
      }
      break;
    case '\\':
      if (pattern.size() < 2) return std::nullopt;
      return Element{2, pattern[1] == c};
    default:
      break;
  }
  return Element{1, pattern.front() == c};
}

// The customary walk with one point to come back to: the last '*'. Quadratic at worst.
bool match(std::string_view pattern, std::string_view text, bool paths) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    std::optional<Element> element;
    if (p < pattern.size()) {
      element = match_element(pattern.substr(p), text[t], paths);
      if (!element) return false;
    }
    if (element && element->matches) {
      p += element->length;
      ++t;
    } else if (star != std::string_view::npos && !(paths && text[star_text] == '/')) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> out;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == ".." && !out.empty() && out.back() != "..") {
      out.pop_back();
    } else {
      out.emplace_back(part);
    }
  }
  return out;
}

// Whether the pattern matches the path or a directory above it.
bool matches_or_above(const std::vector<std::string>& pattern,
                      std::size_t p,
                      const std::vector<std::string_view>& path,
                      std::size_t t) {
  if (p == pattern.size()) return t > 0;
  if (pattern[p] == "**") {
    // At the end it is everything below; elsewhere any number of directories.
    if (p + 1 == pattern.size()) return t < path.size();
    for (std::size_t skip = t; skip < path.size(); ++skip) {
      if (matches_or_above(pattern, p + 1, path, skip)) return true;
    }
    return false;
  }
  if (t == path.size() || !match(pattern[p], path[t], true)) return false;
  return matches_or_above(pattern, p + 1, path, t + 1);
}

}  // namespace

bool matches_shell_pattern(std::string_view pattern, std::string_view text) {
  return match(pattern, text, false);
}

bool matches_path(std::string_view pattern, std::string_view path) {
  return match(pattern, path, true);
}

bool is_valid_pattern(std::string_view pattern) {
  while (!pattern.empty()) {
    const std::optional<Element> element = match_element(pattern, 'x', true);
    if (!element) return false;
    pattern.remove_prefix(element->length);
  }
  return true;
}

bool has_wildcard(std::string_view pattern) {
  return pattern.find_first_of("*?[\\") != std::string_view::npos;
}

Result<IgnoreRules> IgnoreRules::parse(std::string_view text, std::string_view name) {
  IgnoreRules rules;
  constexpr std::size_t kMaxRules = 10'000;
  constexpr std::size_t kMaxWildTrees = 8;  // of "**" in one pattern: each multiplies the work
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  int number = 0;
  for (const std::string_view raw : split(text, '\n')) {
    ++number;
    std::string_view line = raw;
    if (line.starts_with('#')) continue;
    line = trim(line);
    Rule rule;
    if (line.starts_with('!')) {
      rule.exception = true;
      line = trim(line.substr(1));
    }
    if (line.empty()) {
      if (rule.exception) {
        return Error(ErrorKind::Invalid, cat(name, ":", number, ": '!' without a pattern"));
      }
      continue;
    }
    rule.pattern = components(line);
    std::size_t trees = 0;
    for (const std::string& part : rule.pattern) trees += part == "**" ? 1 : 0;
    if (!is_valid_pattern(line) || trees > kMaxWildTrees) {
      return Error(ErrorKind::Invalid, cat(name, ":", number, ": ", line, ": not a pattern"));
    }
    if (rule.pattern.empty()) continue;
    rules.has_exceptions_ |= rule.exception;
    rules.rules_.push_back(std::move(rule));
    if (rules.rules_.size() > kMaxRules) {
      return Error(ErrorKind::Exhausted, cat(name, ": more than ", kMaxRules, " patterns"));
    }
  }
  return rules;
}

bool IgnoreRules::excludes(std::string_view path) const {
  const std::vector<std::string_view> parts = split(path, '/');
  bool excluded = false;
  for (const Rule& rule : rules_) {
    if (rule.exception != excluded) continue;  // it could change nothing
    if (matches_or_above(rule.pattern, 0, parts, 0)) excluded = !rule.exception;
  }
  return excluded;
}

}  // namespace gangway::containers::build
