// Small owners around the C interface of SQLite; its header is included by the .cpp alone.
//
// A Connection and its Statements belong to one thread at a time. Errors: Exhausted (disk full),
// Corrupt, Denied, Unavailable (locked by another process for too long), Internal; the message ends
// in SQLite's own words.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "queues/base/result.hpp"
#include "queues/base/units.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace gangway::store {

// A prepared statement. Bound texts and blobs must live until it has been stepped to its end.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* prepared);

  // Places are numbered from 1, as in SQL.
  Statement& bind(int place, std::int64_t value);
  Statement& bind_text(int place, std::string_view value);
  Statement& bind_blob(int place, std::string_view value);
  Statement& bind_null(int place);

  // True: there is a row to be read.
  [[nodiscard]] Result<bool> step();
  // Steps a statement without rows to its end and resets it.
  [[nodiscard]] Result<void> run();
  // Ends a query: until then it pins its view of the store.
  void reset();

  // Of the row, from 0. Views are good until the next step.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::string_view blob(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* prepared) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> prepared_;
};

// Resets its statement at the end of the scope, however that is left.
class Query {
 public:
  explicit Query(Statement& statement) : statement_(statement) {}
  ~Query() { statement_.reset(); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  Statement* operator->() { return &statement_; }
  Statement& operator*() { return statement_; }

 private:
  Statement& statement_;
};

class Connection {
 public:
  // Opens or makes the file, which is given mode 0600.
  [[nodiscard]] static Result<Connection> open(const std::string& path);

  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  // Any number of statements without parameters.
  [[nodiscard]] Result<void> execute(const std::string& sql);
  // The first value of the first row.
  [[nodiscard]] Result<std::int64_t> query_integer(std::string_view sql);
  // Rows changed by the last statement.
  [[nodiscard]] std::int64_t changes() const;
  // In the write-ahead log after the last commit of this connection.
  [[nodiscard]] std::int64_t log_pages() const { return *log_pages_; }
  // Moves what it can of the write-ahead log into the store without waiting for readers.
  [[nodiscard]] Result<void> checkpoint();
  // Makes the write-ahead log at least this large and keeps it so, also after the last connection
  // is closed: to overwrite what a file has is several times faster to make durable than to let it
  // grow, which changes the file system's own tables as well.
  [[nodiscard]] Result<void> reserve_log(Bytes size);

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  explicit Connection(sqlite3* handle);

  std::unique_ptr<std::int64_t> log_pages_;  // at a fixed address: SQLite's hook writes it
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace gangway::store
