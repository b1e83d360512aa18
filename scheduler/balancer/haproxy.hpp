// Haproxy: the HAProxy of this cluster, as files, processes and a socket in one directory.
//
//   <directory>/haproxy.cfg    what it has read, or reads next; written whole, never half
//              /haproxy.sock   its master's socket, for us alone
//              /haproxy.pid   its master, with the time it began
//              /idle.sock      where it listens if there is nothing to serve
//
// It runs in a session of its own and outlives us: whoever comes next on the same directory finds
// it by its socket. Conversations block, for at most two seconds each: HAProxy answers from memory,
// and nothing else is to be done here.
//
// Errors: those of the system, with the path; NotFound (there is none that listens); Unavailable
// (it does not answer in time); Invalid (HAProxy does not take the configuration, with its words).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "queues/base/result.hpp"
#include "scheduler/balancer/haproxy_answers.hpp"

namespace gangway::balancer {

class Haproxy {
 public:
  // `program`: a path. Requires: the directory is there, and ours alone.
  Haproxy(std::string program, std::string directory)
      : program_(std::move(program)), directory_(std::move(directory)) {}

  [[nodiscard]] std::string config_file() const { return directory_ + "/haproxy.cfg"; }
  [[nodiscard]] std::string pid_file() const { return directory_ + "/haproxy.pid"; }
  [[nodiscard]] std::string socket() const { return directory_ + "/haproxy.sock"; }
  [[nodiscard]] std::string idle_socket() const { return directory_ + "/idle.sock"; }

  [[nodiscard]] Result<void> check_config(std::string_view text);
  // Takes the place of the file once HAProxy itself has found it good.
  [[nodiscard]] Result<void> write_config(std::string_view text);
  // A child, which reads the file.
  [[nodiscard]] Result<pid_t> start();
  // Kills the one that start() made last on this directory, ours or not, with its workers.
  void end_master();
  // Reads the file again: a new worker takes the listening sockets over, the old one finishes what
  // it has. Returns before that is done: processes() then names another worker.
  [[nodiscard]] Result<void> reload();
  [[nodiscard]] Result<Processes> processes();
  [[nodiscard]] Result<std::string> tell(pid_t worker, std::string_view command);
  // Whether HAProxy can serve TLS with the file: a certificate and its key. Remembered until the
  // file changes.
  [[nodiscard]] bool is_certificate(const std::string& file);

 private:
  Result<void> check(const std::string& file);
  Result<std::string> converse(std::string_view command);
  struct Certificate {
    std::int64_t changed_ns = 0;
    std::int64_t bytes = 0;
    bool good = false;
  };
  std::string program_;
  std::string directory_;
  std::map<std::string, Certificate> certificates_;
};

}  // namespace gangway::balancer
