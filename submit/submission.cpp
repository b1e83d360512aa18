#include "submit/submission.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <set>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {

std::string make_key() {
  unsigned char bytes[16];
  // Not digest.hpp's random_bytes(): that would pull a cryptographic library into a small program.
  CHECK(::getrandom(bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes));
  return to_hex({reinterpret_cast<const char*>(bytes), sizeof bytes});
}

Result<void> retry_while_unavailable(std::string_view program,
                                     Duration window,
                                     bool quiet,
                                     const std::function<Result<void>()>& attempt,
                                     const std::function<bool()>& is_over) {
  const BootTime until = SystemClock().now().boot + window;
  Duration pause = milliseconds(50);
  bool said = false;
  for (;;) {
    Result<void> done = attempt();
    if (done || done.error().kind() != ErrorKind::Unavailable) return done;
    const Duration left = until - SystemClock().now().boot;
    if (left <= Duration{} && window > Duration{}) {
      return Error(ErrorKind::Unavailable,
                   cat(done.error().message(), "; tried for ", render_duration(window)));
    }
    if (left <= Duration{}) return done;
    // Somebody who looks on wants to know why nothing happens; a log wants one line, the outcome.
    if (!said && !quiet && ::isatty(STDERR_FILENO) != 0) {
      complain(program,
               cat(done.error().message(), "; trying again for ", render_duration(window)));
    }
    said = true;
    const Duration nap = std::min(pause, left);
    timespec rest{.tv_sec = nap.ns / 1'000'000'000, .tv_nsec = nap.ns % 1'000'000'000};
    while (::nanosleep(&rest, &rest) != 0 && errno == EINTR) {
      if (is_over && is_over()) return done;
    }
    if (is_over && is_over()) return done;
    pause = std::min(pause * 2, seconds(2));
  }
}

Result<void> check_cluster(Client& client, const std::vector<std::string>& clusters) {
  wire::Request request;
  request.mutable_ping();
  GANGWAY_ASSIGN(const wire::Response response, client.call(request));
  const std::string& ours = response.pong().cluster();
  for (const std::string& name : clusters) {
    if (name == ours || name == "all") return {};
  }
  return Error(
      ErrorKind::Invalid,
      cat("option --clusters: there is no way to ", join(clusters, ","),
          " from here; this scheduler's cluster is ", ours.empty() ? "without a name" : ours));
}

Result<std::vector<Resources>> capacities_of_nodes(Client& client) {
  wire::Request request;
  request.mutable_list_nodes();
  std::vector<Resources> nodes;
  GANGWAY_TRY(client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
    for (const wire::NodeView& view : response.nodes().nodes()) {
      if (Result<Resources> capacity = wire::from_wire(view.state().capacity())) {
        nodes.push_back(*std::move(capacity));
      }
    }
  }));
  return nodes;
}

Result<wire::Submitted> submit(Client& client,
                               std::string_view program,
                               std::span<const wire::Request> parts,
                               Duration retry,
                               bool quiet,
                               const std::function<bool()>& is_over) {
  wire::Submitted submitted;
  const auto attempt = [&]() -> Result<void> {
    return client.exchange(parts, kReplyDeadline, [&](wire::Response&& response) {
      if (response.has_submitted()) submitted = std::move(*response.mutable_submitted());
    });
  };
  GANGWAY_TRY(retry_while_unavailable(program, retry, quiet, attempt, is_over));
  return submitted;
}

Result<wire::Waited> wait_for(Client& client,
                              std::string_view program,
                              const wire::WaitFor& what,
                              Duration retry,
                              bool quiet) {
  wire::Request request;
  *request.mutable_wait_for() = what;
  wire::Waited waited;
  // A connection that held for a while and then broke begins a new window.
  for (;;) {
    bool connected = false;
    const Result<void> done = retry_while_unavailable(program, retry, quiet, [&]() -> Result<void> {
      wire::Request ping;
      ping.mutable_ping();
      Result<wire::Response> alive = client.call(ping);
      if (!alive) return alive.error();
      connected = true;
      waited.Clear();
      return client.exchange({&request, 1}, kNoDeadline, [&](wire::Response&& response) {
        if (response.has_waited()) waited.MergeFrom(response.waited());
      });
    });
    if (done) return waited;
    if (done.error().kind() != ErrorKind::Unavailable || !connected || retry == Duration{}) {
      return done.error();
    }
  }
}

int report_ends(std::string_view program,
                const wire::WaitFor& what,
                const wire::Waited& waited,
                bool quiet) {
  std::set<JobKey> named;
  for (const wire::JobKey& key : what.keys()) named.insert(wire::from_wire(key));
  int code = kExitOk;
  for (const wire::Waited::One& one : waited.results()) {
    const std::string id = to_string(wire::from_wire(one.key()));
    if (one.has_error()) {
      const Error error = wire::from_wire(one.error());
      complain(program, about(cat("job ", id), error.message()));
      if (code == kExitOk) code = exit_code_of(error.kind());
      continue;
    }
    const Result<Outcome> outcome = wire::from_wire(one.outcome());
    if (!outcome) {
      complain(program, cat("job ", id, ": ", outcome.error().message()));
      if (code == kExitOk) code = kExitInternal;
      continue;
    }
    const bool skipped = outcome->kind == OutcomeKind::Cancelled &&
                         outcome->detail.starts_with(kSkippedPrefix) &&
                         !named.contains(wire::from_wire(one.key()));
    if (code == kExitOk && !skipped) code = outcome->shell_code();
    // Our own exit code tells a program's exit code; but of several jobs, whose is it?
    const bool is_told = outcome->kind == OutcomeKind::Completed ||
                         (outcome->kind == OutcomeKind::Failed && outcome->detail.empty() &&
                          waited.results_size() == 1);
    if (quiet || is_told) continue;
    std::string how(to_string(outcome->kind));
    if (outcome->kind == OutcomeKind::Failed) how += cat(" with exit code ", outcome->exit_code);
    if (outcome->kind == OutcomeKind::Signaled) how += cat(" by signal ", outcome->signal);
    if (!outcome->detail.empty()) how += cat(", ", outcome->detail);
    complain(program,
             cat("job ", id, one.member().empty() ? "" : cat(" (", one.member(), ")"), ": ", how));
  }
  return code;
}

}  // namespace gangway::submit
