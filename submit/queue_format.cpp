#include "submit/queue_format.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "queues/base/text.hpp"

namespace gangway::submit {

namespace {

std::string time_text(const std::optional<Time>& time) {
  return time && time->ns > 0 ? render_local_time(*time) : std::string("N/A");
}

// As squeue prints it: a part of the highest priority there can be.
std::string part_of_highest(std::int64_t priority) {
  std::array<char, 32> text{};
  const int length = std::snprintf(text.data(), text.size(), "%.14f",
                                   static_cast<double>(priority) / 4294967295.0);
  return {text.data(), static_cast<std::size_t>(length)};
}

// Of components with different wishes each has its own.
std::string features_of(const JobRow& row) {
  std::vector<std::string> parts;
  for (const Component& c : row.components) {
    parts.push_back(c.constraint.empty() ? "(null)" : c.constraint);
  }
  const bool all_alike =
      std::ranges::all_of(parts, [&](const std::string& part) { return part == parts.front(); });
  return parts.empty() || all_alike ? (parts.empty() ? "(null)" : parts.front())
                                    : join(parts, " : ");
}

struct Letter {
  char letter;
  std::string_view header;
  std::string (*value)(const JobRow&);
};

constexpr Letter kLetters[] = {
    {'i', "JOBID", [](const JobRow& r) { return id_of(r); }},
    {'A', "JOBID", [](const JobRow& r) { return to_string(r.key.job); }},
    {'F', "ARRAY_JOB_ID", [](const JobRow& r) { return to_string(r.key.job); }},
    {'K', "ARRAY_TASK_ID",
     [](const JobRow& r) {
       if (r.array && !is_told_by_elements(r)) {
         return r.finished ? r.array->dropped() : r.array->waiting();
       }
       return r.key.index == JobKey::kNoIndex ? std::string("N/A") : cat(r.key.index);
     }},
    {'j', "NAME", [](const JobRow& r) { return r.name; }},
    {'u', "USER", [](const JobRow& r) { return r.user; }},
    {'U', "UID", [](const JobRow& r) { return cat(r.uid); }},
    {'a', "ACCOUNT", [](const JobRow& r) { return r.account; }},
    {'P', "PARTITION", [](const JobRow& r) { return r.queue; }},
    {'t', "ST", [](const JobRow& r) { return r.letters; }},
    {'T', "STATE", [](const JobRow& r) { return r.state; }},
    {'M', "TIME", [](const JobRow& r) { return render_duration(r.elapsed); }},
    {'l', "TIME_LIMIT",
     [](const JobRow& r) {
       return r.time_limit ? render_duration(*r.time_limit) : std::string("UNLIMITED");
     }},
    {'D', "NODES", [](const JobRow& r) { return cat(r.nodes); }},
    {'C', "CPUS", [](const JobRow& r) { return cat(r.cores); }},
    {'N', "NODELIST", [](const JobRow& r) { return r.node_list; }},
    {'R', "NODELIST(REASON)", place_or_reason},
    {'r', "REASON", [](const JobRow& r) { return r.reason; }},
    {'S', "START_TIME",
     [](const JobRow& r) { return time_text(r.started ? r.started : r.expected_start); }},
    {'e', "END_TIME", [](const JobRow& r) { return time_text(r.ended); }},
    {'V', "SUBMIT_TIME", [](const JobRow& r) { return time_text(r.submitted); }},
    {'Q', "PRIORITY", [](const JobRow& r) { return cat(r.priority); }},
    {'p', "PRIORITY", [](const JobRow& r) { return part_of_highest(r.priority); }},
    {'q', "QOS", [](const JobRow& r) { return r.qos.empty() ? std::string("N/A") : r.qos; }},
    {'f', "FEATURES", features_of},
    {'E', "DEPENDENCY",
     [](const JobRow& r) { return r.dependency.empty() ? std::string("(null)") : r.dependency; }},
    {'y', "NICE", [](const JobRow& r) { return cat(r.nice); }},
    {'k', "COMMENT", [](const JobRow& r) { return r.comment; }},
    {'Z', "WORK_DIR", [](const JobRow& r) { return r.workdir; }},
    {'o', "COMMAND", [](const JobRow& r) { return r.command; }},
};

const Letter* find_letter(char letter) {
  const auto found = std::ranges::find(kLetters, letter, &Letter::letter);
  return found == std::end(kLetters) ? nullptr : found;
}

void append(std::string& line, const FormatItem& item, std::string value) {
  if (item.width == 0) {
    line += value;
    return;
  }
  while (display_width(value) > item.width) value.pop_back();
  const std::size_t padding = item.width - display_width(value);
  if (item.right) line.append(padding, ' ');
  line += value;
  if (!item.right) line.append(padding, ' ');
}

}  // namespace

Result<QueueFormat> parse_queue_format(std::string_view text) {
  QueueFormat format;
  std::string literal;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%' || at + 1 == text.size()) {
      literal.push_back(text[at]);
      continue;
    }
    FormatItem item;
    ++at;
    if (text[at] == '%') {
      literal.push_back('%');
      continue;
    }
    if (text[at] == '.') {
      item.right = true;
      ++at;
    }
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      item.width =
          std::min<std::size_t>(item.width * 10 + static_cast<std::size_t>(text[at] - '0'), 10'000);
      ++at;
    }
    const char letter = at < text.size() ? text[at] : '%';
    if (find_letter(letter) == nullptr) {
      std::string known;
      for (const Letter& l : kLetters) known.push_back(l.letter);
      return Error(ErrorKind::Invalid, cat("there is no %", letter, "; the letters are ", known));
    }
    item.letter = letter;
    if (!literal.empty()) format.push_back({.text = std::move(literal), .letter = 0});
    literal.clear();
    format.push_back(std::move(item));
  }
  if (!literal.empty()) format.push_back({.text = std::move(literal), .letter = 0});
  return format;
}

std::string render_rows(const QueueFormat& format, const std::vector<JobRow>& rows, bool header) {
  std::string text;
  const auto add_line = [&](const auto& value_of) {
    for (const FormatItem& item : format) {
      if (item.letter == 0) {
        text += item.text;
      } else {
        append(text, item, value_of(*find_letter(item.letter)));
      }
    }
    text.push_back('\n');
  };
  if (header) add_line([](const Letter& letter) { return std::string(letter.header); });
  for (const JobRow& row : rows) {
    add_line([&](const Letter& letter) { return letter.value(row); });
  }
  return text;
}

}  // namespace gangway::submit
