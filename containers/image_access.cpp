#include "containers/image_access.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "containers/image_store.hpp"
#include "containers/namespaces.hpp"
#include "containers/tree_walk.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kMaxManifestBytes = 4 << 20;

Result<void> check_as(const Credentials& user, const ImageSource& source) {
  GANGWAY_TRY(close_from(3));
  GANGWAY_TRY(become(user));
  GANGWAY_TRY(set_parent_death_signal());
  GANGWAY_TRY(set_no_new_privileges());
  return check_access(source);
}

}  // namespace

Result<void> check_access(const ImageSource& source) {
  GANGWAY_ASSIGN(const Digest digest, Digest::parse(source.manifest_digest));
  const Fd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_error("open /", errno);
  GANGWAY_ASSIGN(const Fd layout, open_in_root(root.get(), source.path, O_PATH | O_DIRECTORY));
  GANGWAY_ASSIGN(const Fd blob, open_regular_beneath(layout.get(), "blobs/sha256/" + digest.hex()));
  Sha256 hash;
  char block[8192];  // manifests are small; not cleared, as every page that is touched costs
  std::size_t bytes = 0;
  while (true) {
    const ssize_t got = read(blob.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read manifest", errno);
    if (got == 0) break;
    bytes += static_cast<std::size_t>(got);
    if (bytes > kMaxManifestBytes) return Error(ErrorKind::Invalid, "manifest too large");
    hash.update(std::string_view(block, static_cast<std::size_t>(got)));
  }
  if (hash.finish_hex() != digest.hex()) return Error(ErrorKind::Corrupt, "another digest");
  return {};
}

std::optional<ImageReport> find_stored_layout(const std::string& store,
                                              const ImageSource& source,
                                              uid_t user,
                                              bool readable_by_all) {
  if (source.kind != ImageSourceKind::OciLayout) return std::nullopt;
  const Result<Digest> digest = Digest::parse(source.manifest_digest);
  if (!digest) return std::nullopt;
  const ImageStore images = ImageStore::at(store);
  const ImageKey key{*digest, readable_by_all};
  if (!images.may_use(key, user)) return std::nullopt;
  return images.find(key);
}

Result<pid_t> spawn_access_check(const Credentials& user, const ImageSource& source) {
  GANGWAY_ASSIGN(HeldChild child, spawn_held(0, [&] { return check_as(user, source) ? 0 : 1; }));
  child.release();
  return child.pid();
}

}  // namespace gangway::containers
