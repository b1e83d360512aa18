#include "scheduler/policy/best_fit.hpp"

#include <algorithm>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

namespace {

// About the square root of the number of nodes of a large cluster; any value is right.
constexpr std::size_t kLongestBlock = 64;

template <typename T>
void insert_at(std::vector<T>& values, std::size_t at, const T& value) {
  values.insert(values.begin() + static_cast<std::ptrdiff_t>(at), value);
}
template <typename T>
void erase_at(std::vector<T>& values, std::size_t at) {
  values.erase(values.begin() + static_cast<std::ptrdiff_t>(at));
}
template <typename T>
std::vector<T> second_half(std::vector<T>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::vector<T> out(middle, values.end());
  values.erase(middle, values.end());
  return out;
}

}  // namespace

void BestFit::Block::summarise() {
  most = free.front();
  idle = 0;
  for (std::size_t i = 0; i < free.size(); ++i) {
    for (std::size_t kind = 0; kind < kMaxKinds; ++kind) {
      most.of[kind] = std::max(most.of[kind], free[i].of[kind]);
    }
    if (is_idle[i] != 0) ++idle;
  }
}

std::size_t BestFit::block_of(const Position& position) const {
  const auto after = std::upper_bound(
      blocks_.begin(), blocks_.end(), position,
      [](const Position& p, const Block& block) { return p < block.positions.front(); });
  return after == blocks_.begin() ? 0 : static_cast<std::size_t>(after - blocks_.begin()) - 1;
}

void BestFit::insert(const Position& position, const Amounts& free, bool is_idle) {
  if (blocks_.empty()) {
    blocks_.push_back({{position}, {free}, {static_cast<char>(is_idle)}, free, is_idle ? 1u : 0u});
    return;
  }
  const std::size_t number = block_of(position);
  Block& block = blocks_[number];
  const auto found = std::lower_bound(block.positions.begin(), block.positions.end(), position);
  const auto at = static_cast<std::size_t>(found - block.positions.begin());
  insert_at(block.positions, at, position);
  insert_at(block.free, at, free);
  insert_at(block.is_idle, at, static_cast<char>(is_idle));
  if (block.positions.size() > kLongestBlock) {
    Block next{
        second_half(block.positions), second_half(block.free), second_half(block.is_idle), {}, 0};
    next.summarise();
    block.summarise();
    blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(number) + 1, std::move(next));
    return;
  }
  for (std::size_t kind = 0; kind < kMaxKinds; ++kind) {
    block.most.of[kind] = std::max(block.most.of[kind], free.of[kind]);
  }
  if (is_idle) ++block.idle;
}

void BestFit::erase(const Position& position) {
  const std::size_t number = block_of(position);
  CHECK(number < blocks_.size());
  Block& block = blocks_[number];
  const auto found = std::lower_bound(block.positions.begin(), block.positions.end(), position);
  CHECK(found != block.positions.end() && *found == position);
  const auto at = static_cast<std::size_t>(found - block.positions.begin());
  erase_at(block.positions, at);
  erase_at(block.free, at);
  erase_at(block.is_idle, at);
  if (block.positions.empty()) {
    blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(number));
  } else {
    block.summarise();
  }
}

}  // namespace gangway::scheduler
