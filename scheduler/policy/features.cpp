#include "scheduler/policy/features.hpp"

#include <algorithm>
#include <utility>

namespace gangway::scheduler {

FeatureBits FeatureNumbers::bits_of(const std::vector<std::string>& features) {
  FeatureBits bits;
  for (const std::string& name : features) {
    if (const auto number = number_of(name)) bits.set(*number);
  }
  return bits;
}

NodeFilter FeatureNumbers::filter_of(const FeatureChoice& choice) {
  std::vector<NodeFilter::Term> terms;
  for (const FeatureTerm& term : choice) {
    if (term.all.empty() && term.none.empty()) return {};
    const bool possible = std::ranges::all_of(
        term.all, [&](const std::string& name) { return number_of(name).has_value(); });
    if (possible) terms.push_back({bits_of(term.all), bits_of(term.none)});
  }
  return NodeFilter(std::move(terms));
}

std::optional<std::size_t> FeatureNumbers::number_of(const std::string& name) {
  const auto known = std::ranges::find(names_, name);
  if (known != names_.end()) return static_cast<std::size_t>(known - names_.begin());
  if (names_.size() == kMaxFeatures) return std::nullopt;
  names_.push_back(name);
  return names_.size() - 1;
}

}  // namespace gangway::scheduler
