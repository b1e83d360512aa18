#include "containers/image_ensure.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "containers/image_opener.hpp"
#include "containers/image_source.hpp"
#include "containers/unpack_worker.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/log.hpp"
#include "queues/base/raw_buffer.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kCopyBytes = 256 << 10;

Error corrupt(std::string message) { return Error(ErrorKind::Corrupt, std::move(message)); }

// A layer to unpack: where it is, and what its contents must be. OCI layers have the digest and
// size of their compressed form too.
struct Layer {
  std::string name;
  std::optional<Digest> digest;
  std::int64_t size = 0;
};

struct ImagePlan {
  std::string manifest;  // the documents, verified
  std::string config_text;
  ImageConfig config;
  std::vector<Layer> layers;
};

class Ensurer {
 public:
  Ensurer(const ImageStore& store, const EnsureRequest& request)
      : store_(store), request_(request), key_{request.digest, request.readable_by_all} {}

  Result<ImageReport> run() {
    GANGWAY_TRY(open_source());
    if (auto report = store_.find(key_); report && store_.may_use(key_, request_.user.uid)) {
      GANGWAY_TRY(check_access());
      return *std::move(report);
    }
    GANGWAY_ASSIGN(const Fd lock, store_.lock(key_));
    if (auto report = store_.find(key_)) {
      if (store_.may_use(key_, request_.user.uid)) {
        GANGWAY_TRY(check_access());
      } else {
        GANGWAY_TRY(check_contents());
        GANGWAY_TRY(store_.admit(key_, request_.user.uid));
      }
      return *std::move(report);
    }
    return unpack();
  }

 private:
  [[nodiscard]] bool is_layout() const { return request_.kind == ImageSourceKind::OciLayout; }
  [[nodiscard]] bool is_docker() const { return request_.kind == ImageSourceKind::DockerArchive; }

  Result<void> open_source() {
    GANGWAY_ASSIGN(opener_, ImageOpener::start(request_.user, request_.path, is_layout()));
    return {};
  }

  // The user can read a source that has this image. Enough for one who had all of it before.
  Result<void> check_access() {
    if (is_layout()) {
      GANGWAY_TRY(read_document(*opener_, request_.digest, std::nullopt));
      return {};
    }
    GANGWAY_TRY(start_worker(/*tree=*/""));
    GANGWAY_TRY(index_source());
    if (!is_docker()) {
      GANGWAY_TRY(read_document(files(), request_.digest, std::nullopt));
      return {};
    }
    GANGWAY_TRY(find_docker_image_by_digest());
    return {};
  }

  // The user has all of the image, contents too: a manifest, which names an image, is no secret.
  Result<void> check_contents() {
    if (is_docker())
      return unpack_for_check();  // its layers may be compressed, and have no digests
    GANGWAY_TRY(start_worker(/*tree=*/""));
    GANGWAY_TRY(index_source());
    GANGWAY_ASSIGN(const ImagePlan plan, plan_oci());
    start_progress(plan);
    for (const Layer& layer : plan.layers) {
      ++progress_.layer;
      GANGWAY_TRY_CONTEXT(
          read_layer(layer, [](std::string_view) { return Result<void>(); }),
          cat("image ", request_.path, ": layer ", progress_.layer, " of ", plan.layers.size()));
    }
    return {};
  }

  Result<void> unpack_for_check() {
    GANGWAY_ASSIGN(const Staging staging, store_.stage(key_, worker_uid(), worker_gid()));
    GANGWAY_TRY(unpack_into(staging));
    return {};
  }

  [[nodiscard]] uid_t worker_uid() const {
    return geteuid() == 0 ? request_.worker_uid : geteuid();
  }
  [[nodiscard]] gid_t worker_gid() const {
    return geteuid() == 0 ? request_.worker_gid : getegid();
  }

  Result<void> start_worker(const std::string& tree) {
    GANGWAY_ASSIGN(UnpackWorker worker,
                   UnpackWorker::start({.tree = tree,
                                        .uid = request_.worker_uid,
                                        .gid = request_.worker_gid,
                                        .readable_by_all = request_.readable_by_all,
                                        .limits = request_.limits}));
    if (!worker.unconfined().empty()) {
      log_warning("unpacker_without_namespaces", {{"why", worker.unconfined()}});
    }
    worker_.emplace(std::move(worker));
    return {};
  }

  Result<void> index_source() {
    if (is_layout()) return {};
    GANGWAY_ASSIGN(Fd archive, opener_->archive());
    GANGWAY_ASSIGN(ArchiveIndex index, worker_->index(archive.get()));
    archive_files_ = make_archive_files(std::move(archive), std::move(index));
    return {};
  }

  ImageFiles& files() { return archive_files_ ? *archive_files_ : *opener_; }

  struct Unpacked {
    ImagePlan plan;
    WriterCounts counts;
  };
  Result<Unpacked> unpack_into(const Staging& staging) {
    GANGWAY_TRY(start_worker(staging.rootfs()));
    GANGWAY_TRY(index_source());
    GANGWAY_ASSIGN(ImagePlan plan, is_docker() ? plan_docker() : plan_oci());
    GANGWAY_TRY(unpack_layers(plan));
    GANGWAY_ASSIGN(const WriterCounts counts, worker_->finish());
    worker_.reset();
    return Unpacked{std::move(plan), counts};
  }

  Result<ImageReport> unpack() {
    GANGWAY_ASSIGN(Staging staging, store_.stage(key_, worker_uid(), worker_gid()));
    GANGWAY_ASSIGN(const Unpacked unpacked, unpack_into(staging));
    const auto& [plan, counts] = unpacked;
    log_info("image_unpacked", {{"digest", request_.digest.text()},
                                {"layers", cat(plan.layers.size())},
                                {"entries", cat(counts.entries)},
                                {"bytes", cat(counts.bytes)},
                                {"devices_skipped", cat(counts.devices_skipped)},
                                {"xattrs_dropped", cat(counts.xattrs_dropped)}});
    ImageReport report;
    report.owner_uid = worker_uid();
    report.owner_gid = worker_gid();
    report.env = plan.config.env;
    report.entrypoint = plan.config.entrypoint;
    report.cmd = plan.config.cmd;
    report.workdir = plan.config.workdir;
    report.user = plan.config.user;
    report.entries = counts.entries;
    report.bytes = counts.bytes;
    return store_.publish(key_, std::move(staging), request_.user.uid, std::move(report),
                          plan.manifest, plan.config_text);
  }

  Result<ImagePlan> plan_oci() {
    ImagePlan plan;
    GANGWAY_ASSIGN(plan.manifest, read_document(files(), request_.digest, std::nullopt));
    GANGWAY_ASSIGN(const ImageManifest manifest, worker_->manifest(plan.manifest));
    GANGWAY_ASSIGN(plan.config_text,
                   read_document(files(), manifest.config.digest, manifest.config.size));
    GANGWAY_ASSIGN(plan.config, worker_->config(plan.config_text, manifest.layers.size()));
    for (const Descriptor& layer : manifest.layers) {
      plan.layers.push_back({blob_name(layer.digest), layer.digest, layer.size});
    }
    return plan;
  }

  struct DockerEntry {
    DockerImage image;
    std::string config_text;
    std::string list;
  };
  Result<DockerEntry> find_docker_image_by_digest() {
    GANGWAY_ASSIGN(const ImageFiles::Opened opened, files().open("manifest.json"));
    GANGWAY_ASSIGN(std::string list, read_range(opened.range, kMaxDocumentBytes));
    GANGWAY_ASSIGN(const std::vector<DockerImage> images, worker_->docker_images(list));
    for (const DockerImage& image : images) {
      GANGWAY_ASSIGN(const ImageFiles::Opened config, files().open(image.config));
      GANGWAY_ASSIGN(std::string text, read_range(config.range, kMaxDocumentBytes));
      if (sha256_hex(text) == request_.digest.hex()) {
        return DockerEntry{image, std::move(text), std::move(list)};
      }
    }
    return Error(ErrorKind::NotFound, cat("image ", request_.path, ": no image ",
                                          request_.digest.text(), " in it (any more)"));
  }

  Result<ImagePlan> plan_docker() {
    GANGWAY_ASSIGN(DockerEntry entry, find_docker_image_by_digest());
    ImagePlan plan;
    plan.manifest = std::move(entry.list);
    plan.config_text = std::move(entry.config_text);
    GANGWAY_ASSIGN(plan.config, worker_->config(plan.config_text, entry.image.layers.size()));
    for (std::string& name : entry.image.layers) plan.layers.push_back({std::move(name), {}, 0});
    return plan;
  }

  // While the worker unpacks one layer the next is copied and checked here.
  Result<void> unpack_layers(const ImagePlan& plan) {
    start_progress(plan);
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
      progress_.layer = i + 1;
      const std::string context =
          cat("image ", request_.path, ": layer ", i + 1, " of ", plan.layers.size());
      Result<Fd> copy = copy_layer(plan.layers[i]);
      GANGWAY_TRY_CONTEXT(worker_->unpack_wait(), cat("layer ", i));
      if (!copy) return copy.error().with_context(context);
      const off_t size = lseek(copy->get(), 0, SEEK_END);
      GANGWAY_TRY_CONTEXT(worker_->unpack_begin({.fd = copy->get(), .offset = 0, .size = size},
                                                plan.config.diff_ids[i]),
                          context);
    }
    GANGWAY_TRY_CONTEXT(worker_->unpack_wait(), cat("layer ", plan.layers.size()));
    return {};
  }

  void start_progress(const ImagePlan& plan) {
    progress_ = {.layer = 0, .layers = plan.layers.size(), .bytes = 0, .total_bytes = 0};
    for (const Layer& layer : plan.layers) progress_.total_bytes += layer.size;
  }

  // A copy that the user cannot change any more.
  Result<Fd> copy_layer(const Layer& layer) {
    GANGWAY_ASSIGN(Fd copy, store_.make_scratch_file());
    GANGWAY_TRY(
        read_layer(layer, [&](std::string_view bytes) { return write_all(copy.get(), bytes); }));
    // For reading only, as the worker gets it.
    Fd readable(open(cat("/proc/self/fd/", copy.get()).c_str(), O_RDONLY | O_CLOEXEC));
    if (!readable) return errno_error("open copy of a layer", errno);
    return readable;
  }

  // Hands all of it to `sink`, in pieces. Of an OCI layer size and digest are right, or it fails.
  template <typename Sink>
  Result<void> read_layer(const Layer& layer, const Sink& sink) {
    GANGWAY_ASSIGN(const ImageFiles::Opened source, files().open(layer.name));
    if (layer.digest && source.range.size != layer.size) {
      return corrupt(cat("blob ", layer.digest->text(), " has ", source.range.size,
                         " bytes and not ", layer.size));
    }
    if (source.range.size > request_.limits.max_bytes) {
      return Error(ErrorKind::Invalid, "the layer is larger than an image may be");
    }
    Sha256 hash;
    RawBuffer block(kCopyBytes);
    for (std::int64_t done = 0; done < source.range.size;) {
      const std::int64_t left = source.range.size - done;
      const std::size_t want = left < static_cast<std::int64_t>(block.size())
                                   ? static_cast<std::size_t>(left)
                                   : block.size();
      const ssize_t got = pread(source.range.fd, block.data(), want, source.range.offset + done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno_error(cat("read ", layer.name), errno);
      if (got == 0) return corrupt(cat(layer.name, " is shorter than it was"));
      const std::string_view bytes(block.data(), static_cast<std::size_t>(got));
      if (layer.digest) hash.update(bytes);
      GANGWAY_TRY(sink(bytes));
      done += got;
      progress_.bytes += got;
      if (request_.progress) request_.progress(progress_);
    }
    if (layer.digest && hash.finish_hex() != layer.digest->hex()) {
      return corrupt(cat("blob ", layer.digest->text(), " has another digest"));
    }
    return {};
  }

  static Result<void> write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = write(fd, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return errno_error("copy layer into the image store", errno);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

  const ImageStore& store_;
  const EnsureRequest& request_;
  EnsureProgress progress_;
  ImageKey key_;
  std::unique_ptr<ImageOpener> opener_;
  std::unique_ptr<ImageFiles> archive_files_;
  std::optional<UnpackWorker> worker_;
};

}  // namespace

Result<ImageReport> ensure_image(const ImageStore& store, const EnsureRequest& request) {
  return Ensurer(store, request).run();
}

}  // namespace gangway::containers
