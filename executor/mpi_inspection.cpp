#include "executor/mpi_inspection.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

// What has been written to a pipe so far, by lines; at most a few dozen names.
std::vector<std::string> read_names(int pipe) {
  std::string text(std::size_t{64} << 10, '\0');
  ::fcntl(pipe, F_SETFL, O_NONBLOCK);
  const ssize_t got = ::read(pipe, text.data(), text.size());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  std::vector<std::string> names;
  for (const std::string_view name : split(text, '\n')) names.emplace_back(name);
  return names;
}

}  // namespace

void inspect_mpi(containers::ContainerRuntime& runtime,
                 containers::ProgramRequest program,
                 std::function<void(const MpiChoice&)> then) {
  std::string name = program.argv.empty() ? std::string() : program.argv.front();
  Result<Pipe> pipe = make_pipe();
  if (!pipe) return then(choose_mpi(MpiMode::Auto, {}, name));
  // Shared, because std::function wants what it captures to be copyable.
  const auto names = std::make_shared<Pipe>(*std::move(pipe));
  program.only_inspect = true;
  program.inherit_fd = names->write.get();
  std::vector<containers::ProgramRequest> programs;
  programs.push_back(std::move(program));
  runtime.start(std::move(programs), [names, name = std::move(name),
                                      then = std::move(then)](const containers::ProgramEnd&) {
    then(choose_mpi(MpiMode::Auto, read_names(names->read.get()), name));
  });
}

}  // namespace gangway::executor
