// Environment: "NAME=value" strings with the order of their first appearance kept. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gangway::executor {

class Environment {
 public:
  // Strings without '=' or with an empty name are skipped: nothing could be done with them.
  void set_all(const std::vector<std::string>& variables);
  void set(std::string_view name, std::string_view value);
  // Unless it is set, even if to "".
  void set_default(std::string_view name, std::string_view value);
  [[nodiscard]] const std::string* find(
      std::string_view name) const;  // its value; nullptr: not set
  template <typename Predicate>
  void drop_if(Predicate&& is_dropped) {
    std::vector<Entry> kept;
    for (Entry& entry : entries_) {
      if (!is_dropped(std::string_view(entry.name))) kept.push_back(std::move(entry));
    }
    entries_ = std::move(kept);
    places_.clear();
    for (std::size_t i = 0; i < entries_.size(); ++i) places_.emplace(entries_[i].name, i);
  }
  [[nodiscard]] std::vector<std::string> strings() const;

 private:
  struct Entry {
    std::string name;
    std::string value;
  };
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t, std::less<>> places_;
};

// By our name and by Slurm's: JOB_NTASKS and SLURM_NTASKS.
void set_both(Environment& env, std::string_view name, std::string_view value);

}  // namespace gangway::executor
