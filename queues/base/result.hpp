// Expected failures as values: Result<T> is a T or an Error.
//
// The member names are those of std::expected (C++23), so that a later switch is an alias. An Error
// names a kind, chosen by what the caller can do about it, a message, and the clauses of context
// that each floor on the way up put in front: "start job 42: unpack layer sha256:ab12: disk full".
//
// Pure. Values are freely copied between threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "queues/base/check.hpp"

namespace gangway {

// What a caller can do about a failure.
enum class ErrorKind {
  Invalid,      // fix the request
  NotFound,     // name something that exists
  Denied,       // ask somebody who may
  Conflict,     // read again, then decide
  Unavailable,  // try again, the other side is away
  Exhausted,    // try again later, a bound is reached
  Unsupported,  // take another way, this one does not exist here
  Corrupt,      // stored or received bytes are wrong
  Internal,     // our mistake
};

[[nodiscard]] std::string_view to_string(ErrorKind kind);

class [[nodiscard]] Error {
 public:
  // `message`: lower case, no full stop, what was tried on what.
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  [[nodiscard]] ErrorKind kind() const { return kind_; }
  // The whole line, contexts first.
  [[nodiscard]] const std::string& message() const { return message_; }
  // The same error with one more clause in front: "clause: message".
  [[nodiscard]] Error with_context(std::string_view clause) const&;

  friend bool operator==(const Error&, const Error&) = default;

 private:
  ErrorKind kind_;
  std::string message_;
};

// An Error whose message ends in the text of `errno_value`, its kind chosen from it (EACCES and
// EPERM are Denied, ENOENT is NotFound, ENOSPC and EMFILE are Exhausted, …).
[[nodiscard]] Error errno_error(std::string what, int errno_value);

// Value of Result<void>.
struct Unit {
  friend bool operator==(const Unit&, const Unit&) = default;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Requires: has_value().
  [[nodiscard]] const T& value() const& {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T& value() & {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& value() && {
    CHECK(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }
  [[nodiscard]] T* operator->() { return &value(); }

  // Requires: !has_value().
  [[nodiscard]] const Error& error() const {
    CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] T value_or(T fallback) const& { return has_value() ? value() : fallback; }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  [[nodiscard]] bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  [[nodiscard]] const Error& error() const {
    CHECK(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

// Returns the error of `expr` from the calling function, with `clause` in front of it.
#define GANGWAY_TRY_CONTEXT(expr, clause)               \
  do {                                                  \
    if (auto gangway_try_ = (expr); !gangway_try_) {    \
      return gangway_try_.error().with_context(clause); \
    }                                                   \
  } while (false)

// Returns the error of `expr` from the calling function.
#define GANGWAY_TRY(expr)                                                       \
  do {                                                                          \
    if (auto gangway_try_ = (expr); !gangway_try_) return gangway_try_.error(); \
  } while (false)

#define GANGWAY_CONCAT_INNER(a, b) a##b
#define GANGWAY_CONCAT(a, b) GANGWAY_CONCAT_INNER(a, b)
// GANGWAY_ASSIGN(auto x, f()): declares x, or returns f()'s error. NOLINTBEGIN(*-macro-parentheses)
#define GANGWAY_ASSIGN(declaration, expr) \
  GANGWAY_ASSIGN_IMPL(declaration, expr, GANGWAY_CONCAT(gangway_result_, __LINE__))
#define GANGWAY_ASSIGN_IMPL(declaration, expr, name) \
  auto name = (expr);                                \
  if (!name) return name.error();                    \
  declaration = *std::move(name)  // NOLINTEND(*-macro-parentheses): names, not expressions

}  // namespace gangway
