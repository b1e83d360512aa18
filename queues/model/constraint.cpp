#include "queues/model/constraint.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>

#include "queues/base/text.hpp"

namespace gangway {

namespace {

constexpr std::size_t kMaxTerms = 64;
constexpr std::size_t kMaxChoices = 16;
constexpr int kMaxDepth = 32;
constexpr std::int32_t kMaxCount = 100'000;

Error wrong(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-.:=+/@%").find(c) != std::string_view::npos;
}

FeatureChoice any_node() { return {FeatureTerm{}}; }

// The term for which both are true; nullopt: there is no such node.
std::optional<FeatureTerm> both(const FeatureTerm& a, const FeatureTerm& b) {
  FeatureTerm out;
  std::ranges::set_union(a.all, b.all, std::back_inserter(out.all));
  std::ranges::set_union(a.none, b.none, std::back_inserter(out.none));
  std::vector<std::string> contrary;
  std::ranges::set_intersection(out.all, out.none, std::back_inserter(contrary));
  if (!contrary.empty()) return std::nullopt;
  return out;
}

void tidy_up(FeatureChoice& choice) {
  std::ranges::sort(choice);
  choice.erase(std::unique(choice.begin(), choice.end()), choice.end());
}

// An expression under construction: a condition on each node (no term: never true), and what stands
// beside it.
struct Value {
  FeatureChoice each = any_node();
  std::vector<FeatureChoice> same;  // [a|b]
  std::vector<Constraint::Counted> counted;
  [[nodiscard]] bool is_plain() const { return same.empty() && counted.empty(); }
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Constraint> parse() {
    GANGWAY_ASSIGN(Value value, parse_or());
    if (!at_end()) return here(cat("\"", text_[at_], "\" is not expected"));
    Constraint out;
    out.counted = std::move(value.counted);
    if (value.same.empty()) value.same.push_back(any_node());
    for (const FeatureChoice& one : value.same) {
      GANGWAY_ASSIGN(FeatureChoice choice, conjunction(value.each, one));
      if (!choice.empty()) out.choices.push_back(std::move(choice));
    }
    if (out.choices.empty()) return never();
    for (Constraint::Counted& counted : out.counted) {
      GANGWAY_ASSIGN(counted.choice, conjunction(value.each, counted.choice));
      if (counted.choice.empty()) return never();
    }
    return out;
  }

 private:
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  void skip_blanks() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] Error here(std::string_view what) const {
    return wrong(cat(what, " at character ", at_ + 1));
  }
  static Error never() { return wrong("no node could have these features"); }

  static Result<FeatureChoice> conjunction(const FeatureChoice& a, const FeatureChoice& b) {
    FeatureChoice out;
    for (const FeatureTerm& one : a) {
      for (const FeatureTerm& other : b) {
        if (auto term = both(one, other)) out.push_back(*std::move(term));
        if (out.size() > kMaxTerms) return wrong("it has too many cases");
      }
    }
    tidy_up(out);
    return out;
  }

  static Result<FeatureChoice> negation(const FeatureChoice& choice) {
    FeatureChoice out = any_node();
    for (const FeatureTerm& term : choice) {
      FeatureChoice contrary;
      for (const std::string& name : term.all) contrary.push_back({.all = {}, .none = {name}});
      for (const std::string& name : term.none) contrary.push_back({.all = {name}, .none = {}});
      GANGWAY_ASSIGN(out, conjunction(out, contrary));
    }
    return out;
  }

  Result<Value> parse_or() {
    GANGWAY_ASSIGN(Value left, parse_and());
    while (take('|')) {
      GANGWAY_ASSIGN(Value right, parse_and());
      if (!left.is_plain() || !right.is_plain()) {
        return wrong("counts and [..] cannot be one side of |");
      }
      left.each.insert(left.each.end(), right.each.begin(), right.each.end());
      tidy_up(left.each);
      if (left.each.size() > kMaxTerms) return wrong("it has too many cases");
    }
    return left;
  }

  Result<Value> parse_and() {
    GANGWAY_ASSIGN(Value left, parse_one());
    while (take('&') || take(',')) {
      GANGWAY_ASSIGN(Value right, parse_one());
      GANGWAY_ASSIGN(left.each, conjunction(left.each, right.each));
      if (!left.same.empty() && !right.same.empty()) return wrong("there are two [..|..]");
      if (left.same.empty()) left.same = std::move(right.same);
      std::ranges::move(right.counted, std::back_inserter(left.counted));
      if (left.counted.size() > kMaxChoices) return wrong("it has too many counts");
      if (!left.same.empty() && !left.counted.empty()) {
        return wrong("counts and [..|..] exclude each other");
      }
    }
    return left;
  }

  Result<Value> parse_one() {
    if (++depth_ > kMaxDepth) return wrong("it is nested too deeply");
    Result<Value> value = parse_unit();
    --depth_;
    if (!value || !take('*')) return value;
    GANGWAY_ASSIGN(const std::int32_t count, parse_count());
    if (!value->is_plain()) return wrong("a count follows a feature, or features in parentheses");
    value->counted.push_back({count, std::move(value->each)});
    value->each = any_node();
    return value;
  }

  Result<Value> parse_unit() {
    if (take('!')) {
      GANGWAY_ASSIGN(Value value, parse_unit_again());
      if (!value.is_plain()) return wrong("counts and [..] cannot be negated");
      GANGWAY_ASSIGN(value.each, negation(value.each));
      return value;
    }
    if (take('(')) {
      GANGWAY_ASSIGN(Value value, parse_or());
      if (!take(')')) return here("a \")\" is missing");
      return value;
    }
    if (take('[')) return parse_bracket();
    GANGWAY_ASSIGN(std::string name, parse_name());
    Value value;
    value.each.front().all.push_back(std::move(name));
    return value;
  }

  Result<Value> parse_unit_again() {
    if (++depth_ > kMaxDepth) return wrong("it is nested too deeply");
    Result<Value> value = parse_unit();
    --depth_;
    return value;
  }

  Result<Value> parse_bracket() {
    std::vector<Value> alternatives;
    do {
      GANGWAY_ASSIGN(Value one, parse_and());
      alternatives.push_back(std::move(one));
      if (alternatives.size() > kMaxChoices) return wrong("it has too many alternatives in [..]");
    } while (take('|'));
    if (!take(']')) return here("a \"]\" is missing");
    if (alternatives.size() == 1) return alternatives.front();
    Value value;
    for (Value& one : alternatives) {
      if (!one.is_plain()) return wrong("counts and [..] cannot be alternatives in [..]");
      if (!one.each.empty()) value.same.push_back(std::move(one.each));
    }
    if (value.same.empty()) return never();
    return value;
  }

  Result<std::string> parse_name() {
    skip_blanks();
    const std::size_t begin = at_;
    while (!at_end() && is_name_character(text_[at_])) ++at_;
    if (at_ == begin) {
      return at_end() ? wrong("the name of a feature is missing at its end")
                      : here(cat("\"", text_[at_], "\" is not the name of a feature"));
    }
    if (at_ - begin > kMaxFeatureBytes) {
      return wrong(cat("a feature has at most ", kMaxFeatureBytes, " characters"));
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  Result<std::int32_t> parse_count() {
    skip_blanks();
    const std::size_t begin = at_;
    while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    const auto count = parse_integer<std::int32_t>(text_.substr(begin, at_ - begin));
    if (!count || *count < 1 || *count > kMaxCount) {
      return wrong(cat("the count after * is a number from 1 to ", kMaxCount));
    }
    return *count;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::int64_t Constraint::counted_nodes() const {
  std::int64_t sum = 0;
  for (const Counted& one : counted) sum += one.nodes;
  return sum;
}

Result<Constraint> parse_constraint(std::string_view text) {
  if (text.size() > kMaxConstraintBytes) {
    return wrong(cat("it has more than ", kMaxConstraintBytes, " characters"));
  }
  if (trim(text).empty()) return wrong("it is empty");
  return Parser(trim(text)).parse();
}

bool is_feature_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxFeatureBytes &&
         std::ranges::all_of(name, is_name_character);
}

std::vector<std::string> sorted_features(std::vector<std::string> names) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool is_satisfied(const FeatureChoice& choice, const std::vector<std::string>& features) {
  const auto has = [&](const std::string& name) {
    return std::ranges::binary_search(features, name);
  };
  return std::ranges::any_of(choice, [&](const FeatureTerm& term) {
    return std::ranges::all_of(term.all, has) && std::ranges::none_of(term.none, has);
  });
}

std::string render_choice(const FeatureChoice& choice) {
  std::string out;
  for (const FeatureTerm& term : choice) {
    if (!out.empty()) out += '|';
    std::vector<std::string> parts = term.all;
    for (const std::string& name : term.none) parts.push_back(cat('!', name));
    out += join(parts, "&");
  }
  return out;
}

std::vector<std::string> names_in(const Constraint& constraint) {
  std::set<std::string> names;
  const auto add = [&](const FeatureChoice& choice) {
    for (const FeatureTerm& term : choice) {
      names.insert(term.all.begin(), term.all.end());
      names.insert(term.none.begin(), term.none.end());
    }
  };
  for (const FeatureChoice& choice : constraint.choices) add(choice);
  for (const Constraint::Counted& counted : constraint.counted) add(counted.choice);
  return {names.begin(), names.end()};
}

}  // namespace gangway
