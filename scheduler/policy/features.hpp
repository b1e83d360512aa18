// Features of nodes as bits, and what requests ask of them as a filter over those bits, so that the
// placement's look at a node is a few words long.
//
// Names are numbered as they are first heard of. The table is bounded: of a name that found no
// place no node has it, so a filter that asks for it admits nobody. Pure values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "queues/model/constraint.hpp"

namespace gangway::scheduler {

inline constexpr std::size_t kMaxFeatures = 256;

class FeatureBits {
 public:
  void set(std::size_t number) { words_[number / 64] |= std::uint64_t{1} << (number % 64); }
  [[nodiscard]] bool has_all(const FeatureBits& of) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if ((of.words_[i] & ~words_[i]) != 0) return false;
    }
    return true;
  }
  [[nodiscard]] bool has_any(const FeatureBits& of) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if ((of.words_[i] & words_[i]) != 0) return true;
    }
    return false;
  }
  friend bool operator==(const FeatureBits&, const FeatureBits&) = default;

 private:
  std::array<std::uint64_t, kMaxFeatures / 64> words_{};
};

// Which nodes a part of a request may have, by their features.
class NodeFilter {
 public:
  struct Term {
    FeatureBits all;
    FeatureBits none;
    friend bool operator==(const Term&, const Term&) = default;
  };
  NodeFilter() = default;  // admits all
  explicit NodeFilter(std::vector<Term> any_of) : any_of_(std::move(any_of)) {}

  [[nodiscard]] bool admits(const FeatureBits& node) const {
    if (!any_of_) return true;
    for (const Term& term : *any_of_) {
      if (node.has_all(term.all) && !node.has_any(term.none)) return true;
    }
    return false;
  }
  friend bool operator==(const NodeFilter&, const NodeFilter&) = default;

 private:
  std::optional<std::vector<Term>> any_of_;
};

class FeatureNumbers {
 public:
  [[nodiscard]] FeatureBits bits_of(const std::vector<std::string>& features);
  [[nodiscard]] NodeFilter filter_of(const FeatureChoice& choice);

 private:
  [[nodiscard]] std::optional<std::size_t> number_of(const std::string& name);  // none: no room

  std::vector<std::string> names_;
};

}  // namespace gangway::scheduler
