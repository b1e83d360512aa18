#include "scheduler/policy/fair_share.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

namespace {

// Rows with the ways between them. Row 0 is the root; children come after their parents.
class Tree {
 public:
  explicit Tree(const std::vector<ShareEntry>& entries) {
    std::map<AccountName, const ShareEntry*> accounts;
    for (const ShareEntry& entry : entries) {
      if (entry.key.user.empty()) CHECK(accounts.emplace(entry.key.account, &entry).second);
    }
    // "" stands for the root, which everything without a known parent is below.
    const auto known = [&](const AccountName& name) {
      return accounts.contains(name) ? name : AccountName();
    };
    std::map<AccountName, std::vector<const ShareEntry*>> below;
    for (const ShareEntry& entry : entries) {
      below[known(entry.key.user.empty() ? entry.parent : entry.key.account)].push_back(&entry);
    }
    for (auto& [parent, siblings] : below) {
      std::ranges::sort(siblings, [](const ShareEntry* a, const ShareEntry* b) {
        const bool a_is_account = a->key.user.empty();
        const bool b_is_account = b->key.user.empty();
        if (a_is_account != b_is_account) return b_is_account;
        return std::pair(a->key.user, a->key.account) < std::pair(b->key.user, b->key.account);
      });
    }
    rows.reserve(entries.size() + 1);
    rows.push_back({.key = {AccountName(std::string(kRootAccount)), {}}, .factor = {}});
    children.emplace_back();
    parents.push_back(0);
    add_below(0, AccountName(), below);
    CHECK(rows.size() == entries.size() + 1);  // no circle: everything hangs on the root
    for (std::size_t i = rows.size() - 1; i > 0; --i) rows[parents[i]].usage += rows[i].usage;
  }

  [[nodiscard]] std::int64_t shares_below(std::size_t row) const {
    std::int64_t sum = 0;
    for (const std::size_t child : children[row]) sum += rows[child].shares;
    return sum;
  }

  std::vector<ShareRow> rows;
  std::vector<std::vector<std::size_t>> children;
  std::vector<std::size_t> parents;

 private:
  void add_below(std::size_t parent,
                 const AccountName& name,
                 const std::map<AccountName, std::vector<const ShareEntry*>>& below) {
    const auto found = below.find(name);
    if (found == below.end()) return;
    for (const ShareEntry* const entry : found->second) {
      const std::size_t row = rows.size();
      rows.push_back({.key = entry->key,
                      .depth = rows[parent].depth + 1,
                      .shares = entry->shares,
                      .usage = entry->key.user.empty() ? 0 : entry->usage,
                      .factor = {}});
      children.emplace_back();
      parents.push_back(parent);
      children[parent].push_back(row);
      if (entry->key.user.empty()) add_below(row, entry->key.account, below);
    }
  }
};

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

// ---- Fair Tree ---------------------------------------------------------------------------------

class FairTree {
 public:
  explicit FairTree(Tree& tree) : tree_(tree) {
    for (const ShareRow& row : tree_.rows) users_ += row.is_user() ? 1U : 0U;
    rank_ = next_rank_ = users_;
  }

  void run() {
    set_levels();
    rank(tree_.children[0], false);
  }

 private:
  void set_levels() {
    for (std::size_t parent = 0; parent < tree_.rows.size(); ++parent) {
      const auto shares = static_cast<double>(tree_.shares_below(parent));
      const double usage = tree_.rows[parent].usage;
      for (const std::size_t child : tree_.children[parent]) {
        ShareRow& row = tree_.rows[child];
        const auto own = static_cast<double>(row.shares);
        row.norm_shares = ratio(own, shares);
        row.effective_usage = ratio(row.usage, usage);
        if (row.shares == 0) {
          row.level_share = 0;
        } else if (row.usage <= 0) {
          row.level_share = std::numeric_limits<double>::infinity();
        } else {
          row.level_share = (own * usage) / (shares * row.usage);
        }
      }
    }
  }

  // `tied`: the first of them shares its rank with the user met last.
  void rank(std::vector<std::size_t> siblings, bool tied) {
    const auto level = [&](std::size_t row) { return *tree_.rows[row].level_share; };
    std::ranges::stable_sort(siblings, [&](std::size_t a, std::size_t b) {
      if (level(a) != level(b)) return level(a) > level(b);
      return tree_.rows[a].is_user() && !tree_.rows[b].is_user();
    });
    for (std::size_t i = 0; i < siblings.size(); ++i) {
      if (i > 0) tied = level(siblings[i]) == level(siblings[i - 1]);
      ShareRow& row = tree_.rows[siblings[i]];
      if (row.is_user()) {
        if (!tied) rank_ = next_rank_;
        --next_rank_;
        row.factor = static_cast<double>(rank_) / static_cast<double>(users_);
        continue;
      }
      std::vector<std::size_t> merged = tree_.children[siblings[i]];
      while (i + 1 < siblings.size() && level(siblings[i + 1]) == level(siblings[i])) {
        const auto& more = tree_.children[siblings[++i]];
        merged.insert(merged.end(), more.begin(), more.end());
      }
      rank(std::move(merged), tied);
    }
  }

  Tree& tree_;
  std::size_t users_ = 0;
  std::size_t rank_ = 0;
  std::size_t next_rank_ = 0;
};

// ---- classic -----------------------------------------------------------------------------------

void run_classic(Tree& tree) {
  tree.rows[0].norm_shares = 1;
  for (std::size_t parent = 0; parent < tree.rows.size(); ++parent) {
    const auto shares = static_cast<double>(tree.shares_below(parent));
    for (const std::size_t child : tree.children[parent]) {
      ShareRow& row = tree.rows[child];
      const double part = ratio(static_cast<double>(row.shares), shares);
      row.norm_shares = tree.rows[parent].norm_shares * part;
      // What stands below the root bears nothing of the others'.
      row.effective_usage =
          parent == 0
              ? row.norm_usage
              : row.norm_usage + (tree.rows[parent].effective_usage - row.norm_usage) * part;
      if (!row.is_user()) continue;
      row.factor = row.norm_shares > 0 ? std::exp2(-row.effective_usage / row.norm_shares) : 0.0;
    }
  }
  tree.rows[0].norm_shares = 0;  // as people see it
}

}  // namespace

std::vector<ShareRow> fair_shares(const std::vector<ShareEntry>& entries, FairShareKind kind) {
  Tree tree(entries);
  const double all = tree.rows[0].usage;
  for (ShareRow& row : tree.rows) row.norm_usage = ratio(row.usage, all);
  if (kind == FairShareKind::Classic) {
    run_classic(tree);
  } else {
    FairTree(tree).run();
  }
  tree.rows[0].norm_usage = 0;
  tree.rows[0].effective_usage = all > 0 || kind == FairShareKind::Tree ? 1 : 0;
  return std::move(tree.rows);
}

}  // namespace gangway::scheduler
