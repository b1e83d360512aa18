#include "submit/yaml_fields.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway::submit {
namespace {

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr std::size_t kMaxDocuments = 1000;

constexpr std::size_t kMaxValues = 100'000;
constexpr int kMaxDepth = 64;

int line_of(const YAML::Node& node) { return node.Mark().line + 1; }

// Aliases multiply: a small file may mean an immense one, or one without an end.
bool is_bounded(const YAML::Node& node, int depth, std::size_t& left) {
  if (depth > kMaxDepth || left == 0) return false;
  --left;
  if (node.IsSequence()) {
    return std::ranges::all_of(node,
                               [&](const auto& item) { return is_bounded(item, depth + 1, left); });
  }
  if (node.IsMap()) {
    for (const auto& entry : node) {
      if (!is_bounded(entry.first, depth + 1, left)) return false;
      if (!is_bounded(entry.second, depth + 1, left)) return false;
    }
  }
  return true;
}

}  // namespace

void FieldErrors::note(const YAML::Node& where, std::string_view field, std::string_view what) {
  note_line(line_of(where), field.empty() ? std::string(what) : cat(field, ": ", what));
}

void FieldErrors::note_line(int line, std::string what) {
  errors_.push_back({line, std::move(what)});
}

std::vector<FieldError> FieldErrors::take() {
  std::ranges::stable_sort(errors_, {}, &FieldError::line);
  return std::exchange(errors_, {});
}

std::vector<YAML::Node> load_yaml(std::string_view text, FieldErrors& errors) {
  if (text.size() > kMaxBytes) {
    errors.note_line(0, "is larger than 1 MiB");
    return {};
  }
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAll(std::string(text));
  } catch (const YAML::Exception& error) {
    errors.note_line(error.mark.line + 1, error.msg);
    return {};
  }
  std::erase_if(documents, is_absent);
  if (documents.empty()) errors.note_line(0, "is empty");
  if (documents.size() > kMaxDocuments) {
    errors.note_line(0, cat("holds more than ", kMaxDocuments, " documents"));
    return {};
  }
  std::size_t left = kMaxValues;
  for (const YAML::Node& document : documents) {
    if (is_bounded(document, 0, left)) continue;
    errors.note(document, "",
                cat("holds more than ", kMaxValues, " values, or some deeper than ", kMaxDepth));
    return {};
  }
  return documents;
}

bool is_absent(const YAML::Node& node) { return !node.IsDefined() || node.IsNull(); }

std::string read_text(const YAML::Node& node, std::string_view field, FieldErrors& errors) {
  if (node.IsScalar()) return node.Scalar();
  errors.note(node, field, "must be a text");
  return "";
}

std::vector<std::string> read_texts(const YAML::Node& node,
                                    std::string_view field,
                                    FieldErrors& errors) {
  std::vector<std::string> out;
  if (!node.IsSequence()) {
    errors.note(node, field, "must be a list");
    return out;
  }
  for (const YAML::Node& item : node) out.push_back(read_text(item, field, errors));
  return out;
}

YamlFields::YamlFields(const YAML::Node& node, std::string path, FieldErrors& errors)
    : node_(node), path_(std::move(path)), errors_(errors) {
  if (!node_.IsMap()) {
    errors_.note(node_, path_, "must be a mapping");
    node_ = YAML::Node(YAML::NodeType::Map);
    return;
  }
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (!seen.insert(key).second) errors_.note(entry.first, path_of(key), "is there twice");
  }
}

// NOLINTNEXTLINE(bugprone-exception-escape): if memory ends, so do we.
YamlFields::~YamlFields() {
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (known_.contains(key)) continue;
    const std::string hint = nearest(key, {known_.begin(), known_.end()});
    errors_.note(entry.first, path_of(key),
                 hint.empty() ? std::string("no such field is known here")
                              : cat("no such field is known here; did you mean ", hint, "?"));
  }
}

std::string YamlFields::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : cat(path_, ".", key);
}

YAML::Node YamlFields::take(std::string_view key) {
  known_.emplace(key);
  for (const auto& entry : node_) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key && !entry.second.IsNull()) {
      return entry.second;
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

YAML::Node YamlFields::need(std::string_view key) {
  const YAML::Node found = take(key);
  if (!is_absent(found)) return found;
  errors_.note(node_, path_of(key), "is missing");
  return YAML::Node(YAML::NodeType::Undefined);
}

std::string YamlFields::text(std::string_view key) {
  const YAML::Node found = take(key);
  return is_absent(found) ? "" : read_text(found, path_of(key), errors_);
}

std::string YamlFields::need_text(std::string_view key) {
  const YAML::Node found = need(key);
  return is_absent(found) ? "" : read_text(found, path_of(key), errors_);
}

bool YamlFields::flag(std::string_view key, bool otherwise) {
  const YAML::Node found = take(key);
  if (is_absent(found)) return otherwise;
  const std::string word = found.IsScalar() ? found.Scalar() : "";
  if (word == "true") return true;
  if (word != "false") errors_.note(found, path_of(key), "must be true or false");
  return false;
}

std::int32_t YamlFields::number(std::string_view key,
                                std::int32_t otherwise,
                                std::int32_t low,
                                std::int32_t high) {
  const YAML::Node found = take(key);
  if (is_absent(found)) return otherwise;
  const auto value = parse_integer<std::int32_t>(found.IsScalar() ? found.Scalar() : "");
  if (value && *value >= low && *value <= high) return *value;
  const bool bounded = high != std::numeric_limits<std::int32_t>::max();
  errors_.note(found, path_of(key),
               bounded ? cat("must be a number from ", low, " to ", high)
                       : cat("must be a number, ", low, " or more"));
  return otherwise;
}

std::vector<std::string> YamlFields::texts(std::string_view key) {
  const YAML::Node found = take(key);
  return is_absent(found) ? std::vector<std::string>() : read_texts(found, path_of(key), errors_);
}

void YamlFields::each(
    std::string_view key,
    const std::function<void(const YAML::Node& item, const std::string& path)>& take_item) {
  const YAML::Node found = take(key);
  if (is_absent(found)) return;
  if (!found.IsSequence()) {
    errors_.note(found, path_of(key), "must be a list");
    return;
  }
  for (std::size_t i = 0; i < found.size(); ++i)
    take_item(found[i], cat(path_of(key), "[", i, "]"));
}

void YamlFields::entries(
    std::string_view key,
    const std::function<void(const std::string& name, const std::string& value)>& take_entry) {
  const YAML::Node found = take(key);
  if (is_absent(found)) return;
  if (!found.IsMap()) {
    errors_.note(found, path_of(key), "must be a mapping");
    return;
  }
  for (const auto& entry : found) {
    const std::string name = read_text(entry.first, path_of(key), errors_);
    take_entry(name, entry.second.IsNull()
                         ? ""
                         : read_text(entry.second, cat(path_of(key), ".", name), errors_));
  }
}

std::size_t YamlFields::word(std::string_view key, const std::vector<std::string>& words) {
  const YAML::Node found = take(key);
  if (is_absent(found)) return 0;
  const std::string given = found.IsScalar() ? found.Scalar() : "";
  const auto known = std::ranges::find(words, given);
  if (known != words.end()) return static_cast<std::size_t>(known - words.begin());
  errors_.note(found, path_of(key), cat(given, ": must be one of ", join(words, ", ")));
  return 0;
}

void YamlFields::accept(std::string_view key) { known_.emplace(key); }

void YamlFields::refuse(std::string_view key, std::string_view why) {
  known_.emplace(key);
  for (const auto& entry : node_) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key && !entry.second.IsNull()) {
      errors_.note(entry.first, path_of(key), why);
    }
  }
}

std::optional<std::int64_t> parse_cpu_millis(std::string_view text) {
  constexpr std::int64_t kMaxCpus = 1'000'000;
  if (text.ends_with('m')) {
    const auto millis = parse_integer<std::int64_t>(text.substr(0, text.size() - 1));
    return millis && *millis >= 0 && *millis <= kMaxCpus * 1000 ? millis : std::nullopt;
  }
  const std::size_t point = text.find('.');
  const auto whole = parse_integer<std::int64_t>(text.substr(0, point));
  if (!whole || *whole < 0 || *whole > kMaxCpus) return std::nullopt;
  std::int64_t millis = *whole * 1000;
  if (point == std::string_view::npos) return millis;
  std::string digits(text.substr(point + 1));
  if (digits.empty() || digits.size() > 3) return std::nullopt;
  digits.resize(3, '0');
  const auto fraction = parse_integer<std::int64_t>(digits);
  if (!fraction || *fraction < 0) return std::nullopt;
  return millis + *fraction;
}

std::optional<Bytes> parse_quantity(std::string_view text) {
  std::int64_t factor = 1;
  static constexpr std::string_view kLetters = "kMGTP";
  const bool binary = text.ends_with('i');
  if (binary) text.remove_suffix(1);
  std::size_t letter = std::string_view::npos;
  if (!text.empty()) letter = kLetters.find(text.back() == 'K' ? 'k' : text.back());
  if (letter != std::string_view::npos) {
    text.remove_suffix(1);
    for (std::size_t i = 0; i <= letter; ++i) factor *= binary ? 1024 : 1000;
  } else if (binary) {
    return std::nullopt;
  }
  const auto number = parse_integer<std::int64_t>(text);
  if (!number || *number < 0 || *number > std::numeric_limits<std::int64_t>::max() / factor) {
    return std::nullopt;
  }
  return Bytes{*number * factor};
}

}  // namespace gangway::submit
