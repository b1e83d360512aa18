#include "scheduler/policy/class_line.hpp"

#include <utility>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

namespace {

// Some kilobytes, that are moved about as fast as one node of a tree is found; any value is right.
constexpr std::size_t kMostInBlock = 128;

}  // namespace

// The one in which `place` is or would come.
std::size_t ClassLine::block_of(const Place& place) const {
  const auto after =
      std::upper_bound(blocks_.begin(), blocks_.end(), place,
                       [](const Place& p, const Block& block) { return p < block.front().place; });
  return after == blocks_.begin() ? 0 : static_cast<std::size_t>(after - blocks_.begin()) - 1;
}

const Place* ClassLine::find_after(const Place& place) const {
  if (empty()) return nullptr;
  const std::size_t number = block_of(place);
  const Block& block = blocks_[number];
  const auto found =
      std::upper_bound(block.begin(), block.end(), place,
                       [](const Place& p, const Waiter& waiter) { return p < waiter.place; });
  if (found != block.end()) return &found->place;
  return number + 1 == blocks_.size() ? nullptr : &blocks_[number + 1].front().place;
}

std::size_t ClassLine::count_before(const Place& place) const {
  std::size_t count = 0;
  for (const Block& block : blocks_) {
    if (block.back().place < place) {
      count += block.size();
      continue;
    }
    const auto found =
        std::lower_bound(block.begin(), block.end(), place,
                         [](const Waiter& waiter, const Place& p) { return waiter.place < p; });
    return count + static_cast<std::size_t>(found - block.begin());
  }
  return count;
}

void ClassLine::insert(const Place& place, const Payer& payer) {
  const Waiter waiter{place, payer};
  if (empty()) {
    blocks_.push_back({waiter});
    return;
  }
  const std::size_t number = block_of(place);
  Block& block = blocks_[number];
  block.insert(std::upper_bound(block.begin(), block.end(), waiter), waiter);
  if (block.size() <= kMostInBlock) return;
  const auto middle = block.begin() + static_cast<std::ptrdiff_t>(block.size() / 2);
  Block second(middle, block.end());
  block.erase(middle, block.end());
  blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(number) + 1, std::move(second));
}

void ClassLine::erase(const Place& place) {
  CHECK(!empty());
  const std::size_t number = block_of(place);
  Block& block = blocks_[number];
  const auto found =
      std::lower_bound(block.begin(), block.end(), place,
                       [](const Waiter& waiter, const Place& p) { return waiter.place < p; });
  CHECK(found != block.end() && found->place == place);
  block.erase(found);
  if (block.empty()) blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(number));
}

void ClassLine::sort() {
  if (blocks_.size() == 1) {
    Block& all = blocks_.front();
    if (!std::is_sorted(all.begin(), all.end())) std::sort(all.begin(), all.end());
    return;
  }
  std::vector<Waiter> all;
  for (Block& block : blocks_) all.insert(all.end(), block.begin(), block.end());
  if (std::is_sorted(all.begin(), all.end())) return;
  std::sort(all.begin(), all.end());
  auto next = all.begin();
  for (Block& block : blocks_) {
    std::copy_n(next, block.size(), block.begin());
    next += static_cast<std::ptrdiff_t>(block.size());
  }
}

}  // namespace gangway::scheduler
