#include "executor/environment.hpp"

#include "queues/base/text.hpp"

namespace gangway::executor {

void Environment::set_all(const std::vector<std::string>& variables) {
  for (const std::string& variable : variables) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    const std::string_view text = variable;
    set(text.substr(0, equals), text.substr(equals + 1));
  }
}

void Environment::set(std::string_view name, std::string_view value) {
  const auto place = places_.find(name);
  if (place != places_.end()) {
    entries_[place->second].value = value;
    return;
  }
  places_.emplace(std::string(name), entries_.size());
  entries_.push_back({std::string(name), std::string(value)});
}

void Environment::set_default(std::string_view name, std::string_view value) {
  if (places_.find(name) == places_.end()) set(name, value);
}

const std::string* Environment::find(std::string_view name) const {
  const auto place = places_.find(name);
  return place == places_.end() ? nullptr : &entries_[place->second].value;
}

std::vector<std::string> Environment::strings() const {
  std::vector<std::string> result;
  result.reserve(entries_.size());
  for (const Entry& entry : entries_) result.push_back(cat(entry.name, '=', entry.value));
  return result;
}

void set_both(Environment& env, std::string_view name, std::string_view value) {
  env.set(cat("JOB_", name), value);
  env.set(cat("SLURM_", name), value);
}

}  // namespace gangway::executor
