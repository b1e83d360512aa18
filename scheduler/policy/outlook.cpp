#include "scheduler/policy/outlook.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMostTables = 512;

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
    table.earliest.resize(seats(), Timeline::kAlways);
    table.changes.resize(seats(), 0);
    table.of_block.resize((seats() + ByOutlook::kBlock - 1) / ByOutlook::kBlock, Timeline::kAlways);
  }
  for (; table.given_before < given_.size(); ++table.given_before) {
    const std::size_t seat = given_[table.given_before];
    table.earliest[seat] = Timeline::kAlways;
    table.changes[seat] = 0;
    table.of_block[seat / ByOutlook::kBlock] = Timeline::kAlways;
  }
  return table;
}

void Outlook::bound_memory() {
  if (tables_.size() > kMostTables) forget();
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
    : outlook_(outlook), tables_(std::move(tables)), visited_(outlook.seats(), 0) {
  std::vector<Block> blocks;
  const std::size_t count = tables_.front()->of_block.size();
  blocks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Time bound = Timeline::kAlways;
    for (const Outlook::Table* table : tables_) bound = std::max(bound, table->of_block[i]);
    if (bound < Time::infinity()) blocks.push_back({bound, i});
  }
  blocks_ = std::priority_queue<Block>(std::less<Block>{}, std::move(blocks));
}

void ByOutlook::summarise(std::size_t block) {
  const std::size_t end = std::min((block + 1) * kBlock, visited_.size());
  for (Outlook::Table* table : tables_) {
    Time least = Time::infinity();
    for (std::size_t seat = block * kBlock; seat < end; ++seat) {
      least = std::min(least, table->earliest[seat]);
    }
    table->of_block[block] = least;
  }
}

}  // namespace gangway::scheduler
