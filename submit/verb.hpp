// What the small programs have in common: their options, --help, --version, --socket, and the ids
// that they are given.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/model/array.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/client.hpp"
#include "submit/options.hpp"

namespace gangway::submit {

struct Verb {
  std::string_view program;
  std::string_view help;
  std::span<const OptionName> options;  // its own; the common ones are added
};

// A program's command line after the common options.
class Invocation {
 public:
  // Ends the process on --help, --version and usage errors.
  Invocation(const Verb& verb, int argc, char** argv);

  [[nodiscard]] std::string_view program() const { return verb_.program; }
  [[nodiscard]] const std::vector<std::string>& operands() const { return parsed_.operands; }
  [[nodiscard]] const std::vector<GivenOption>& options() const { return parsed_.options; }
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  // The last one of that name; nullptr if there is none.
  [[nodiscard]] const GivenOption* find(std::string_view name) const;
  // Its value, or "".
  [[nodiscard]] std::string_view text(std::string_view name) const;
  [[nodiscard]] Client client() const;

  // One line on stderr, then the end.
  [[noreturn]] void fail(const Error& error) const;
  [[noreturn]] void fail_usage(std::string_view message) const;

 private:
  Verb verb_;
  std::vector<OptionName> names_;
  ParsedOptions parsed_;
};

// Some elements of an array, each alone: 42_7 is a job, 42_[7-9] are these.
struct ElementsOf {
  JobId job;
  IndexList indexes;
};

struct Targets {
  std::vector<JobKey> jobs;
  std::vector<WorkflowId> workflows;
  std::vector<ElementsOf> elements{};
  [[nodiscard]] bool empty() const { return jobs.empty() && workflows.empty() && elements.empty(); }
};
// Puts them into a request that has all three lists: Act, WaitFor.
template <typename Request>
void put_targets(const Targets& targets, Request& request);

// "42", "42_7", "42_[1,3-5]", "w7", also joined by commas. Errors: Invalid, naming the word.
[[nodiscard]] Result<Targets> parse_targets(std::span<const std::string> words);

// "<subject>: <message>", or the message alone if it names the subject itself.
[[nodiscard]] std::string about(std::string_view subject, std::string_view message);

// How the jobs were found: named by somebody, or all that some filter let through. Those may end at
// any time, and one that has ended in between is no failure.
enum class Chosen { ByName, ByFilter };

// Sends `act` and reports each refusal on its own line; the exit code is that of the first.
[[nodiscard]] int act_on(const Invocation& invocation,
                         const wire::Act& act,
                         bool quiet,
                         Chosen chosen = Chosen::ByName);
// The same with a request that is answered by Acted.
[[nodiscard]] int send_act(const Invocation& invocation,
                           const wire::Request& request,
                           bool quiet,
                           Chosen chosen = Chosen::ByName);

// The whole of the programs that do one thing to the named jobs: jhold, jrelease, jrequeue.
[[nodiscard]] int run_simple_act(const Verb& verb, wire::Act::Verb what, int argc, char** argv);

}  // namespace gangway::submit
