// A YAML document as a tree of plain values. The library's own nodes are shared objects, each of
// which is looked up and counted; a workflow of 100,000 jobs has a million of them.
//
// Only the .cpp includes the library. Aliases are copies of what they name.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace gangway::submit {

class YamlNode {
 public:
  enum class Kind : std::uint8_t { Null, Scalar, Sequence, Map };
  Kind kind = Kind::Null;
  int line = 0;  // from 1
  std::string text{};
  std::vector<YamlNode> items{};  // of a map: keys and values in turn

  [[nodiscard]] bool is_null() const { return kind == Kind::Null; }
  [[nodiscard]] bool is_scalar() const { return kind == Kind::Scalar; }
  [[nodiscard]] bool is_sequence() const { return kind == Kind::Sequence; }
  [[nodiscard]] bool is_map() const { return kind == Kind::Map; }
};

struct YamlError {
  int line = 0;
  std::string message;
};

// The first document; of an empty text, a null.
[[nodiscard]] std::variant<YamlNode, YamlError> parse_yaml(const std::string& text);

}  // namespace gangway::submit
