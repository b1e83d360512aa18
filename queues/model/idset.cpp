#include "queues/model/idset.hpp"

#include <algorithm>
#include <cstdint>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway {
namespace {
constexpr std::size_t kMaxNames = kMaxNodesPerJob;

std::string padded(std::uint64_t number, std::size_t width) {
  std::string digits = cat(number);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Recursive descent over: list = item {"," item}; item = {text | "[" range {"," range} "]"};
// range = number ["-" number].
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::vector<NodeName>> parse() {
    std::vector<NodeName> names;
    if (text_.empty()) return names;
    std::set<std::string> seen;
    while (true) {
      GANGWAY_ASSIGN(const auto item, parse_item());
      for (const auto& name : item) {
        if (!seen.insert(name).second) continue;
        if (names.size() == kMaxNames) return too_many();
        names.emplace_back(name);
      }
      if (at_ == text_.size()) return names;
      ++at_;  // parse_item() stops only at a comma or at the end
    }
  }

 private:
  Error wrong(std::string_view what) const {
    return {ErrorKind::Invalid, cat("host list \"", text_.substr(0, kMaxNameBytes), "\", position ",
                                    at_ + 1, ": ", what)};
  }
  Error too_many() const { return wrong(cat("more than ", kMaxNames, " names")); }

  Result<std::vector<std::string>> parse_item() {
    std::vector<std::string> names = {""};
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',') {
      if (text_[at_] == '[') {
        GANGWAY_ASSIGN(const auto numbers, parse_brackets(kMaxNames / names.size()));
        // Several brackets in one name multiply: "r[1-2]n[1-4]".
        std::vector<std::string> product;
        product.reserve(names.size() * numbers.size());
        for (const auto& name : names) {
          for (const auto& number : numbers) product.push_back(name + number);
        }
        names = std::move(product);
        continue;
      }
      std::size_t stop = at_;
      while (stop < text_.size() && is_name_character(text_[stop])) ++stop;
      if (stop == at_) {
        return wrong("a name consists of letters, digits, \"-\", \"_\" and \".\"");
      }
      const auto piece = text_.substr(at_, stop - at_);
      for (auto& name : names) name.append(piece);
      at_ = stop;
    }
    if (at_ == begin) return wrong("a name is missing");
    if (names.front().size() > kMaxNameBytes) return wrong("a name is too long");
    return names;
  }

  static bool is_name_character(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  }

  Result<std::vector<std::string>> parse_brackets(std::size_t room) {
    std::vector<std::string> numbers;
    do {
      ++at_;  // "[" or ","
      const std::size_t low_at = at_;
      GANGWAY_ASSIGN(const auto low, parse_number());
      const std::size_t width = at_ - low_at;
      std::uint64_t high = low;
      if (at_ < text_.size() && text_[at_] == '-') {
        ++at_;
        GANGWAY_ASSIGN(high, parse_number());
        if (high < low) return wrong("the range goes backwards");
      }
      if (high - low >= room - std::min(room, numbers.size())) return too_many();
      for (std::uint64_t n = low; n <= high; ++n) numbers.push_back(padded(n, width));
    } while (at_ < text_.size() && text_[at_] == ',');
    if (at_ == text_.size() || text_[at_] != ']') return wrong("\"]\" is missing");
    ++at_;
    return numbers;
  }

  Result<std::uint64_t> parse_number() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    constexpr std::size_t kMaxDigits = 18;  // fits 64 bits
    const auto digits = text_.substr(begin, at_ - begin);
    if (digits.empty()) return wrong("a number is missing");
    if (digits.size() > kMaxDigits) return wrong("a number is too long");
    return *parse_integer<std::uint64_t>(digits);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// A name cut before the number at its end.
struct Numbered {
  std::string_view prefix;
  std::string_view digits;  // empty: no number, or one too long to count with
  std::uint64_t number = 0;
  friend auto operator<=>(const Numbered& a, const Numbered& b) {
    if (const auto order = a.prefix <=> b.prefix; order != 0) return order;
    // "n" before "n1".
    if (const auto order = b.digits.empty() <=> a.digits.empty(); order != 0) return order;
    if (const auto order = a.number <=> b.number; order != 0) return order;
    return a.digits.size() <=> b.digits.size();
  }
  friend bool operator==(const Numbered&, const Numbered&) = default;
};

Numbered cut(std::string_view name) {
  std::size_t begin = name.size();
  while (begin > 0 && is_digit(name[begin - 1])) --begin;
  const auto digits = name.substr(begin);
  if (digits.empty() || digits.size() > 18) return {.prefix = name, .digits = {}};
  return {.prefix = name.substr(0, begin),
          .digits = digits,
          .number = *parse_integer<std::uint64_t>(digits)};
}

// "01-08,12" of the numbers in [first, last), which have one prefix.
std::string ranges(const Numbered* first, const Numbered* last) {
  std::string out;
  while (first != last) {
    const Numbered* end = first + 1;
    // The padding of a range is that of its first number, so the others must look like it.
    while (end != last && end->number == (end - 1)->number + 1 &&
           end->digits == padded(end->number, first->digits.size())) {
      ++end;
    }
    if (!out.empty()) out.push_back(',');
    out.append(first->digits);
    if (end - first > 1) out.append("-").append((end - 1)->digits);
    first = end;
  }
  return out;
}
}  // namespace

Result<std::vector<NodeName>> parse_host_list(std::string_view text) {
  return Parser(text).parse();
}

std::string render_host_list(const std::vector<NodeName>& names) {
  std::vector<Numbered> parts;
  parts.reserve(names.size());
  for (const auto& name : names) parts.push_back(cut(name.value));
  std::ranges::sort(parts);
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());

  std::string out;
  const Numbered* first = parts.data();
  const Numbered* const end = first + parts.size();
  while (first != end) {
    const Numbered* last = first + 1;
    while (last != end && !first->digits.empty() && last->prefix == first->prefix) ++last;
    if (!out.empty()) out.push_back(',');
    out.append(first->prefix);
    const bool one = last - first == 1;
    if (!one) out.push_back('[');
    out.append(ranges(first, last));
    if (!one) out.push_back(']');
    first = last;
  }
  return out;
}

}  // namespace gangway
