#include "queues/config/value.hpp"

#include <yaml-cpp/yaml.h>

#include <set>

#include "queues/base/text.hpp"
#include "queues/config/config_text.hpp"
#include "queues/model/constraint.hpp"
#include "queues/model/devices.hpp"

namespace gangway::config {

void Value::fail(std::string_view message) const {
  std::string shown;
  if (node_.IsScalar()) shown = cat(" \"", node_.Scalar(), "\"");
  errors_.push_back({line_of(node_), cat(name_, shown, ": ", message)});
}

void Value::check(const Result<void>& good) const {
  if (!good) fail(good.error().message());
}

void Value::read(std::string& out) const {
  if (!node_.IsScalar()) return fail("must be a text");
  out = node_.Scalar();
}

void Value::read(bool& out) const {
  if (!node_.IsScalar() || !YAML::convert<bool>::decode(node_, out)) fail("must be true or false");
}

void Value::read(std::int64_t& out, std::int64_t low, std::int64_t high) const {
  const auto number = node_.IsScalar() ? parse_integer<std::int64_t>(node_.Scalar()) : std::nullopt;
  if (number && *number >= low && *number <= high) {
    out = *number;
  } else {
    fail(cat("must be a whole number from ", low, " to ", high));
  }
}

void Value::read(double& out) const {
  if (!node_.IsScalar()) return fail("must be a number");
  const auto weight = read_weight(node_.Scalar());
  if (!weight) return fail(weight.error().message());
  out = *weight;
}

void Value::read(Duration& out, Duration low) const {
  if (!node_.IsScalar()) return fail("must be a time, as 10m");
  const auto duration = read_duration(node_.Scalar());
  if (!duration) return fail(duration.error().message());
  if (*duration < low) return fail(cat("must be at least ", render_exactly(low)));
  // Some of them are multiplied; a thousand years would overflow.
  constexpr Duration kMost = hours(24 * 3650);
  if (*duration > kMost) return fail(cat("must be at most ", render_exactly(kMost)));
  out = *duration;
}

void Value::read(Bytes& out) const {
  if (!node_.IsScalar()) return fail("must be a size, as 4G");
  const auto amount = read_bytes(node_.Scalar());
  if (!amount) return fail(amount.error().message());
  constexpr Bytes kMost = gibibytes(1 << 30);
  if (*amount > kMost) return fail(cat("must be at most ", render_exactly(kMost)));
  out = *amount;
}

void Value::read_limit(std::optional<Duration>& out) const {
  if (is_word(kUnlimited)) {
    out = std::nullopt;
    return;
  }
  Duration limit;
  const std::size_t before = errors_.size();
  read(limit, seconds(1));
  if (errors_.size() == before) out = limit;
}

void Value::read_list(
    const std::function<void(const Value& item, const std::string& text)>& take) const {
  if (node_.IsScalar()) return take(*this, node_.Scalar());
  if (!node_.IsSequence()) return fail("must be a list");
  for (const YAML::Node& item : node_) {
    const Value value(name_, item, line_of(item), errors_);
    if (item.IsScalar()) {
      take(value, item.Scalar());
    } else {
      value.fail("must be a list of texts");
    }
  }
}

void Value::read_features(std::vector<std::string>& out) const {
  std::vector<std::string> read;
  const std::size_t before = errors_.size();
  read_list([&read](const Value& item, const std::string& name) {
    if (!is_feature_name(name)) {
      item.fail("is no name of a feature; they have letters, digits and _-.:=+/@%");
    }
    read.push_back(name);
  });
  if (read.size() > kMaxFeaturesOfNode) fail(cat("has more than ", kMaxFeaturesOfNode));
  if (errors_.size() == before) out = sorted_features(std::move(read));
}

void Value::read_names(
    const std::function<void(const std::string& name, const Value& amount)>& take) const {
  if (!node_.IsMap()) return fail("must be names with amounts, as {gpu: 2}");
  std::set<std::string> seen;
  for (const auto& item : node_) {
    const std::string name = item.first.IsScalar() ? item.first.Scalar() : std::string();
    const Value value(cat(name_, ": ", name), item.second, line_of(item.first), errors_);
    const std::size_t colon = name.find(':');
    const bool good = is_name(name.substr(0, colon)) &&
                      (colon == std::string::npos || is_name(name.substr(colon + 1)));
    if (!good) {
      value.fail(
          "names have letters, digits, dots, dashes and underscores; a type follows a colon");
    } else if (!seen.insert(name).second) {
      value.fail("is given twice");
    } else {
      take(name, value);
    }
  }
}

bool Value::has_keys() const { return node_.IsMap(); }

void Value::read_devices(DeviceList& out) const {
  DeviceList read;
  const std::size_t before = errors_.size();
  read_names([&](const std::string& name, const Value& value) {
    if (name.find(':') != std::string::npos) {
      return value.fail("devices are listed for a kind of resource, without its types");
    }
    std::vector<std::string> entries;
    value.read_list([&](const Value& item, const std::string& entry) {
      for (const std::string_view part : split(entry, '+')) {
        const bool is_path = part.starts_with("/dev/") && part.find("..") == std::string_view::npos;
        const bool is_cdi = part.find('/') != std::string_view::npos &&
                            part.find('=') != std::string_view::npos && !part.starts_with('/');
        if (!is_path && !is_cdi) {
          return item.fail("is no device: a path in /dev, or a name in CDI as nvidia.com/gpu=0");
        }
      }
      entries.push_back(entry);
    });
    if (std::ssize(entries) > kMaxIndexedDevices) {
      value.fail(cat("has more than ", kMaxIndexedDevices, " devices"));
    }
    read.emplace_back(name, std::move(entries));
  });
  if (errors_.size() > before) return;
  std::ranges::sort(read);
  out = std::move(read);
}

bool Value::is_word(std::string_view word) const {
  return node_.IsScalar() && node_.Scalar() == word;
}

int Value::line_of(const YAML::Node& node) const {
  return node.Mark().line >= 0 && !node.Mark().is_null() ? node.Mark().line + 1 : line_;
}

}  // namespace gangway::config
