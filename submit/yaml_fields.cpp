#include "submit/yaml_fields.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway::submit {
namespace {

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr std::size_t kMaxDocuments = 1000;

constexpr std::size_t kMaxValues = 100'000;
constexpr int kMaxDepth = 64;
constexpr std::string_view kMergeKey = "<<";

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

// Also in mappings that nobody reads field by field: labels, environments.
void check_keys(const YAML::Node& node, const std::string& path, FieldErrors& errors) {
  if (node.IsSequence()) {
    for (std::size_t i = 0; i < node.size(); ++i) {
      check_keys(node[i], cat(path, "[", i, "]"), errors);
    }
  }
  if (!node.IsMap()) return;
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    const std::string here = path.empty() ? key : cat(path, ".", key);
    if (key == kMergeKey) {
      errors.note(entry.first, here, "merge keys are not read; write the fields where they count");
    } else if (!seen.insert(key).second) {
      errors.note(entry.first, here, "is there twice");
    }
    check_keys(entry.second, here, errors);
  }
}

// What stands for zeros and ones in one version of YAML is a number of tens in another: 010.
bool is_ambiguous(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0';
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
  std::vector<FieldError> all;
  std::set<std::pair<int, std::string>> seen;
  for (FieldError& error : errors_) {
    if (seen.emplace(error.line, error.message).second) all.push_back(std::move(error));
  }
  errors_.clear();
  return all;
}

std::string FieldErrors::scalar(const YAML::Node& node) const {
  if (!node.IsScalar()) return "";
  return read_ ? read_(node.Scalar()) : node.Scalar();
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
  for (const YAML::Node& document : documents) check_keys(document, "", errors);
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
}

// NOLINTNEXTLINE(bugprone-exception-escape): if memory ends, so do we.
YamlFields::~YamlFields() {
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (known_.contains(key) || key == kMergeKey) continue;
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
  const std::string word = errors_.scalar(found);
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
  const std::string written = errors_.scalar(found);
  const auto value = parse_integer<std::int32_t>(written);
  if (value && *value >= low && *value <= high && !is_ambiguous(written)) return *value;
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
  const std::string given = errors_.scalar(found);
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

namespace {

// So that 18 digits times 2^60 are not too many.
using Wide = unsigned __int128;

struct Decimal {
  Wide digits = 0;
  int exponent = 0;  // of ten
};

// "2", "1.5", ".5", "1e3", "1.5E-3"; what follows is left in `text`. At most 18 digits.
std::optional<Decimal> take_decimal(std::string_view& text) {
  constexpr int kMaxDigits = 18;
  constexpr int kMaxExponent = 18;
  Decimal number;
  int digits = 0;
  bool after_point = false;
  if (text.starts_with('+')) text.remove_prefix(1);
  for (; !text.empty(); text.remove_prefix(1)) {
    const char c = text.front();
    if (c == '.' && !after_point) {
      after_point = true;
    } else if (c >= '0' && c <= '9') {
      if (++digits > kMaxDigits) return std::nullopt;
      number.digits = number.digits * 10 + static_cast<unsigned>(c - '0');
      if (after_point) --number.exponent;
    } else {
      break;
    }
  }
  if (digits == 0) return std::nullopt;
  // "1E" and "1Ei" are amounts with a suffix.
  if ((text.starts_with('e') || text.starts_with('E')) && text.size() > 1 && text != "Ei") {
    std::string_view written = text.substr(1);
    if (written.starts_with('+')) written.remove_prefix(1);
    const auto exponent = parse_integer<int>(written);
    if (!exponent || *exponent < -kMaxExponent || *exponent > kMaxExponent) return std::nullopt;
    number.exponent += *exponent;
    text = {};
  }
  return number;
}

// The number times `factor`, rounded up.
std::optional<std::int64_t> times(Decimal number, std::int64_t factor) {
  constexpr Wide kMost = static_cast<Wide>(std::numeric_limits<std::int64_t>::max());
  Wide value = number.digits * static_cast<Wide>(factor);
  for (; number.exponent > 0 && value <= kMost; --number.exponent) value *= 10;
  for (; number.exponent < 0 && value > 0; ++number.exponent) value = (value + 9) / 10;
  if (value > kMost) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace

std::optional<std::int64_t> parse_cpu_millis(std::string_view text) {
  constexpr std::int64_t kMaxMillis = 1'000'000 * std::int64_t{1000};
  if (is_ambiguous(text) && !text.starts_with("0.")) return std::nullopt;
  const auto number = take_decimal(text);
  if (!number || (!text.empty() && text != "m")) return std::nullopt;
  const auto millis = times(*number, text.empty() ? 1000 : 1);
  return millis && *millis <= kMaxMillis ? millis : std::nullopt;
}

std::optional<Bytes> parse_quantity(std::string_view text) {
  if (is_ambiguous(text) && !text.starts_with("0.")) return std::nullopt;
  const auto number = take_decimal(text);
  if (!number) return std::nullopt;
  const bool binary = text.size() == 2 && text.back() == 'i';
  const std::string_view letters = binary ? "KMGTPE" : "kMGTPE";
  std::int64_t factor = 1;
  if (!text.empty()) {
    const std::size_t letter = letters.find(text.front());
    if (letter == std::string_view::npos || text.size() != (binary ? 2U : 1U)) return std::nullopt;
    for (std::size_t i = 0; i <= letter; ++i) factor *= binary ? 1024 : 1000;
  }
  const auto bytes = times(*number, factor);
  if (!bytes) return std::nullopt;
  return Bytes{*bytes};
}

}  // namespace gangway::submit
