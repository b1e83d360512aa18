// What a running HAProxy has, and what has to be said to it so that it has what is wanted.
//
// Servers come and go by the runtime interface, without a new process; another listener, rule or
// pool needs the file to be read again. A server that goes is first taken out of the balancing, and
// deleted when nothing goes through it any more.
//
// Pure. Source: HAProxy's management guide, version 2.6, "Unix Socket commands".
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scheduler/balancer/routes.hpp"

namespace gangway::balancer {

struct Change {
  bool reload = false;                // else the commands do it, in this order
  std::vector<std::string> commands;  // each is answered before the next is sent
};

class LiveTable {
 public:
  // As a HAProxy that has just read the table's file.
  explicit LiveTable(const Table& table) : has_(table) {}

  // What leads to `wanted`.
  [[nodiscard]] Change plan(const Table& wanted) const;
  // All commands of plan(wanted) were obeyed.
  void obeyed(const Table& wanted);

  // Servers that are out and wait to be deleted: "pool/server".
  [[nodiscard]] const std::set<std::string>& leaving() const { return leaving_; }
  void deleted(const std::string& server) { leaving_.erase(server); }

 private:
  Table has_;
  std::set<std::string> leaving_;
};

// What HAProxy answers a command that it has obeyed: nothing, or one of its sentences of success.
[[nodiscard]] bool is_success(std::string_view command, std::string_view answer);

}  // namespace gangway::balancer
