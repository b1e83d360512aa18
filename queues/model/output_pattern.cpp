#include "queues/model/output_pattern.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway {

std::string_view default_output_pattern(const JobKey& key) {
  return key.index == JobKey::kNoIndex ? "job-%j.out" : "job-%A_%a.out";
}

std::string expand_pattern(std::string_view pattern, const PatternFacts& facts) {
  std::string out;
  const auto padded = [](std::int64_t value, std::size_t width) {
    std::string digits = cat(value);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    return digits;
  };
  const auto job = static_cast<std::int64_t>(facts.key.job.value);
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      out += pattern[i];
      continue;
    }
    std::size_t letter = i + 1;
    std::size_t width = 0;
    while (letter < pattern.size() && pattern[letter] >= '0' && pattern[letter] <= '9') {
      width = std::min<std::size_t>(width * 10 + static_cast<std::size_t>(pattern[letter] - '0'),
                                    10);  // as Slurm: at most ten digits
      ++letter;
    }
    if (letter == pattern.size()) {
      out.append(pattern.substr(i));
      break;
    }
    switch (pattern[letter]) {
      case '%':
        out += '%';
        break;
      case 'j':
      case 'A':
        out += padded(job, width);
        break;
      case 'a':
        out += padded(facts.key.index == JobKey::kNoIndex ? 0 : facts.key.index, width);
        break;
      case 'b':
        out += padded(facts.key.index == JobKey::kNoIndex ? 0 : facts.key.index % 10, width);
        break;
      case 'J':
        out += padded(job, width);
        if (!facts.batch) out += cat(".", facts.step);
        break;
      case 's':
        out += facts.batch ? "batch" : padded(facts.step, width);
        break;
      case 'n':
        out += padded(facts.node_index, width);
        break;
      case 't':
        out += padded(facts.task, width);
        break;
      case 'r':
        out += padded(facts.restarts, width);
        break;
      case 'x':
        out += facts.job_name;
        break;
      case 'u':
        out += facts.user;
        break;
      case 'N':
        out += facts.node.substr(0, facts.node.find('.'));
        break;  // short, as Slurm's
      default:
        out.append(pattern.substr(i, letter - i + 1));
        break;
    }
    i = letter;
  }
  return out;
}

}  // namespace gangway
