// YamlFields: a mapping of a YAML file, read field by field; what nobody has asked for is an error.
//
// Every reader notes an error, with the line and the path of the field, and returns a default if
// the value is of another kind; the caller looks at the list of errors once, at the end.
//
// Pure.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "submit/service_parse.hpp"

namespace gangway::submit {

class FieldErrors {
 public:
  void note(const YAML::Node& where, std::string_view field, std::string_view what);
  void note_line(int line, std::string what);
  [[nodiscard]] std::size_t size() const { return errors_.size(); }
  // How numbers, flags and words are read: as they are written, if nothing is said.
  void read_scalars_by(std::function<std::string(const std::string& written)> how) {
    read_ = std::move(how);
  }
  [[nodiscard]] std::string scalar(const YAML::Node& node) const;
  // In the order of their lines, each once: an alias repeats what it names.
  [[nodiscard]] std::vector<FieldError> take();

 private:
  std::function<std::string(const std::string& written)> read_;
  std::vector<FieldError> errors_;
};

// The documents of the text; none if it has errors. At most 1 MiB, 1000 documents and 100 000
// values with those that aliases repeat, 64 deep. A key that is there twice is an error, and so is
// a merge key: "<<" is of no version of YAML that is in force.
[[nodiscard]] std::vector<YAML::Node> load_yaml(std::string_view text, FieldErrors& errors);

[[nodiscard]] bool is_absent(const YAML::Node& node);
[[nodiscard]] std::string read_text(const YAML::Node& node,
                                    std::string_view field,
                                    FieldErrors& errors);
[[nodiscard]] std::vector<std::string> read_texts(const YAML::Node& node,
                                                  std::string_view field,
                                                  FieldErrors& errors);

class YamlFields {
 public:
  // `path`: "spec.template"; "" at the top. A node that is no mapping is an error.
  YamlFields(const YAML::Node& node, std::string path, FieldErrors& errors);
  YamlFields(const YamlFields&) = delete;
  YamlFields& operator=(const YamlFields&) = delete;
  // Notes the fields nobody asked for. NOLINTNEXTLINE(bugprone-exception-escape): if memory ends
  ~YamlFields();

  [[nodiscard]] std::string path_of(std::string_view key) const;
  [[nodiscard]] const YAML::Node& node() const { return node_; }
  // Not defined if it is absent or null.
  [[nodiscard]] YAML::Node take(std::string_view key);
  [[nodiscard]] YAML::Node need(std::string_view key);
  [[nodiscard]] std::string text(std::string_view key);
  [[nodiscard]] std::string need_text(std::string_view key);
  [[nodiscard]] bool flag(std::string_view key, bool otherwise);
  [[nodiscard]] std::int32_t number(std::string_view key,
                                    std::int32_t otherwise,
                                    std::int32_t low,
                                    std::int32_t high = std::numeric_limits<std::int32_t>::max());
  [[nodiscard]] std::vector<std::string> texts(std::string_view key);
  // Each item of a list, with its path: "containers[0]".
  void each(std::string_view key,
            const std::function<void(const YAML::Node& item, const std::string& path)>& take_item);
  // Each entry of a mapping of texts, numbers and flags taken as they are written.
  void entries(std::string_view key,
               const std::function<void(const std::string& name, const std::string& value)>& take);
  // One of these words, or the first.
  std::size_t word(std::string_view key, const std::vector<std::string>& words);
  // Read, and known to change nothing here.
  void accept(std::string_view key);
  void refuse(std::string_view key, std::string_view why);
  FieldErrors& errors() { return errors_; }

 private:
  YAML::Node node_;
  std::string path_;
  FieldErrors& errors_;
  std::set<std::string, std::less<>> known_;
};

// "100m", "0.5", "2": in thousandths, rounded up. nullopt: none of these.
[[nodiscard]] std::optional<std::int64_t> parse_cpu_millis(std::string_view text);
// "100Mi", "1.5G", "512k", "1e9", "1048576": rounded up. Kubernetes' suffixes: Ki is 1024, k is
// 1000, and K is none. A thousandth of a byte ("100m") is nothing that anybody means.
[[nodiscard]] std::optional<Bytes> parse_quantity(std::string_view text);

}  // namespace gangway::submit
