// A value of the configuration file: read with one clear error for whatever it cannot be.
//
// What reads YAML stays behind this header; the tables of keys know values only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "queues/config/config.hpp"

namespace YAML {
class Node;
}

namespace gangway::config {

// Lives no longer than the node and the list of errors it was made from. Every read() leaves `out`
// as it was and notes an error if the value is not of that kind.
class Value {
 public:
  // `line` is where the key stands, 1 or more.
  Value(std::string name, const YAML::Node& node, int line, std::vector<ConfigError>& errors)
      : name_(std::move(name)), node_(node), line_(line), errors_(errors) {}

  // Notes an error: name, value, message.
  void fail(std::string_view message) const;
  // Notes the error of a check, if it is one.
  void check(const Result<void>& good) const;

  void read(std::string& out) const;
  void read(bool& out) const;
  void read(std::int64_t& out, std::int64_t low, std::int64_t high) const;
  void read(double& out) const;  // 0 to a million
  void read(Duration& out, Duration low) const;
  void read(Bytes& out) const;
  void read_limit(std::optional<Duration>& out) const;  // of at least a second; or unlimited
  // A list, or one text for a list of one.
  void read_list(const std::function<void(const Value& item, const std::string& text)>& take) const;
  // Names of features, sorted, each once.
  void read_features(std::vector<std::string>& out) const;
  // Names with amounts, as {gpu: 2}; take() is called once for each name.
  void read_names(
      const std::function<void(const std::string& name, const Value& amount)>& take) const;
  // The same into a list sorted by name. `read_amount(value, amount)` reads one.
  template <typename Amount, typename ReadAmount>
  void read_amounts(std::vector<std::pair<std::string, Amount>>& out,
                    const ReadAmount& read_amount) const {
    std::vector<std::pair<std::string, Amount>> read;
    const std::size_t before = errors_.size();
    read_names([&](const std::string& name, const Value& value) {
      Amount amount{};
      read_amount(value, amount);
      read.emplace_back(name, amount);
    });
    if (errors_.size() > before) return;
    std::sort(read.begin(), read.end());
    out = std::move(read);
  }

  // Kinds with lists of devices, as {gpu: [/dev/nvidia0, /dev/nvidia1]}; sorted.
  void read_devices(DeviceList& out) const;

  [[nodiscard]] bool is_word(std::string_view word) const;
  [[nodiscard]] bool has_keys() const;
  [[nodiscard]] const YAML::Node& node() const { return node_; }
  [[nodiscard]] int line() const { return line_; }
  [[nodiscard]] int line_of(const YAML::Node& node) const;
  [[nodiscard]] std::vector<ConfigError>& errors() const { return errors_; }

 private:
  std::string name_;
  const YAML::Node& node_;
  int line_;
  std::vector<ConfigError>& errors_;
};

}  // namespace gangway::config
