#include "tests/containers/fuzz_targets.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cstdlib>

#include "containers/archive_reader.hpp"
#include "containers/image_document.hpp"
#include "containers/image_report.hpp"
#include "containers/remove_tree.hpp"
#include "containers/tree_writer.hpp"
#include "queues/base/check.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::tests {
namespace {

using namespace containers;  // NOLINT: short

UnpackLimits small_limits() {
  UnpackLimits limits;
  limits.max_bytes = 4 << 20;
  limits.max_file_bytes = 1 << 20;
  limits.max_entries = 200;
  return limits;
}

Result<void> unpack(int fd, std::int64_t size, const std::string& root) {
  GANGWAY_ASSIGN(Decompressor stream, Decompressor::open({.fd = fd, .offset = 0, .size = size}));
  std::int64_t bytes = 0;
  const auto next = [&]() -> Result<std::string_view> {
    GANGWAY_ASSIGN(const std::string_view block, stream.next());
    bytes += static_cast<std::int64_t>(block.size());
    if (bytes > 8 << 20) return Error(ErrorKind::Exhausted, "too much");
    return block;
  };
  TreeWriter writer(Fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), small_limits(),
                    false);
  GANGWAY_ASSIGN(TarReader tar, TarReader::open(next));
  while (true) {
    GANGWAY_ASSIGN(const TarEntry* entry, tar.next());
    if (entry == nullptr) return writer.end_layer();
    GANGWAY_TRY(writer.apply(*entry, [&] { return tar.next_block(); }));
  }
}

}  // namespace

void fuzz_layer(std::string_view blob) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  char pattern[] = "/dev/shm/gangway-fuzz-XXXXXX";
  CHECK(mkdtemp(pattern) != nullptr);
  const std::string place = pattern;
  const std::string root = place + "/root";
  const std::string victim = place + "/victim";
  CHECK(mkdir(root.c_str(), 0755) == 0);
  close(::open(victim.c_str(), O_WRONLY | O_CREAT, 0640));
  struct stat before {};
  CHECK(stat(victim.c_str(), &before) == 0);

  const Fd memory(memfd_create("blob", MFD_CLOEXEC));
  CHECK(write(memory.get(), blob.data(), blob.size()) == static_cast<ssize_t>(blob.size()));
  [[maybe_unused]] const Result<void> result =
      unpack(memory.get(), static_cast<std::int64_t>(blob.size()), root);

  struct stat after {};
  CHECK(stat(victim.c_str(), &after) == 0);
  CHECK(after.st_nlink == 1 && after.st_size == 0 && after.st_mode == before.st_mode);
  CHECK(after.st_mtim.tv_sec == before.st_mtim.tv_sec);
  CHECK(remove_tree(root));
  CHECK(unlink(victim.c_str()) == 0);
  CHECK(rmdir(place.c_str()) == 0);  // nothing else has come to lie there
}

void fuzz_document(std::string_view text) {
  [[maybe_unused]] const auto layout = parse_oci_layout(text);
  [[maybe_unused]] const auto index = parse_index(text, "");
  [[maybe_unused]] const auto kind = classify_document(text);
  const auto manifest = parse_manifest(text, "");
  if (manifest) {
    for (const Descriptor& layer : manifest->layers) CHECK(layer.size >= 0);
  }
  const auto config = parse_config(text);
  if (config) {
    CHECK(config->workdir.empty() || config->workdir.front() == '/');
    for (const std::string& variable : config->env) CHECK(variable.find('=') != 0);
  }
  const auto images = parse_docker_manifest(text);
  if (images) CHECK(!images->empty());
  const auto report = parse_image_report(text);
  if (report) CHECK(report->tree.front() == '/');
}

}  // namespace gangway::tests
