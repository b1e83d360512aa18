#include "scheduler/policy/outlook.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMostTables = 512;
// Moments are of 2^30 ns: the range is some seventy years.
constexpr int kMomentBits = 30;

// The first `bits` binary digits: with one, 1, 2, 4, 8, ...; with two, 1, 2, 3, 4, 6, 8, 12, ...
std::int64_t leading(int bits, std::int64_t value) {
  if (value <= 0) return 0;
  const auto width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(value)));
  const int less = std::max(0, width - bits);
  return value >> less << less;
}

}  // namespace

Outlook::Size Outlook::rounded_down(Size size) {
  // The finer, the better the bounds and the more tables. What there is of a kind tells nodes apart
  // better than how long.
  size.amount = leading(2, size.amount);
  if (size.length) size.length = Duration{leading(1, size.length->ns)};
  return size;
}

Outlook::Moment Outlook::moment_of(Time time) const {
  if (time == Time::infinity()) return kNever;
  if (time <= origin_) return kAnyTime;
  const std::uint64_t since =
      static_cast<std::uint64_t>(time.ns) - static_cast<std::uint64_t>(origin_.ns);
  return static_cast<Moment>(std::min<std::uint64_t>(since >> kMomentBits, kNever - 1));
}

Time Outlook::time_of(Moment moment) const {
  if (moment == kNever) return Time::infinity();
  if (moment == kAnyTime) return Timeline::kAlways;
  return origin_ + Duration{std::int64_t{moment} << kMomentBits};
}

Outlook& Outlook::operator=(const Outlook& other) {
  if (this != &other) set_order(other.order_);
  return *this;
}

void Outlook::set_order(std::vector<NodeIndex> order) {
  order_ = std::move(order);
  seat_of_.assign(order_.size(), 0);
  for (std::size_t seat = 0; seat < order_.size(); ++seat) seat_of_[order_[seat]] = seat;
  changes_.assign(order_.size(), 1);
  forget();
}

void Outlook::forget() {
  tables_.clear();
  given_.clear();
}

void Outlook::begin_search(Time now) {
  if (tables_.size() > kMostTables) forget();
  if (tables_.empty()) origin_ = now;
}

Outlook::Table& Outlook::table_of(const Size& size) {
  const Key key{size.kind, size.amount, size.length ? size.length->ns : -1};
  const auto [found, is_new] = tables_.try_emplace(key);
  Table& table = found->second;
  if (is_new) {
    table.size = size;
    Amounts amounts;
    if (size.kind != kWhole) amounts.of[size.kind] = size.amount;
    table.wanted = amounts;
    table.given_before = given_.size();
    table.blocks.resize(blocks());
    // Seats that the last block does not have.
    for (std::size_t seat = seats(); seat < blocks() * kBlock; ++seat) {
      table.blocks[seat / kBlock].earliest[seat % kBlock] = kNever;
    }
    table.of_block.resize(blocks(), kAnyTime);
  }
  for (; table.given_before < given_.size(); ++table.given_before) {
    const std::size_t seat = given_[table.given_before];
    Bounds& bounds = table.blocks[seat / kBlock];
    bounds.earliest[seat % kBlock] = kAnyTime;
    bounds.changes[seat % kBlock] = 0;
    table.of_block[seat / kBlock] = kAnyTime;
  }
  return table;
}

void Outlook::on_taken(NodeIndex node) {
  if (node < seat_of_.size()) ++changes_[seat_of_[node]];
}

void Outlook::on_given(NodeIndex node) {
  if (node >= seat_of_.size()) return;  // it has no seat yet
  ++changes_[seat_of_[node]];
  if (tables_.empty()) return;
  given_.push_back(seat_of_[node]);
  // With so much news nothing is left of what was known.
  if (given_.size() > 4 * seats() + 1000) forget();
}

ByOutlook::ByOutlook(const Outlook& outlook, std::vector<Outlook::Table*> tables)
    : outlook_(outlook), tables_(std::move(tables)) {
  const std::size_t count = outlook.blocks();
  constexpr std::uint32_t kAll = (1U << kBlock) - 1;
  unvisited_.assign(count, static_cast<std::uint16_t>(kAll));
  if (const std::size_t rest = outlook.seats() % kBlock; rest != 0) {
    unvisited_.back() = static_cast<std::uint16_t>((1U << rest) - 1);
  }
  std::vector<Block> blocks;
  blocks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Moment bound = Outlook::kAnyTime;
    for (const Outlook::Table* table : tables_) bound = std::max(bound, table->of_block[i]);
    if (bound < Outlook::kNever) blocks.push_back({bound, static_cast<std::uint32_t>(i)});
  }
  blocks_ = std::priority_queue<Block>(std::less<Block>{}, std::move(blocks));
}

std::array<Outlook::Moment, Outlook::kBlock> ByOutlook::bounds_in(std::size_t block) const {
  std::array<Moment, kBlock> bounds = tables_.front()->blocks[block].earliest;
  for (std::size_t t = 1; t < tables_.size(); ++t) {
    const std::array<Moment, kBlock>& others = tables_[t]->blocks[block].earliest;
    for (std::size_t i = 0; i < kBlock; ++i) bounds[i] = std::max(bounds[i], others[i]);
  }
  return bounds;
}

void ByOutlook::prefetch_bounds(std::size_t block) const {
  for (const Outlook::Table* table : tables_) {
    const Outlook::Bounds& bounds = table->blocks[block];
    __builtin_prefetch(&bounds);
    __builtin_prefetch(&bounds.changes.back());
  }
}

void ByOutlook::summarise(std::size_t block) {
  for (Outlook::Table* table : tables_) {
    Moment least = Outlook::kNever;
    for (const Moment earliest : table->blocks[block].earliest) least = std::min(least, earliest);
    table->of_block[block] = least;
  }
}

}  // namespace gangway::scheduler
