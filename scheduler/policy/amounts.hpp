// Amounts: resources as a dense vector, and what is wanted of them as a short list, so that the fit
// test of the policy is one short loop.
//
// Kinds numbers the names, those of resources and those of features: 0 is cores, 1 is memory in
// bytes, then named resources in the order in which they were first heard of. The table is bounded;
// of a kind that found no place no node has any, so a request for it never fits.
//
// Pure values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "queues/model/resources.hpp"
#include "scheduler/policy/features.hpp"

namespace gangway::scheduler {

inline constexpr std::size_t kMaxKinds = 16;

struct Amounts {
  std::array<std::int64_t, kMaxKinds> of{};

  [[nodiscard]] std::int64_t cores() const { return of[0]; }
  [[nodiscard]] std::int64_t memory() const { return of[1]; }
  [[nodiscard]] bool has_named() const {
    for (std::size_t i = 2; i < kMaxKinds; ++i) {
      if (of[i] != 0) return true;
    }
    return false;
  }
  Amounts& operator+=(const Amounts& other) {
    for (std::size_t i = 0; i < kMaxKinds; ++i) of[i] += other.of[i];
    return *this;
  }
  Amounts& operator-=(const Amounts& other) {
    for (std::size_t i = 0; i < kMaxKinds; ++i) of[i] -= other.of[i];
    return *this;
  }
  friend bool operator==(const Amounts&, const Amounts&) = default;
};

// What is wanted, without the kinds of which nothing is: mostly two or three numbers, so that it is
// cheap to look for in many nodes. It fits where there is at least as much of each. A kind of which
// nothing is wanted does not count: a node that has less of it than it gave away can still take
// jobs that need none.
class Wanted {
 public:
  Wanted() = default;
  Wanted(const Amounts& amounts) {  // NOLINT(google-explicit-constructor): the same, packed
    for (std::size_t kind = 0; kind < kMaxKinds; ++kind) {
      if (amounts.of[kind] <= 0) continue;
      amounts_[count_] = amounts.of[kind];
      kinds_[count_++] = static_cast<std::uint8_t>(kind);
    }
  }

  // So many kinds are wanted, in rising order.
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::size_t kind(std::size_t i) const { return kinds_[i]; }
  [[nodiscard]] std::int64_t amount(std::size_t i) const { return amounts_[i]; }

  [[nodiscard]] bool fits_in(const Amounts& have) const {
    for (std::size_t i = 0; i < count_; ++i) {
      if (amounts_[i] > have.of[kinds_[i]]) return false;
    }
    return true;
  }

 private:
  // What is mostly needed of it comes first.
  std::uint8_t count_ = 0;
  std::array<std::uint8_t, kMaxKinds> kinds_{};
  std::array<std::int64_t, kMaxKinds> amounts_{};
};

class Kinds {
 public:
  // Names not heard of before get a number; when the table is full, what a node has of them is
  // left out ...
  [[nodiscard]] Amounts of_node(const Resources& capacity);
  // ... and a request for them asks for more cores than any node has.
  [[nodiscard]] Amounts of_request(const Resources& wanted);
  [[nodiscard]] Resources to_resources(const Amounts& amounts) const;
  [[nodiscard]] FeatureNumbers& features() { return features_; }

 private:
  [[nodiscard]] std::size_t number_of(const std::string& name);  // kMaxKinds: no room

  std::vector<std::string> names_;  // names_[i] has number i + 2
  FeatureNumbers features_;
};

}  // namespace gangway::scheduler
