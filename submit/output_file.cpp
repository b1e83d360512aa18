#include "submit/output_file.hpp"

#include "queues/model/idset.hpp"
#include "queues/model/output_pattern.hpp"
#include "submit/jobspec_parse.hpp"

namespace gangway::submit {

std::string output_file_of(const JobRow& job, std::uint32_t task) {
  PatternFacts facts{.key = job.key,
                     .restarts = job.attempt > 0 ? job.attempt - 1 : 0,
                     .job_name = job.name,
                     .user = job.user,
                     .task = static_cast<std::int32_t>(task)};
  if (const auto nodes = parse_host_list(job.node_list); nodes && !nodes->empty()) {
    facts.node = nodes->front().value;
  }
  const std::string_view pattern = job.out.empty() ? default_output_pattern(job.key) : job.out;
  return absolute_path(expand_pattern(pattern, facts), job.workdir);
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
