#include "queues/model/resources.hpp"

#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {
using Named = std::vector<std::pair<std::string, std::int64_t>>;

// a + sign * b over two sorted lists, without zeros.
Named merge(const Named& a, const Named& b, std::int64_t sign) {
  Named out;
  out.reserve(a.size() + b.size());
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    const int order = left == a.end()    ? 1
                      : right == b.end() ? -1
                                         : left->first.compare(right->first);
    const std::string& name = order <= 0 ? left->first : right->first;
    std::int64_t amount = 0;
    if (order <= 0) amount += left->second;
    if (order >= 0) amount += sign * right->second;
    if (amount != 0) out.emplace_back(name, amount);
    if (order <= 0) ++left;
    if (order >= 0) ++right;
  }
  return out;
}
}  // namespace

std::int64_t Resources::amount_of(std::string_view name) const {
  const auto at = std::ranges::lower_bound(
      named, name, {}, [](const auto& entry) { return std::string_view(entry.first); });
  return at != named.end() && at->first == name ? at->second : 0;
}

void Resources::set_named(std::string_view name, std::int64_t amount) {
  const auto at = std::ranges::lower_bound(
      named, name, {}, [](const auto& entry) { return std::string_view(entry.first); });
  const bool present = at != named.end() && at->first == name;
  if (amount == 0) {
    if (present) named.erase(at);
  } else if (present) {
    at->second = amount;
  } else {
    named.emplace(at, name, amount);
  }
}

bool Resources::is_zero() const { return cores == 0 && memory == Bytes{} && named.empty(); }

Resources operator+(const Resources& a, const Resources& b) {
  return {.cores = a.cores + b.cores,
          .memory = a.memory + b.memory,
          .named = merge(a.named, b.named, 1)};
}

Resources operator-(const Resources& a, const Resources& b) {
  return {.cores = a.cores - b.cores,
          .memory = a.memory - b.memory,
          .named = merge(a.named, b.named, -1)};
}

Resources operator*(const Resources& a, std::int64_t k) {
  Resources out{.cores = a.cores * k, .memory = a.memory * k};
  if (k == 0) return out;
  out.named = a.named;
  for (auto& [name, amount] : out.named) amount *= k;
  return out;
}

bool fits_in(const Resources& want, const Resources& have) {
  // A named resource that is not wanted does not matter, even where the node is over-committed in
  // it.
  return want.cores <= have.cores && want.memory <= have.memory &&
         std::ranges::all_of(want.named, [&](const auto& entry) {
           return entry.second <= have.amount_of(entry.first);
         });
}

std::int64_t times_fitting(const Resources& want, const Resources& have, std::int64_t limit) {
  CHECK(!want.is_zero());
  std::int64_t times = std::max<std::int64_t>(limit, 0);
  const auto bound_by = [&](std::int64_t wanted, std::int64_t available) {
    if (wanted > 0) times = std::min(times, std::max<std::int64_t>(available / wanted, 0));
  };
  bound_by(want.cores, have.cores);
  bound_by(want.memory.value, have.memory.value);
  for (const auto& [name, amount] : want.named) bound_by(amount, have.amount_of(name));
  return times;
}

std::string to_string(const Resources& r) {
  std::vector<std::string> parts;
  if (r.cores != 0 || r.is_zero()) parts.push_back(cat(r.cores, r.cores == 1 ? " core" : " cores"));
  if (r.memory != Bytes{}) parts.push_back(render_bytes(r.memory));
  for (const auto& [name, amount] : r.named) parts.push_back(cat(name, ':', amount));
  return join(parts, ", ");
}

}  // namespace gangway
