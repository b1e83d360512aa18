#include "queues/store/sqlite.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::store {

namespace {

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return ErrorKind::Exhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return ErrorKind::Corrupt;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return ErrorKind::Denied;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorKind::Unavailable;
    default:
      return ErrorKind::Internal;
  }
}

Error sqlite_error(sqlite3* handle, std::string_view what) {
  return {kind_of(sqlite3_extended_errcode(handle)),
          cat(what, ": ", std::string_view(sqlite3_errmsg(handle)))};
}

std::string first_words(std::string_view sql) {
  return std::string(sql.substr(0, sql.find_first_of("(=\n")));
}

// Without opening it. Words for what SQLite would only call "unable to open database file".
Result<void> check_rights(const std::string& path) {
  struct stat what {};
  if (::stat(path.c_str(), &what) != 0) return errno_error("open", errno);
  if (!S_ISREG(what.st_mode)) return Error(ErrorKind::Corrupt, "open: no regular file");
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) != 0) {
    return errno_error("open", errno);
  }
  return {};
}

// Written, not only allocated: the first write to a block that was only allocated changes the file
// system's tables too. All of it or, on a full disk, nothing.
Result<void> fill_with_zeros(const char* path, Bytes size) {
  const Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  struct stat now {};
  if (!file || ::fstat(file.get(), &now) != 0) return errno_error("open the log", errno);
  const std::vector<char> zeros(1 << 20);
  for (off_t at = now.st_size; at < size.value;) {
    const auto length =
        std::min<std::size_t>(zeros.size(), static_cast<std::size_t>(size.value - at));
    const ssize_t written = ::pwrite(file.get(), zeros.data(), length, at);
    if (written <= 0) {
      const int why = errno;
      [[maybe_unused]] const int cut = ::ftruncate(file.get(), now.st_size);
      return errno_error("reserve room for the log", why);
    }
    at += written;
  }
  if (::fdatasync(file.get()) != 0) return errno_error("reserve room for the log", errno);
  return {};
}

}  // namespace

Statement::Statement(sqlite3_stmt* prepared) : prepared_(prepared) {}

void Statement::Finalize::operator()(sqlite3_stmt* prepared) const { sqlite3_finalize(prepared); }

Statement& Statement::bind(int place, std::int64_t value) {
  CHECK(sqlite3_bind_int64(prepared_.get(), place, value) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_text(int place, std::string_view value) {
  CHECK(sqlite3_bind_text64(prepared_.get(), place, value.data() == nullptr ? "" : value.data(),
                            value.size(), SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_blob(int place, std::string_view value) {
  // A null pointer would bind NULL.
  CHECK(sqlite3_bind_blob64(prepared_.get(), place, value.data() == nullptr ? "" : value.data(),
                            value.size(), SQLITE_STATIC) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_null(int place) {
  CHECK(sqlite3_bind_null(prepared_.get(), place) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::step() {
  switch (sqlite3_step(prepared_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return sqlite_error(sqlite3_db_handle(prepared_.get()),
                          first_words(sqlite3_sql(prepared_.get())));
  }
}

Result<void> Statement::run() {
  const Query query(*this);
  GANGWAY_ASSIGN(const bool has_row, step());
  CHECK(!has_row);
  return {};
}

void Statement::reset() {
  if (prepared_ != nullptr) sqlite3_reset(prepared_.get());
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(prepared_.get(), column);
}

std::string_view Statement::text(int column) const {
  const void* bytes = sqlite3_column_text(prepared_.get(), column);
  return {static_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(prepared_.get(), column))};
}

std::string_view Statement::blob(int column) const {
  const void* bytes = sqlite3_column_blob(prepared_.get(), column);
  return {static_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(prepared_.get(), column))};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(prepared_.get(), column) == SQLITE_NULL;
}

void Connection::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Connection::Connection(sqlite3* handle)
    : log_pages_(std::make_unique<std::int64_t>(0)), handle_(handle) {}

Result<Connection> Connection::open(const std::string& path) {
  {
    // Made here, because SQLite's own mode is 0644; the log's files take the mode of this one. What
    // is there already must not be opened: with the closing of any descriptor of a file a process
    // gives up all its locks on it (fcntl(2)), those of its other connections too. Another process
    // would believe itself alone, and take the log away when it closes.
    const Fd made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made && errno != EEXIST) return errno_error("open", errno);
  }
  GANGWAY_TRY(check_rights(path));
  sqlite3* handle = nullptr;
  // No mutex of its own: a connection is used by one thread.
  const int opened =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Connection connection(handle);
  if (opened != SQLITE_OK) return sqlite_error(handle, "open");
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 5000);
  sqlite3_wal_hook(
      handle,
      [](void* pages, sqlite3*, const char*, int count) {
        *static_cast<std::int64_t*>(pages) = count;
        return SQLITE_OK;
      },
      connection.log_pages_.get());
  return connection;
}

Result<Statement> Connection::prepare(std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &prepared, nullptr) != SQLITE_OK) {
    return sqlite_error(handle_.get(), first_words(sql));
  }
  return Statement(prepared);
}

Result<void> Connection::execute(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return sqlite_error(handle_.get(), first_words(sql));
  }
  return {};
}

Result<std::int64_t> Connection::query_integer(std::string_view sql) {
  GANGWAY_ASSIGN(Statement statement, prepare(sql));
  GANGWAY_ASSIGN(const bool has_row, statement.step());
  if (!has_row) return Error(ErrorKind::Corrupt, cat(first_words(sql), ": no answer"));
  return statement.integer(0);
}

std::int64_t Connection::changes() const { return sqlite3_changes64(handle_.get()); }

Result<void> Connection::checkpoint() {
  if (sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr,
                                nullptr) != SQLITE_OK) {
    return sqlite_error(handle_.get(), "checkpoint");
  }
  *log_pages_ = 0;  // the next commit tells how much a reader has held back
  return {};
}

Result<void> Connection::reserve_log(Bytes size) {
  int keep = 1;
  sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
  // Under the lock of writers: nobody adds to the log meanwhile.
  GANGWAY_TRY(execute("BEGIN IMMEDIATE"));
  const Result<void> made =
      fill_with_zeros(sqlite3_filename_wal(sqlite3_db_filename(handle_.get(), "main")), size);
  GANGWAY_TRY(execute("ROLLBACK"));
  return made;
}

}  // namespace gangway::store
