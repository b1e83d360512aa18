// A seeded generator, handed on by reference: equal seeds give equal runs on every machine.
//
// Source: S. Vigna, splitmix64, 2015 (public domain algorithm). Not for secrets: see random_bytes()
// in digest.hpp.
#pragma once

#include <cstdint>

#include "queues/base/check.hpp"

namespace gangway {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // Uniform in [low, high]. Requires: low <= high. (The bias of the modulus is below 2^-32 for the
  // ranges used here.)
  std::int64_t between(std::int64_t low, std::int64_t high) {
    CHECK(low <= high);
    return low + static_cast<std::int64_t>(next() % (static_cast<std::uint64_t>(high - low) + 1));
  }
  // True `per_mille` times out of 1000.
  bool chance(int per_mille) { return between(0, 999) < per_mille; }

 private:
  std::uint64_t state_;
};

}  // namespace gangway
