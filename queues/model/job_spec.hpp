// What a user asked for: immutable once it is valid, stored once by the digest of its bytes.
//
// A spec has components: a gang may consist of parts of different shape; an ordinary job has one.
// Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "queues/model/array.hpp"
#include "queues/model/resources.hpp"

namespace gangway {

enum class JobKind { Batch, Service };
// Batch: the program is started once, on the first node of the allocation (a script).
// Tasks: the program is started as every task of the allocation (a command, MPI ranks).
enum class LaunchMode { Batch, Tasks };
// How tasks find each other. Auto: each node offers what the program links, or all it has.
enum class MpiMode { None, Pmix, Pmi2, Pmi1, Auto };
[[nodiscard]] std::string_view to_string(MpiMode mode);  // as in --mpi=pmix

// One part of a gang: `nodes` nodes of one shape.
struct Component {
  std::int32_t nodes = 1;
  std::int32_t tasks = 1;            // in all of the component; tasks >= nodes
  std::int32_t cpus_per_task = 1;    // cores
  std::int32_t cores_per_node = 0;   // whatever its tasks: --mincpus, --overcommit; 0: as they need
  Bytes memory_per_node;             // 0: the queue's default
  Resources named_per_node;          // only `named` is used: gpu:1 and the like
  bool exclusive = false;            // whole nodes
  std::vector<NodeName> only_nodes;  // --nodelist: placed on these and no others, if not empty
  std::vector<NodeName> not_nodes;   // --exclude
  std::string constraint;            // on features of its nodes, see constraint.hpp; empty: none
  friend bool operator==(const Component&, const Component&) = default;

  // The most tasks that one node of this component gets (block distribution).
  [[nodiscard]] std::int32_t tasks_on_fullest_node() const { return (tasks + nodes - 1) / nodes; }
  // What each node must have for it: cores for its tasks, memory, named resources. Nodes are asked
  // for the fullest node's share, so that any of them can take any part.
  [[nodiscard]] Resources per_node() const;
  // Cores of a node that runs so many of its tasks.
  [[nodiscard]] std::int64_t cores_for(std::int64_t tasks_there) const {
    return cores_per_node > 0 ? cores_per_node : tasks_there * cpus_per_task;
  }
  // Of all its nodes.
  [[nodiscard]] std::int64_t total_cores() const {
    return cores_per_node > 0 ? std::int64_t{nodes} * cores_per_node
                              : std::int64_t{tasks} * cpus_per_task;
  }
};

// `%j`-patterns are expanded on the executor. An empty path means the default.
struct StdioSpec {
  std::string out;  // default job-%j.out
  std::string err;  // default: joined with out
  std::string in;   // default /dev/null
  bool append = false;
  friend bool operator==(const StdioSpec&, const StdioSpec&) = default;
};

enum class ImageKind { OciLayout, OciArchive, DockerArchive };
[[nodiscard]] std::string_view to_string(ImageKind kind);

// Resolved by the submitting program with the user's rights.
struct ImageSpec {
  ImageKind kind = ImageKind::OciLayout;
  std::string path;             // absolute: directory or archive
  std::string reference;        // tag inside it, may be empty
  std::string manifest_digest;  // "sha256:<64 hex>": what will run, whatever the tag means by then
                                // (docker-archive: the digest of its config)
  friend bool operator==(const ImageSpec&, const ImageSpec&) = default;
};

// Who a program in an image is: the job's own user by the same number (Self); the user that the
// image names, or root, standing for the job's user, with more ids beside it (Image, Root).
enum class ContainerUser { Self, Image, Root };
// The node's network, or none but a loopback of its own.
enum class ContainerNetwork { Host, None };

// How the image's container is started, where that is not as the image and the job say.
struct ContainerSpec {
  bool own_command = false;               // no command was given: the image's own runs
  std::optional<std::string> entrypoint;  // instead of the image's, whose default command then goes
                                          // too; empty: none
  std::vector<std::string> env;           // "NAME=value", named one by one: over all others
  std::string workdir;                    // where programs start; empty: the job's, or for the
                                          // image's own command the image's
  bool read_only = false;                 // nothing of the image can be written
  ContainerUser user = ContainerUser::Self;
  ContainerNetwork network = ContainerNetwork::Host;
  friend bool operator==(const ContainerSpec&, const ContainerSpec&) = default;
};

// A host directory or file made visible inside the sandbox, opened with the user's rights.
struct BindSpec {
  std::string source;
  std::string destination;
  bool read_only = false;
  friend bool operator==(const BindSpec&, const BindSpec&) = default;
};

// When a dependency counts as fulfilled, in Slurm's words.
// AfterCorr: element by element of two arrays.
enum class DependencyKind { After, AfterAny, AfterOk, AfterNotOk, Singleton, AfterCorr };
[[nodiscard]] std::string_view to_string(DependencyKind kind);

struct Dependency {
  DependencyKind kind = DependencyKind::AfterOk;
  JobId on;                                // unused for Singleton
  Duration delay;                          // After only: this long after the start
  std::uint32_t index = JobKey::kNoIndex;  // of an element of an array
  [[nodiscard]] JobKey key() const { return {on, index}; }
  friend bool operator==(const Dependency&, const Dependency&) = default;
};

// When its user is sent a mail: --mail-type.
struct MailSpec {
  bool begin = false;
  bool end = false;   // however
  bool fail = false;  // not as COMPLETED
  bool requeue = false;
  bool invalid_depend = false;
  bool per_element = false;  // of an array: for each element, not for the whole
  std::string user;          // an address; empty: the owner
  friend bool operator==(const MailSpec&, const MailSpec&) = default;
  [[nodiscard]] bool any() const { return begin || end || fail || requeue || invalid_depend; }
};

// Of a cluster that says nothing else.
inline constexpr Duration kDefaultKillGrace = seconds(30);

// Sent so long before the time limit: to the job script, or to what it has started.
struct WarningSignal {
  std::int32_t number = 0;
  Duration before;
  bool script_only = false;
  friend bool operator==(const WarningSignal&, const WarningSignal&) = default;
};

struct JobSpec {
  std::string name;
  JobKind kind = JobKind::Batch;
  QueueName queue;                         // empty: the default queue
  AccountName account;                     // empty: the user's default
  std::string qos;                         // empty: none
  std::int32_t nice = 0;                   // higher is later
  bool held = false;                       // --hold
  std::optional<Duration> time_limit;      // none: the queue's default, which may be "no limit"
  std::optional<Duration> kill_grace;      // between TERM and KILL; none: the cluster's, which the
                                           // scheduler fills in
  std::optional<WarningSignal> warning{};  // --signal
  bool report_usage = false;               // a line at the end of the output says what was used
  bool requeue = true;                     // run again after a lost node
  std::optional<Time> not_before;          // --begin
  std::optional<Time> deadline;            // --deadline: it has to have ended by then
  std::optional<ArraySpec> array;          // --array: many jobs in one
  std::int32_t retries = 0;                // run again so often if it fails
  Duration retry_backoff;                  // before the first of them; doubled each time

  std::vector<Component> components;  // at least one
  LaunchMode launch = LaunchMode::Batch;
  MpiMode mpi = MpiMode::None;

  std::string script;             // text of a job script; empty for a command
  std::vector<std::string> argv;  // the command, or the script's arguments
  std::vector<std::string> env;   // "NAME=value"
  std::string workdir;            // absolute
  StdioSpec stdio;
  std::uint32_t umask = 022;

  std::optional<ImageSpec> image;  // none: the host's file system
  ContainerSpec container;         // with an image only
  std::vector<BindSpec> binds;

  std::vector<Dependency> dependencies;  // all must hold, or, if any_dependency, one of them
  bool any_dependency = false;
  bool kill_on_invalid_dependency = false;
  std::string comment;
  MailSpec mail;

  friend bool operator==(const JobSpec&, const JobSpec&) = default;

  [[nodiscard]] std::int32_t total_nodes() const;
  [[nodiscard]] std::int32_t total_tasks() const;
};

// Who submitted it, as the kernel told the scheduler.
struct Owner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string user;  // name on the scheduler's host, or the uid in digits
  friend bool operator==(const Owner&, const Owner&) = default;
};

// Everything that can be checked without knowing the cluster: counts positive, tasks >= nodes, a
// script or a command but not an empty one, absolute paths, sizes within the stated bounds.
// Errors: Invalid, naming the option and the value.
[[nodiscard]] Result<void> validate(const JobSpec& spec);

// Bounds of one job.
inline constexpr std::size_t kMaxScriptBytes = 4 << 20;
inline constexpr std::size_t kMaxEnvBytes = 1 << 20;
inline constexpr std::size_t kMaxArgvBytes = 1 << 20;
inline constexpr std::int32_t kMaxNodesPerJob = 100'000;
inline constexpr std::int32_t kMaxTasksPerJob = 10'000'000;
inline constexpr std::size_t kMaxNameBytes = 255;  // of a job, a queue, an account, a node
inline constexpr std::size_t kMaxCommentBytes = 64 << 10;
inline constexpr std::size_t kMaxNamedResources = 64;
inline constexpr std::int64_t kMaxNamedAmount = 1'000'000'000;
inline constexpr std::int32_t kMaxCpusPerTask = 1'000'000;
inline constexpr Bytes kMaxMemoryPerNode =
    gibibytes(64 << 10);  // times kMaxNodesPerJob: no overflow
// Any time of a job and any amount of time (146 years): the sum of two does not overflow.
inline constexpr Duration kMaxDuration{(std::int64_t{1} << 62) - 1};
inline constexpr std::size_t kMaxBinds = 1000;
inline constexpr std::size_t kMaxChoicesOfJob = 64;  // of its constraints' [a|b], combined
inline constexpr std::size_t kMaxDependencies = 10'000;
inline constexpr std::int32_t kMaxRetries = 1000;
inline constexpr Duration kMaxRetryBackoff = hours(24);

}  // namespace gangway
