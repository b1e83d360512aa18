// ContainerRuntime: sandboxes and the programs in them; the fifth of the five faces.
//
// It knows no jobs: a sandbox is an image (or the host's file system), a user, limits and mounts; a
// program is an argv with an environment. The cut is that of Mesos' isolators: recover, prepare,
// start, signal, usage, cleanup. Every call is asynchronous where it can take long; each answer
// comes in a later turn of the caller's loop, exactly once. One sandbox may hold many programs;
// they share its namespaces, /dev/shm and /tmp.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"

namespace gangway::containers {

enum class ImageSourceKind { OciLayout, OciArchive, DockerArchive };

struct ImageSource {
  ImageSourceKind kind = ImageSourceKind::OciLayout;
  std::string path;
  std::string manifest_digest;  // "sha256:<64 hex>"; docker-archive: of the config
};

struct UserIdentity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
  std::string name;
  std::string home;
  std::string shell;
};

// Who programs are inside an image: the user by the same number; or the user that the image names,
// or root, standing for the user, with subordinate ids beside it.
enum class InsideUser { Self, Image, Root };

// Device nodes of the node: `inside` is where an image shows it.
struct DeviceNode {
  std::string source;
  std::string inside;
};

struct BindMount {
  std::string source;       // opened with the user's rights
  std::string destination;  // absolute, inside
  bool read_only = false;
};

struct SandboxLimits {
  std::vector<int> cores;  // logical cores it may use; empty: all
  std::optional<Bytes> memory;
  std::optional<std::int64_t> pids;
  std::optional<Bytes> shm;  // size of /dev/shm; none: half of memory
};

// A small file that the programs inside can read (and run), whatever the host's directories on the
// way to it allow: a job script. Seen as SandboxReady::files_directory + "/" + name.
struct SandboxFile {
  std::string name;  // without '/'
  std::string bytes;
  bool executable = false;
};

// A descriptor that a request holds until it has been passed on, or has failed.
using SharedFd = std::shared_ptr<const Fd>;

// A program of the node that is found inside every sandbox, whatever its image holds: seen,
// read-only, as SandboxReady::files_directory + "/bin/" + each of its names.
struct SandboxTool {
  std::string path;  // opened with the user's rights
  std::vector<std::string> names;
};

// A socket that the programs inside can connect to: SandboxReady::files_directory + "/" + name.
struct SandboxSocket {
  std::string name;
  SharedFd socket;  // of the unix domain, not bound yet; when prepare is done it listens
};

// Where a program's output goes. Paths are opened with the user's rights, outside the sandbox.
struct ProgramOutput {
  std::string path;
  bool truncate = false;  // else append
};

struct SandboxRequest {
  std::string name;       // unique on the node: "42.1"
  std::string directory;  // exists, private to this sandbox, removed by cleanup
  std::optional<ImageSource> image;
  UserIdentity user;
  std::string hostname;
  std::vector<BindMount> binds;
  bool read_only_root = false;              // of an image: only mounts can be written
  InsideUser inside = InsideUser::Self;     // of an image
  bool private_network = false;             // nothing but a loopback of its own
  std::vector<DeviceNode> devices;          // given to it, beside those that everybody may use
  std::vector<std::string> closed_devices;  // nodes that cannot be opened: others' devices
  std::string workdir;  // the directory programs start in; with an image: made visible inside by
                        // a bind of its own unless a bind covers it
  SandboxLimits limits;
  std::vector<SandboxFile> files;
  std::vector<SandboxTool> tools;  // those that the node has not got are left out
  std::optional<SandboxSocket> socket;
  // Made once, with the user's rights, while the sandbox is prepared, and truncated as the last act
  // of that: an output that cannot be written fails the job before anything runs, and programs that
  // share one only append.
  std::vector<ProgramOutput> outputs;
  mode_t umask = 022;  // of those
};

struct SandboxReady {
  std::vector<std::string> image_env;  // of the image's config
  std::vector<std::string>
      image_entrypoint;  // Entrypoint, then Cmd is used if the caller has no argv
  std::vector<std::string> image_cmd;
  std::string image_workdir;           // "" if the image says nothing
  std::optional<UserIdentity> inside;  // who programs are, if not the user by the same number
  std::vector<std::string> waivers;    // what could not be enforced and was allowed to be missing
  std::string files_directory;         // where SandboxRequest::files are, as seen inside
};

struct ProgramRequest {
  std::uint32_t id = 0;           // unique in the sandbox
  std::vector<std::string> argv;  // argv[0] is looked up by PATH inside
  std::vector<std::string> env;
  std::string workdir;
  std::string stdin_path;  // empty: /dev/null
  ProgramOutput out;
  std::optional<ProgramOutput> err;  // none: same as out
  // Over the paths, where set.
  SharedFd in_fd{};
  SharedFd out_fd{};
  SharedFd err_fd{};  // none, with out_fd: the same
  // One end of a pair of stream sockets. The program gets a new terminal of the sandbox as its
  // standard streams and controlling terminal; the terminal's other side comes out of the pair's
  // other end.
  SharedFd terminal{};
  std::vector<int> cores;  // affinity; empty: the sandbox's
  mode_t umask = 022;
  bool host_files = false;  // runs in the sandbox's namespaces but sees the host's file system
                            // (the PMIx server)
  // Inherited as descriptor 3; stays the caller's, who may close it when the program has started or
  // ended. -1: none.
  int inherit_fd = -1;
  // Is not run: the names of the libraries it links (linkage.hpp) are written to `inherit_fd`, one
  // a line, and it ends with 0.
  bool only_inspect = false;
};

struct ProgramEnd {
  std::uint32_t id = 0;
  bool started = true;  // false: exec failed; `message` says why
  int wait_status = 0;  // as wait(2) gives it
  std::string message;
  // Of it and the children it waited for; the memory is that of the largest of them.
  Duration cpu{};
  Bytes peak_memory{};
  Bytes read{};  // from storage, written to storage
  Bytes written{};
};

struct SandboxUsage {
  Duration cpu;
  Bytes peak_memory;
  bool out_of_memory = false;  // the kernel killed something in it for its memory limit
  Bytes read{};                // from and to storage: of programs that have ended
  Bytes written{};
};

class ContainerRuntime {
 public:
  virtual ~ContainerRuntime() = default;

  // Fetches, verifies and unpacks the image if the node has not got it, and sets the sandbox up,
  // with nothing of the user's running in it. On failure nothing is left behind.
  virtual void prepare(SandboxRequest request, std::function<void(Result<SandboxReady>)> done) = 0;
  // Requires: prepare has succeeded. `on_end` is called once for each program.
  virtual void start(std::vector<ProgramRequest> programs,
                     std::function<void(ProgramEnd)> on_end) = 0;
  // To every process of the user's in the sandbox (SIGKILL leaves none), or to program `id` only.
  // Programs with host_files are ours: they get only what is sent to their id, and SIGKILL.
  virtual void signal(int signal_number, std::optional<std::uint32_t> id) = 0;
  // To every process of the user's in the sandbox but program `id` itself, which handles signals
  // badly and stands above the others: a job script.
  virtual void signal_others(int signal_number, std::uint32_t id) = 0;
  // Makes every process in the sandbox stand still, or lets all go on; `done` when it is so of each
  // of them. Programs started while it stands still begin when it goes on. The next call replaces
  // one that is not done yet, whose `done` is then not called. What has been killed dies at once,
  // other signals come through when it goes on. Requires: prepare has succeeded.
  virtual void pause(bool on, std::function<void(Result<void>)> done) = 0;
  [[nodiscard]] virtual SandboxUsage usage() const = 0;
  // Kills what is left, takes the sandbox down, removes its directory and control groups. Also
  // right after a failed or unfinished prepare, which it aborts. `done` after the last process is
  // gone.
  virtual void cleanup(std::function<void(SandboxUsage)> done) = 0;
};

}  // namespace gangway::containers
