#include "scheduler/policy/amounts.hpp"

#include <algorithm>
#include <limits>

namespace gangway::scheduler {

Amounts Kinds::of_node(const Resources& capacity) {
  Amounts out;
  out.of[0] = capacity.cores;
  out.of[1] = capacity.memory.value;
  for (const auto& [name, amount] : capacity.named) {
    if (const std::size_t number = number_of(name); number < kMaxKinds) out.of[number] = amount;
  }
  return out;
}

Amounts Kinds::of_request(const Resources& wanted) {
  Amounts out = of_node(wanted);
  for (const auto& [name, amount] : wanted.named) {
    if (number_of(name) == kMaxKinds) out.of[0] = std::numeric_limits<std::int64_t>::max();
  }
  return out;
}

Resources Kinds::to_resources(const Amounts& amounts) const {
  Resources out;
  out.cores = amounts.cores();
  out.memory = Bytes{amounts.memory()};
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (amounts.of[i + 2] > 0) out.set_named(names_[i], amounts.of[i + 2]);
  }
  return out;
}

std::size_t Kinds::number_of(const std::string& name) {
  const auto known = std::find(names_.begin(), names_.end(), name);
  if (known != names_.end()) return static_cast<std::size_t>(known - names_.begin()) + 2;
  if (names_.size() + 2 == kMaxKinds) return kMaxKinds;
  names_.push_back(name);
  return names_.size() + 1;
}

}  // namespace gangway::scheduler
