#include "submit/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"
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

Result<FileEnd> read_end(const std::string& path, std::int64_t lines, std::int64_t most) {
  constexpr std::int64_t kChunk = 64 << 10;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return errno_error(cat("cannot read ", path), errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error(ErrorKind::Unsupported,
                 cat(path, " is no ordinary file: it keeps nothing to read"));
  }
  if (lines < 0 && status.st_size > most) {
    return Error(ErrorKind::Exhausted, cat(path, " has ", status.st_size, " bytes, more than the ",
                                           most, " that are shown; a number of lines can be"));
  }
  FileEnd end;
  std::int64_t begin = status.st_size;
  const std::int64_t lowest = std::max<std::int64_t>(0, begin - most);
  std::int64_t ends = 0;  // of lines, that are read
  while (begin > lowest && (lines < 0 || ends <= lines)) {
    const std::int64_t from = std::max(lowest, begin - kChunk);
    std::string chunk(static_cast<std::size_t>(begin - from), '\0');
    const ssize_t got = ::pread(file.get(), chunk.data(), chunk.size(), from);
    if (got < 0) return errno_error(cat("cannot read ", path), errno);
    chunk.resize(static_cast<std::size_t>(got));
    ends += std::count(chunk.begin(), chunk.end(), '\n');
    end.text.insert(0, chunk);
    begin = from;
  }
  end.is_cut = begin > 0 && begin == lowest;
  end.text = last_lines(end.text, lines);
  return end;
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
