#include "containers/program_batch.hpp"

#include "queues/base/check.hpp"

namespace gangway::containers {
namespace {

bool reads(UserFile::Mode mode) { return mode == UserFile::Mode::Read; }

int index_of(const std::vector<UserFile>& files, const std::string& path, bool for_reading) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (files[i].path == path && reads(files[i].mode) == for_reading) return static_cast<int>(i);
  }
  return -1;
}

void want(std::vector<UserFile>& files, const std::string& path, UserFile::Mode mode) {
  if (path.empty()) return;
  const int index = index_of(files, path, reads(mode));
  if (index < 0) {
    files.push_back({path, mode});
  } else if (mode == UserFile::Mode::Truncate) {
    files[static_cast<std::size_t>(index)].mode = mode;
  }
}

void want(std::vector<UserFile>& files, const ProgramOutput& output) {
  want(files, output.path, output.truncate ? UserFile::Mode::Truncate : UserFile::Mode::Append);
}

int place(ProgramBatch& batch, int fd) {
  for (std::size_t i = 0; i < batch.fds.size(); ++i) {
    if (batch.fds[i] == fd) return static_cast<int>(i);
  }
  batch.fds.push_back(fd);
  return static_cast<int>(batch.fds.size()) - 1;
}

}  // namespace

std::vector<UserFile> files_of(const std::vector<ProgramRequest>& programs) {
  std::vector<UserFile> files;
  for (const ProgramRequest& program : programs) {
    if (!program.in_fd) want(files, program.stdin_path, UserFile::Mode::Read);
    if (!program.out_fd) want(files, program.out);
    if (program.err && !program.err_fd) want(files, *program.err);
  }
  return files;
}

std::vector<ProgramBatch> make_batches(const std::vector<ProgramRequest>& programs,
                                       const std::vector<UserFile>& files,
                                       const std::vector<int>& opened) {
  CHECK(files.size() == opened.size());
  std::vector<ProgramBatch> batches;
  for (const bool host_files : {false, true}) {
    ProgramBatch batch{.host_files = host_files, .programs = {}, .fds = {}};
    for (const ProgramRequest& program : programs) {
      if (program.host_files != host_files) continue;
      // In, out, err, the inherited one, the terminal's socket, and the list itself.
      if (batch.fds.size() + 6 > kMaxPacketFds) {
        batches.push_back(std::move(batch));
        batch = {.host_files = host_files, .programs = {}, .fds = {}};
      }
      const auto file = [&](const std::string& path, bool for_reading) {
        const int index = path.empty() ? -1 : index_of(files, path, for_reading);
        return index < 0 ? -1 : place(batch, opened[static_cast<std::size_t>(index)]);
      };
      ProgramOrder order{.id = program.id,
                         .argv = program.argv,
                         .env = program.env,
                         .workdir = program.workdir,
                         .cores = program.cores,
                         .umask = program.umask};
      const auto held = [&](const SharedFd& fd) { return place(batch, fd->get()); };
      order.in = program.in_fd ? held(program.in_fd) : file(program.stdin_path, true);
      order.out = program.out_fd ? held(program.out_fd) : file(program.out.path, false);
      if (program.err_fd) {
        order.err = held(program.err_fd);
      } else {
        order.err = program.err ? file(program.err->path, false) : order.out;
      }
      if (program.terminal) order.terminal = held(program.terminal);
      order.only_inspect = program.only_inspect;
      if (program.inherit_fd >= 0) order.inherit = place(batch, program.inherit_fd);
      batch.programs.push_back(std::move(order));
    }
    if (!batch.programs.empty()) batches.push_back(std::move(batch));
  }
  return batches;
}

}  // namespace gangway::containers
