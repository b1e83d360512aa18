// UnpackWorker: the confined process that reads what strangers wrote.
//
// Documents, archive headers and layers are parsed in a child that has nothing: an unprivileged id
// (or, for a rootless executor, a user namespace of its own), own mount, process, network and ipc
// namespaces where the kernel gives them, the destination tree as its root, no capabilities,
// no_new_privs, a system call filter without sockets, exec or anything else it does not need, and
// descriptors for what it is asked to read. What it answers is data and is checked again here.
//
// The caller stays single-threaded and waits for each answer, but unpack_begin() lets it copy the
// next layer meanwhile.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/archive_reader.hpp"
#include "containers/image_document.hpp"
#include "containers/image_report.hpp"
#include "containers/tree_writer.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

struct WorkerSetup {
  std::string tree;   // existing directory that `uid` owns; becomes the worker's root. "": nothing
                      // will be unpacked
  uid_t uid = 65534;  // for a privileged caller; others keep their own
  gid_t gid = 65534;
  bool readable_by_all = false;
  UnpackLimits limits;
};

class UnpackWorker {
 public:
  [[nodiscard]] static Result<UnpackWorker> start(const WorkerSetup& setup);
  UnpackWorker(UnpackWorker&&) noexcept;
  UnpackWorker& operator=(UnpackWorker&&) = delete;
  ~UnpackWorker();  // ends it

  // What the kernel did not give to confine it with; empty if all is there.
  [[nodiscard]] const std::string& unconfined() const { return unconfined_; }

  [[nodiscard]] Result<ArchiveIndex> index(int archive);
  [[nodiscard]] Result<ImageManifest> manifest(std::string_view text);
  [[nodiscard]] Result<std::vector<DockerImage>> docker_images(std::string_view text);
  // Checked against the number of layers and this machine's platform.
  [[nodiscard]] Result<ImageConfig> config(std::string_view text, std::size_t layers);
  // Begins with a layer; the next call of any kind waits for its end first.
  Result<void> unpack_begin(const FileRange& layer, const Digest& diff_id);
  Result<void> unpack_wait();
  [[nodiscard]] Result<WriterCounts> finish();

 private:
  UnpackWorker() = default;
  Result<void> send(std::string_view request, const std::vector<int>& fds);
  [[nodiscard]] Result<std::string> answer();
  [[nodiscard]] Result<std::string> ask(std::string_view request, const std::vector<int>& fds);
  [[nodiscard]] Result<std::string> ask_about(std::string_view request, std::string_view document);

  pid_t pid_ = -1;
  Fd pidfd_;
  Fd socket_;
  Fd answer_;  // of the layer under way
  std::string unconfined_;
  std::int64_t deadline_ns_ = 0;  // on the boot clock
  bool unpacking_ = false;
};

}  // namespace gangway::containers
