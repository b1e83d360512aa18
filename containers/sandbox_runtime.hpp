// SandboxRuntime: the ContainerRuntime of real nodes. One sandbox for each object and process.
//
// It lives in the shepherd of a job. prepare() asks the image helper (a process of its own, which
// parses archives without rights) for the image's tree, makes the control group, and forks the
// sandbox's init, which does the mounts (sandbox_plan.hpp says which and in what order), drops
// every right and then starts programs on request. Nothing here blocks on user-controlled work:
// files of the user are opened by children with the user's rights.
//
// Single-threaded, in the reactor's thread; the process must have no other threads, because
// children go on after fork() without exec(). The sandbox dies with the process (parent-death
// signal and a socket's end), and with init everything in its process namespace.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "containers/image_gc.hpp"
#include "containers/reactor.hpp"
#include "containers/runtime.hpp"
#include "queues/base/waiver.hpp"

namespace gangway::containers {

struct SandboxSettings {
  std::string image_helper;               // path of jimage-unpack
  std::string image_store;                // directory of the node's unpacked images
  GcPolicy image_bounds;                  // kept to when a new image has come
  std::string cgroup_parent = "gangway";  // see cgroup.hpp; "": no groups, and no limits
  WaiverSet waivers;                      // what may be missing
  bool use_freezer = true;                // to pause; without it, or where there is none: signals
  // Device nodes and directories of devices that images see beside the minimal /dev; those that the
  // node has not got are skipped.
  std::vector<std::string> devices{"/dev/infiniband", "/dev/kfd", "/dev/dri"};
};

class SandboxRuntime final : public ContainerRuntime {
 public:
  SandboxRuntime(Reactor& reactor, SandboxSettings settings);
  // Kills what is left, and does not wait for it: who must know uses cleanup().
  ~SandboxRuntime() override;
  SandboxRuntime(const SandboxRuntime&) = delete;
  SandboxRuntime& operator=(const SandboxRuntime&) = delete;

  void prepare(SandboxRequest request, std::function<void(Result<SandboxReady>)> done) override;
  void start(std::vector<ProgramRequest> programs, std::function<void(ProgramEnd)> on_end) override;
  void signal(int signal_number, std::optional<std::uint32_t> id) override;
  void signal_others(int signal_number, std::uint32_t id) override;
  void pause(bool on, std::function<void(Result<void>)> done) override;
  [[nodiscard]] SandboxUsage usage() const override;
  void cleanup(std::function<void(SandboxUsage)> done) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with callbacks still queued in the reactor
};

}  // namespace gangway::containers
