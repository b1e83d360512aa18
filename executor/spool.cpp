#include "executor/spool.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

namespace {

constexpr std::string_view kGone = "gone-";
constexpr std::size_t kMaxRecordBytes = 64 << 20;  // an order holds a whole job spec

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno != EEXIST) return errno_error(cat("make directory ", path), errno);
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return errno_error(cat("look at ", path), errno);
  if (!S_ISDIR(found.st_mode)) {
    return Error(ErrorKind::Conflict, cat(path, " is not a directory"));
  }
  if (found.st_uid != ::geteuid()) {
    return Error(ErrorKind::Denied, cat(path, " belongs to uid ", found.st_uid));
  }
  return {};
}

template <typename Message>
Result<Message> read_message(const std::string& path) {
  GANGWAY_ASSIGN(const std::string bytes, read_small_file(path, kMaxRecordBytes));
  Message message;
  if (!message.ParseFromString(bytes)) {
    return Error(ErrorKind::Corrupt, cat(path, " is not a record of ours"));
  }
  return message;
}

}  // namespace

// ---- one attempt -------------------------------------------------------------------------------

Result<void> remove_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return errno_error(cat("remove ", path), error.value());
  return {};
}

Result<void> AttemptDirectory::create(const wire::AttemptRecord& order) const {
  GANGWAY_TRY(remove());  // of an earlier try to begin the same attempt
  if (::mkdir(path_.c_str(), 0700) != 0) return errno_error(cat("make directory ", path_), errno);
  if (::mkdir(sandbox().c_str(), 0700) != 0) {
    return errno_error(cat("make directory ", sandbox()), errno);
  }
  return replace_file(path_ + "/order", order.SerializeAsString(), 0600, Durability::UntilReboot);
}

Result<wire::AttemptRecord> AttemptDirectory::read_order() const {
  return read_message<wire::AttemptRecord>(path_ + "/order");
}

Result<void> AttemptDirectory::write_shepherd(const wire::AttemptRecord& record) const {
  return replace_file(path_ + "/shepherd", record.SerializeAsString(), 0600,
                      Durability::UntilReboot);
}

Result<wire::AttemptRecord> AttemptDirectory::read_shepherd() const {
  return read_message<wire::AttemptRecord>(path_ + "/shepherd");
}

Result<void> AttemptDirectory::write_finished(const wire::StepFinished& record) {
  return replace_file(path_ + "/finished", record.SerializeAsString(), 0600,
                      Durability::UntilReboot);
}

Result<void> AttemptDirectory::sync_finished() { return sync_file(path_ + "/finished"); }

Result<wire::StepFinished> AttemptDirectory::read_finished() const {
  return read_message<wire::StepFinished>(path_ + "/finished");
}

Result<void> AttemptDirectory::remove() const { return remove_directory(path_); }

// ---- the whole ---------------------------------------------------------------------------------

Result<Spool> Spool::open(const std::string& root) {
  // Parents are made by whoever installs us; the spool itself may be new.
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(root).parent_path(), error);
  if (error) return errno_error(cat("make the directory above ", root), error.value());
  GANGWAY_TRY(make_directory(root, 0711));
  GANGWAY_TRY(make_directory(root + "/jobs", 0700));
  const std::string path = root + "/lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock) return errno_error(cat("open ", path), errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return Error(ErrorKind::Conflict, cat("another jexecd works in ", root));
    }
    return errno_error(cat("lock ", path), errno);
  }
  return Spool(root, std::move(lock));
}

AttemptDirectory Spool::attempt(const AttemptKey& key) const {
  return AttemptDirectory(cat(root_, "/jobs/", to_string(key)));
}

std::vector<AttemptKey> Spool::list_attempts() const {
  std::vector<AttemptKey> keys;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root_ + "/jobs", error)) {
    if (const auto key = parse_attempt_key(entry.path().filename().string())) {
      keys.push_back(*key);
    }
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

Result<std::string> Spool::forget(const AttemptKey& key) const {
  const std::string path = attempt(key).path();
  std::string gone = cat(root_, "/jobs/", kGone, to_string(key));
  if (::rename(path.c_str(), gone.c_str()) == 0) return gone;
  if (errno == ENOENT) return std::string();
  return errno_error(cat("rename ", path), errno);
}

std::vector<std::string> Spool::list_forgotten() const {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root_ + "/jobs", error)) {
    if (entry.path().filename().string().starts_with(kGone)) paths.push_back(entry.path().string());
  }
  return paths;
}

Result<std::uint64_t> Spool::read_epoch() const {
  const std::string path = root_ + "/highest_epoch";
  const Result<std::string> text = read_small_file(path, 64);
  if (!text) {
    if (text.error().kind() == ErrorKind::NotFound) return std::uint64_t{0};
    return text.error();
  }
  const auto epoch = parse_integer<std::uint64_t>(trim(*text));
  if (!epoch) return Error(ErrorKind::Corrupt, cat(path, " is not a number"));
  return *epoch;
}

Result<void> Spool::write_epoch(std::uint64_t epoch) const {
  return replace_file(root_ + "/highest_epoch", cat(epoch, "\n"), 0600, Durability::OnDisk);
}

}  // namespace gangway::executor
