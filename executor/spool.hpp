// The spool: what an executor keeps on disk of its attempts, so that it, its shepherds and the
// reports of their ends survive each other.
//
//   <spool>/lock               held by the one jexecd that works here
//   <spool>/highest_epoch      the newest scheduler that has been seen, in decimal
//   <spool>/agent.sock         where shepherds connect
//   <spool>/jobs/42.1/         0700, one for each attempt:
//     order                    AttemptRecord: ShepherdStart and the boot id; by the agent
//     shepherd                 AttemptRecord: pid, start time, boot id; by the shepherd, first of
//     all finished                 StepFinished; by the shepherd, last of all sandbox/ the
//     container runtime's
//
// Files appear whole, by rename. Only `highest_epoch` and, unless it is released soon, `finished`
// are synced to the disk: the others describe processes, and no process survives a crash of the
// machine. An attempt that is forgotten is renamed to gone-42.1 and removed later.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "executor/agent.hpp"
#include "executor/ports.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

// The directory of one attempt.
class AttemptDirectory final : public SpoolRecords {
 public:
  explicit AttemptDirectory(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string sandbox() const { return path_ + "/sandbox"; }

  // Makes the directory anew, with the order in it and an empty sandbox directory.
  [[nodiscard]] Result<void> create(const wire::AttemptRecord& order) const;
  [[nodiscard]] Result<wire::AttemptRecord> read_order() const;
  [[nodiscard]] Result<void> write_shepherd(const wire::AttemptRecord& record) const;
  [[nodiscard]] Result<wire::AttemptRecord> read_shepherd() const;  // NotFound: not started yet
  Result<void> write_finished(const wire::StepFinished& record) override;
  Result<void> sync_finished() override;
  [[nodiscard]] Result<wire::StepFinished> read_finished() const;  // NotFound: not over yet
  // Does not follow links. Nothing there: fine.
  [[nodiscard]] Result<void> remove() const;

 private:
  std::string path_;
};

class Spool {
 public:
  // Makes what is missing. Errors: Conflict (another jexecd works here), Denied, of the disk.
  [[nodiscard]] static Result<Spool> open(const std::string& root);

  [[nodiscard]] const std::string& root() const { return root_; }
  [[nodiscard]] std::string agent_socket() const { return root_ + "/agent.sock"; }
  [[nodiscard]] AttemptDirectory attempt(const AttemptKey& key) const;
  [[nodiscard]] std::vector<AttemptKey> list_attempts() const;  // sorted
  // The attempt is no more; what is left to remove, in its own time, is the path returned (empty:
  // it was not there). Errors: of the disk.
  [[nodiscard]] Result<std::string> forget(const AttemptKey& key) const;
  // Forgotten in an earlier life and not removed then.
  [[nodiscard]] std::vector<std::string> list_forgotten() const;
  [[nodiscard]] Result<std::uint64_t> read_epoch() const;  // 0: none seen yet
  [[nodiscard]] Result<void> write_epoch(std::uint64_t epoch) const;

 private:
  Spool(std::string root, Fd lock) : root_(std::move(root)), lock_(std::move(lock)) {}
  std::string root_;
  Fd lock_;
};

// With everything in it; does not follow links. Nothing there: fine. May take long: disks that are
// told of every freed block take milliseconds for each file.
[[nodiscard]] Result<void> remove_directory(const std::string& path);
}  // namespace gangway::executor
