#include "queues/model/devices.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "queues/base/text.hpp"

namespace gangway {

std::string_view kind_of_resource(std::string_view name) { return name.substr(0, name.find(':')); }

void add_kinds(Resources& resources) {
  std::map<std::string, std::int64_t> of_types;
  for (const auto& [name, amount] : resources.named) {
    const std::string_view kind = kind_of_resource(name);
    if (kind != name) of_types[std::string(kind)] += amount;
  }
  for (const auto& [kind, amount] : of_types) {
    if (resources.amount_of(kind) < amount) resources.set_named(kind, amount);
  }
}

std::vector<std::string> device_types(const Resources& capacity, std::string_view kind) {
  const std::int64_t all = capacity.amount_of(kind);
  if (all < 1 || all > kMaxIndexedDevices) return {};
  std::vector<std::string> types;
  for (const auto& [name, amount] : capacity.named) {
    if (name == kind || kind_of_resource(name) != kind) continue;
    for (std::int64_t i = 0; i < amount && std::ssize(types) < all; ++i) types.push_back(name);
  }
  types.resize(static_cast<std::size_t>(all));
  return types;
}

namespace {

// The free devices of one kind, by number.
class Shelf {
 public:
  Shelf(std::vector<std::string> types, std::set<std::int32_t> taken)
      : types_(std::move(types)), taken_(std::move(taken)) {}

  bool take(const std::string& type) {
    for (std::int32_t i = 0; i < std::ssize(types_); ++i) {
      if (type_of(i) != type || taken_.contains(i)) continue;
      taken_.insert(i);
      given_.insert(i);
      return true;
    }
    return false;
  }
  bool take_any() {
    if (take("")) return true;
    std::map<std::string, int> left;
    for (std::int32_t i = 0; i < std::ssize(types_); ++i) {
      if (!taken_.contains(i)) ++left[type_of(i)];
    }
    const auto most =
        std::ranges::max_element(left, {}, [](const auto& entry) { return entry.second; });
    return most != left.end() && take(most->first);
  }
  [[nodiscard]] const std::set<std::int32_t>& given() const { return given_; }
  [[nodiscard]] const std::string& type_of(std::int32_t index) const {
    return types_[static_cast<std::size_t>(index)];
  }

 private:
  std::vector<std::string> types_;
  std::set<std::int32_t> taken_;
  std::set<std::int32_t> given_;
};

std::set<std::int32_t> taken_of(const std::vector<const NodeShare*>& shares,
                                std::string_view kind) {
  std::set<std::int32_t> taken;
  for (const NodeShare* share : shares) {
    for (const DeviceShare& device : share->devices) {
      if (device.name == kind) taken.insert(device.indices.begin(), device.indices.end());
    }
  }
  return taken;
}

}  // namespace

bool give_devices(NodeShare& share,
                  const Resources& capacity,
                  const std::vector<const NodeShare*>& taken) {
  Resources got = share.resources;
  std::vector<DeviceShare> devices;
  for (const auto& [kind, amount] : share.resources.named) {
    if (kind_of_resource(kind) != kind) continue;
    std::vector<std::string> types = device_types(capacity, kind);
    if (types.empty()) continue;
    Shelf shelf(std::move(types), taken_of(taken, kind));
    for (const auto& [name, of_type] : share.resources.named) {
      if (name == kind || kind_of_resource(name) != kind) continue;
      for (std::int64_t i = 0; i < of_type; ++i) {
        if (!shelf.take(name)) return false;
      }
    }
    while (std::ssize(shelf.given()) < amount) {
      if (!shelf.take_any()) return false;
    }
    std::map<std::string, std::int64_t> of_types;
    for (const std::int32_t index : shelf.given()) {
      if (!shelf.type_of(index).empty()) ++of_types[shelf.type_of(index)];
    }
    for (const auto& [type, count] : of_types) got.set_named(type, count);
    devices.push_back({kind, {shelf.given().begin(), shelf.given().end()}});
  }
  share.resources = std::move(got);
  share.devices = std::move(devices);
  return true;
}

std::string render_devices(const std::vector<DeviceShare>& devices) {
  std::vector<std::string> parts;
  for (const DeviceShare& device : devices) {
    std::vector<std::string> numbers;
    for (const std::int32_t index : device.indices) numbers.push_back(cat(index));
    parts.push_back(cat(device.name, ':', join(numbers, ",")));
  }
  return join(parts, ";");
}

}  // namespace gangway
