#include "submit/output_file.hpp"

#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "submit/jobspec_parse.hpp"

namespace gangway::submit {

std::string output_file_of(const JobRow& job, std::uint32_t task) {
  const bool is_element = job.key.index != JobKey::kNoIndex;
  std::string out;
  std::string_view text = job.out;
  if (text.empty()) text = is_element ? "job-%A_%a.out" : "job-%j.out";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    std::size_t width = 0;
    while (i + 2 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9') {
      width = width * 10 + static_cast<std::size_t>(text[++i] - '0');
    }
    std::string value;
    switch (text[++i]) {
      case 'j':
      case 'A':
      case 'J':
        value = cat(job.key.job.value);
        break;
      case 'a':
        value = cat(is_element ? job.key.index : 0);
        break;
      case 't':
        value = cat(task);
        break;
      case 'n':
        value = "0";
        break;
      case 's':
        value = "batch";
        break;
      case 'x':
        value = job.name;
        break;
      case 'u':
        value = job.user;
        break;
      case 'r':
        value = cat(job.attempt > 0 ? job.attempt - 1 : 0);
        break;
      case 'N':
        if (const auto nodes = parse_host_list(job.node_list); nodes && !nodes->empty()) {
          value = nodes->front().value;
        }
        break;
      case '%':
        value = "%";
        break;
      default:
        value = cat('%', text[i]);
        break;
    }
    constexpr std::size_t kWidest = 255;
    width = width < kWidest ? width : kWidest;
    if (value.size() < width) value.insert(0, width - value.size(), '0');
    out += value;
  }
  return absolute_path(out, job.workdir);
}

std::string last_lines(const std::string& text, std::int64_t lines) {
  if (lines < 0) return text;
  std::size_t at = text.size();
  for (std::int64_t found = 0; at > 0; --at) {
    if (text[at - 1] != '\n' || at == text.size()) continue;
    if (++found == lines) break;
  }
  return lines == 0 ? std::string() : text.substr(at);
}

}  // namespace gangway::submit
