#include "submit/options.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway::submit {

namespace {

class Parser {
 public:
  Parser(std::span<const OptionName> table,
         std::span<const std::string> words,
         Operands operands,
         const Place& place)
      : table_(table), words_(words), operands_(operands), place_(place) {}

  Result<ParsedOptions> run() {
    bool options_over = false;
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (options_over || word.size() < 2 || word[0] != '-') {
        parsed_.operands.push_back(word);
        if (operands_ == Operands::EndTheOptions) options_over = true;
      } else if (word == "--") {
        parsed_.saw_dashes = true;
        parsed_.operands_before_dashes = parsed_.operands.size();
        options_over = true;
      } else if (word[1] == '-') {
        GANGWAY_TRY(take_long(word));
      } else {
        GANGWAY_TRY(take_letters(word));
      }
    }
    if (!parsed_.saw_dashes) parsed_.operands_before_dashes = parsed_.operands.size();
    return std::move(parsed_);
  }

 private:
  [[nodiscard]] Error error(std::string_view message) const {
    return Error(ErrorKind::Invalid, cat(prefix_of(place_), message));
  }

  Result<std::size_t> find_long(std::string_view name) const {
    std::vector<std::size_t> candidates;
    for (std::size_t i = 0; i < table_.size(); ++i) {
      if (table_[i].name == name) return i;
      if (table_[i].name.starts_with(name)) candidates.push_back(i);
    }
    const auto same = [&](std::size_t i) {
      return table_[i].canonical() == table_[candidates.front()].canonical();
    };
    if (!candidates.empty() && !name.empty() && std::ranges::all_of(candidates, same)) {
      return candidates.front();
    }
    if (candidates.size() > 1 && !name.empty()) {
      std::vector<std::string> names;
      names.reserve(candidates.size());
      for (const std::size_t i : candidates) names.push_back(cat("--", table_[i].name));
      return error(cat("option --", name, " is ambiguous: it could be ", join(names, ", ")));
    }
    std::vector<std::string> names;
    for (const OptionName& option : table_) names.emplace_back(option.name);
    const std::string near = nearest(name, names);
    return error(cat("unknown option --", name,
                     near.empty() ? std::string("; --help lists those there are")
                                  : cat("; did you mean --", near, "?")));
  }

  Result<void> take_long(const std::string& word) {
    const std::string_view body = std::string_view(word).substr(2);
    const std::size_t equals = body.find('=');
    const std::string_view name = body.substr(0, equals);
    GANGWAY_ASSIGN(const std::size_t index, find_long(name));
    const OptionName& option = table_[index];
    GivenOption given{.index = index, .spelled = cat("--", name), .value = {}, .place = place_};
    if (equals != std::string_view::npos) {
      if (option.takes == Takes::Nothing) {
        return error(cat("option --", option.name, " takes no value, but was given \"",
                         body.substr(equals + 1), "\""));
      }
      given.value = std::string(body.substr(equals + 1));
    } else if (option.takes == Takes::Value) {
      GANGWAY_TRY(take_next_word(given, option));
    }
    parsed_.options.push_back(std::move(given));
    return {};
  }

  Result<void> take_letters(const std::string& word) {
    for (std::size_t at = 1; at < word.size(); ++at) {
      const auto found = std::ranges::find(table_, word[at], &OptionName::letter);
      if (found == table_.end()) {
        return error(cat("unknown option -", word[at], "; --help lists those there are"));
      }
      GivenOption given{.index = static_cast<std::size_t>(found - table_.begin()),
                        .spelled = cat('-', word[at]),
                        .value = {},
                        .place = place_};
      const bool glued = at + 1 < word.size();
      if (found->takes != Takes::Nothing && glued) {
        given.value = word.substr(at + 1);
        at = word.size();
      } else if (found->takes == Takes::Value) {
        GANGWAY_TRY(take_next_word(given, *found));
      }
      parsed_.options.push_back(std::move(given));
    }
    return {};
  }

  Result<void> take_next_word(GivenOption& given, const OptionName& option) {
    if (next_ >= words_.size()) {
      return error(cat("option ", given.spelled, " needs a value: ", given.spelled,
                       given.spelled.size() == 2 ? " " : "=", option.value_name));
    }
    given.value = words_[next_++];
    return {};
  }

  std::span<const OptionName> table_;
  std::span<const std::string> words_;
  Operands operands_;
  const Place& place_;
  std::size_t next_ = 0;
  ParsedOptions parsed_;
};

}  // namespace

std::string prefix_of(const Place& place) {
  if (place.line > 0) return cat(place.file, ":", place.line, ": ");
  if (!place.file.empty()) return cat(place.file, ": ");
  return {};
}

Result<ParsedOptions> parse_options(std::span<const OptionName> table,
                                    std::span<const std::string> words,
                                    Operands operands,
                                    const Place& place) {
  return Parser(table, words, operands, place).run();
}

Result<ParsedOptions> parse_command_line(std::span<const OptionName> table,
                                         std::span<const std::string> words) {
  GANGWAY_ASSIGN(ParsedOptions all, parse_options(table, words, Operands::EndTheOptions));
  for (std::size_t component = 1;
       !all.saw_dashes && !all.operands.empty() && all.operands.front() == ":"; ++component) {
    const std::vector<std::string> rest(all.operands.begin() + 1, all.operands.end());
    GANGWAY_ASSIGN(ParsedOptions next, parse_options(table, rest, Operands::EndTheOptions));
    for (GivenOption& given : next.options) {
      given.component = component;
      all.options.push_back(std::move(given));
    }
    all.components = component + 1;
    all.operands = std::move(next.operands);
    all.saw_dashes = next.saw_dashes;
    all.operands_before_dashes = next.operands_before_dashes;
  }
  return all;
}

Error option_error(const GivenOption& given, std::string_view what) {
  // A key of a workflow file is spelled without dashes, and is no option.
  const std::string_view word = given.spelled.starts_with('-') ? "option " : "";
  return Error(ErrorKind::Invalid, cat(prefix_of(given.place), word, given.spelled, ": ", what));
}

}  // namespace gangway::submit
