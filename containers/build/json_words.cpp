#include "containers/build/json_words.hpp"

#include <cstdint>
#include <optional>

#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr int kMaxDepth = 64;

void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | code >> 6);
    byte(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    byte(0xe0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3f));
    byte(0x80 | (code & 0x3f));
  } else {
    byte(0xf0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3f));
    byte(0x80 | (code >> 6 & 0x3f));
    byte(0x80 | (code & 0x3f));
  }
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  JsonWords read(std::vector<std::string>& words) {
    skip_blanks();
    if (!take('[')) return JsonWords::NoArray;
    bool strings = true;
    skip_blanks();
    if (!take(']')) {
      do {
        skip_blanks();
        if (peek() == '"') {
          const std::optional<std::string> word = string();
          if (!word) return JsonWords::NoArray;
          words.push_back(*word);
        } else {
          strings = false;
          if (!value(1)) return JsonWords::NoArray;
        }
        skip_blanks();
      } while (take(','));
      if (!take(']')) return JsonWords::NoArray;
    }
    skip_blanks();
    if (at_ != text_.size()) return JsonWords::NoArray;
    return strings ? JsonWords::Strings : JsonWords::OtherArray;
  }

 private:
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != text_.npos) ++at_;
  }

  std::optional<std::uint32_t> hex4() {
    if (text_.size() - at_ < 4) return std::nullopt;
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = text_[at_++];
      std::uint32_t digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<std::uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<std::uint32_t>(c - 'a') + 10;
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<std::uint32_t>(c - 'A') + 10;
      } else {
        return std::nullopt;
      }
      code = code << 4 | digit;
    }
    return code;
  }

  std::optional<std::uint32_t> unicode() {
    std::optional<std::uint32_t> code = hex4();
    if (!code) return std::nullopt;
    if (*code < 0xd800 || *code > 0xdfff) return code;
    constexpr std::uint32_t kReplacement = 0xfffd;
    if (*code > 0xdbff) return kReplacement;
    const std::size_t before = at_;
    if (take("\\u")) {
      const std::optional<std::uint32_t> low = hex4();
      if (!low) return std::nullopt;
      if (*low >= 0xdc00 && *low <= 0xdfff) {
        return 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
      }
      at_ = before;
    }
    return kReplacement;
  }

  // Requires: at a quote.
  std::optional<std::string> string() {
    ++at_;
    std::string out;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_ >= text_.size()) return std::nullopt;
      const char escaped = text_[at_++];
      switch (escaped) {
        case '"':
        case '\\':
        case '/':
          out += escaped;
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'u': {
          const std::optional<std::uint32_t> code = unicode();
          if (!code) return std::nullopt;
          append_utf8(out, *code);
          break;
        }
        default:
          return std::nullopt;
      }
    }
    return std::nullopt;
  }

  bool digits() {
    const std::size_t before = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > before;
  }
  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      return digits();
    }
    return true;
  }

  // Any value, whose meaning nobody wants to know.
  bool value(int depth) {
    if (depth > kMaxDepth) return false;
    skip_blanks();
    if (peek() == '"') return string().has_value();
    if (take("true") || take("false") || take("null")) return true;
    if (take('[')) {
      skip_blanks();
      if (take(']')) return true;
      do {
        if (!value(depth + 1)) return false;
        skip_blanks();
      } while (take(','));
      return take(']');
    }
    if (take('{')) {
      skip_blanks();
      if (take('}')) return true;
      do {
        skip_blanks();
        if (peek() != '"' || !string()) return false;
        skip_blanks();
        if (!take(':') || !value(depth + 1)) return false;
        skip_blanks();
      } while (take(','));
      return take('}');
    }
    return number();
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

JsonWords parse_json_words(std::string_view text, std::vector<std::string>& words) {
  std::vector<std::string> found;
  if (!is_utf8(text)) return JsonWords::NoArray;
  const JsonWords kind = Reader(text).read(found);
  if (kind == JsonWords::Strings) words = std::move(found);
  return kind;
}

std::string render_json_words(const std::vector<std::string>& words) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "[";
  for (const std::string& word : words) {
    out += out.size() > 1 ? ", \"" : "\"";
    for (const char c : word) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (byte < 0x20) {
        out += cat("\\u00", kHex[byte >> 4], kHex[byte & 15]);
      } else {
        out += c;
      }
    }
    out += '"';
  }
  return out + "]";
}

}  // namespace gangway::containers::build
