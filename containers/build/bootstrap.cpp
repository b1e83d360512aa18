#include "containers/build/bootstrap.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "containers/build/image_import.hpp"
#include "containers/build/image_settings.hpp"
#include "containers/build/layer_writer.hpp"
#include "queues/base/find_program.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::string_view kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Result<int> run_program(const std::vector<std::string>& words,
                        const std::vector<std::string>& more_env) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> env;
  env.reserve(more_env.size());
  for (const std::string& entry : more_env) env.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry != nullptr; ++entry) env.push_back(*entry);
  env.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, 2, 1);
  pid_t pid = 0;
  const int result = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  if (result != 0) return errno_error(words[0], result);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return errno_error("wait", errno);
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The archive as a layer of ours; devices stay out.
Result<WrittenLayer> rewrite(int from, int to, std::optional<std::int64_t> epoch_s) {
  struct stat status {};
  if (fstat(from, &status) != 0) return errno_error("read archive", errno);
  GANGWAY_ASSIGN(Decompressor stream,
                 Decompressor::open({.fd = from, .offset = 0, .size = status.st_size}));
  GANGWAY_ASSIGN(TarReader tar, TarReader::open([&] { return stream.next(); }));
  GANGWAY_ASSIGN(LayerWriter layer, LayerWriter::open(to, Compression::Zstd));
  const std::string zeros(64 << 10, '\0');
  while (true) {
    GANGWAY_ASSIGN(const TarEntry* entry, tar.next());
    if (entry == nullptr) break;
    if (entry->type == TarType::Device) continue;
    TarEntry copy = *entry;
    copy.xattrs.clear();
    copy.mtime_ns = 0;
    if (epoch_s && copy.mtime_s > *epoch_s) copy.mtime_s = *epoch_s;
    GANGWAY_TRY(layer.add(copy));
    if (copy.type != TarType::File) continue;
    std::int64_t done = 0;
    const auto fill = [&](std::int64_t end) -> Result<void> {
      while (done < end) {
        const auto part =
            std::min<std::int64_t>(end - done, static_cast<std::int64_t>(zeros.size()));
        GANGWAY_TRY(layer.data(std::string_view(zeros).substr(0, static_cast<std::size_t>(part))));
        done += part;
      }
      return {};
    };
    while (true) {
      GANGWAY_ASSIGN(const TarReader::Block block, tar.next_block());
      if (block.bytes.empty()) break;
      GANGWAY_TRY(fill(block.offset));
      GANGWAY_TRY(layer.data(block.bytes));
      done += static_cast<std::int64_t>(block.bytes.size());
    }
    GANGWAY_TRY(fill(copy.size));
  }
  return layer.finish();
}

}  // namespace

Result<NamedManifest> bootstrap_image(const ImageLibrary& library,
                                      const BootstrapRequest& request) {
  const std::size_t colon = request.system.find(':');
  const std::string distribution = request.system.substr(0, colon);
  const std::string suite = colon == std::string::npos ? "" : request.system.substr(colon + 1);
  if (suite.empty() || (distribution != "debian" && distribution != "ubuntu")) {
    return Error(ErrorKind::Invalid,
                 cat(request.system, ": is debian:SUITE or ubuntu:SUITE, as debian:bookworm"));
  }
  GANGWAY_ASSIGN(const std::string script, find_program("jimage-bootstrap"));
  GANGWAY_ASSIGN(const WorkDirectory work, library.make_work_directory());
  const std::string archive = work.path() + "/system.tar";
  const std::string quiet = request.quiet ? "quiet" : "loud";
  std::vector<std::string> env;
  if (request.epoch_s) env.push_back(cat("SOURCE_DATE_EPOCH=", *request.epoch_s));
  GANGWAY_ASSIGN(const int code,
                 run_program({script, distribution, suite, request.packages, archive, quiet}, env));
  if (code == 69) return Error(ErrorKind::NotFound, "mmdebstrap is not installed");
  if (code != 0) {
    return Error(ErrorKind::Invalid, cat(request.system, ": mmdebstrap ended with code ", code,
                                         "; does 'apt-get update' work?"));
  }
  const Fd from(open(archive.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) return errno_error(archive, errno);
  GANGWAY_ASSIGN(ImageLibrary::NewBlob blob, library.make_blob());
  Result<WrittenLayer> layer = rewrite(from.get(), blob.fd.get(), request.epoch_s);
  if (!layer) {
    unlink(blob.path.c_str());
    return layer.error();
  }
  GANGWAY_TRY(library.keep_blob(std::move(blob), layer->digest));

  ImageSettings settings;
  settings.platform = this_platform();
  settings.created =
      render_rfc3339(request.epoch_s.value_or(static_cast<std::int64_t>(std::time(nullptr))));
  settings.env = {cat("PATH=", kPath)};
  settings.cmd = {"/bin/bash"};
  settings.diff_ids = {layer->diff_id};
  settings.history = {
      {.created = settings.created,
       .created_by = cat("jimage bootstrap ", request.system, " --include ", request.packages)}};
  GANGWAY_ASSIGN(NamedManifest manifest,
                 store_image(library, settings,
                             {{layer->diff_id, layer->digest, layer->size, layer->compression}}));
  for (const std::string& name : request.names) {
    manifest.name = name;
    GANGWAY_TRY(library.set(manifest));
  }
  return manifest;
}

}  // namespace gangway::containers::build
