// jctl: what operators do.
#include "queues/base/text.hpp"
#include "queues/config/config.hpp"
#include "queues/model/idset.hpp"
#include "submit/console.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"drain", 0, Takes::Nothing, "", "no new jobs on the node"},
    {"resume", 0, Takes::Nothing, "", "new jobs again"},
    {"confirm-down", 0, Takes::Nothing, "", "nothing runs there any more"},
    {"reason", 'r', Takes::Value, "TEXT", "why, for jnodes"},
};

constexpr Verb kVerb{
    "jctl",
    R"(usage: jctl node NODES --drain --reason TEXT   no new jobs there; running ones go on
       jctl node NODES --resume                new jobs again
       jctl node NODES --confirm-down          nothing of these silent nodes runs any more
       jctl ping                               does the scheduler answer
       jctl check FILE                         all errors of a configuration file, with their lines

--confirm-down is an operator's word: the jobs that wait for a silent node end or run again at once.
Give it only when the machine is off, or its jobs would run twice.

  -r, --reason TEXT  why; shown by jnodes
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jctl node n03 --drain --reason "bad fan"
  jctl node n[01-04] --resume
  jctl check /etc/gangway/gangway.yaml
)",
    kOptions};

int run_node(const Invocation& invocation) {
  const std::vector<std::string>& words = invocation.operands();
  if (words.size() < 2) invocation.fail_usage("which nodes? for example: jctl node n03 --resume");
  const int asked = static_cast<int>(invocation.has("drain")) +
                    static_cast<int>(invocation.has("resume")) +
                    static_cast<int>(invocation.has("confirm-down"));
  if (asked != 1) invocation.fail_usage("give one of --drain, --resume and --confirm-down");
  const std::string_view reason = invocation.text("reason");
  if (invocation.has("drain") && reason.empty()) {
    invocation.fail_usage("--drain needs --reason: the next operator will ask");
  }
  Client client = invocation.client();
  int code = kExitOk;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const Result<std::vector<NodeName>> names = parse_host_list(words[i]);
    if (!names) invocation.fail_usage(cat("\"", words[i], "\": ", names.error().message()));
    for (const NodeName& name : *names) {
      wire::Request request;
      wire::NodeCommand& command = *request.mutable_node_command();
      command.set_verb(invocation.has("drain")    ? wire::NodeCommand::DRAIN
                       : invocation.has("resume") ? wire::NodeCommand::RESUME
                                                  : wire::NodeCommand::CONFIRM_DOWN);
      command.set_name(name.value);
      command.set_reason(std::string(reason));
      const Result<wire::Response> response = client.call(request);
      if (!response) {
        const int failed = complain(
            kVerb.program, Error(response.error().kind(),
                                 about(cat("node ", name.value), response.error().message())));
        if (code == kExitOk) code = failed;
        if (response.error().kind() == ErrorKind::Unavailable) return code;
      }
    }
  }
  return code;
}

int run_ping(const Invocation& invocation) {
  wire::Request request;
  request.mutable_ping();
  Client client = invocation.client();
  const Result<wire::Response> response = client.call(request);
  if (!response) invocation.fail(response.error());
  const wire::Pong& pong = response->pong();
  finish(kExitOk, cat("jschedd ", pong.version(), " of cluster ", pong.cluster(), " answers at ",
                      client.socket(), ": ", pong.nodes_reached(), " of ", pong.nodes(),
                      " nodes reached\n"));
}

int run_check(const Invocation& invocation) {
  const std::vector<std::string>& words = invocation.operands();
  if (words.size() > 2) invocation.fail_usage("one file at a time: jctl check FILE");
  const std::string path = words.size() == 2 ? words[1] : std::string(config::kDefaultConfigPath);
  const Result<std::string> text = read_file(path, config::kMaxConfigBytes);
  if (!text) invocation.fail(text.error());
  const config::ParsedConfig parsed = config::parse_config(*text);
  for (const config::ConfigError& error : parsed.errors) {
    complain(kVerb.program, cat(prefix_of({.file = path, .line = error.line}), error.message));
  }
  if (!parsed.errors.empty()) return kExitConfiguration;
  finish(kExitOk, cat(path, " is right\n"));
}

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  const std::string what = invocation.operands().empty() ? "" : invocation.operands().front();
  if (what == "node") return run_node(invocation);
  if (what == "ping") return run_ping(invocation);
  if (what == "check") return run_check(invocation);
  if (what.empty()) invocation.fail_usage("what? node, ping or check; --help shows examples");
  const std::string near = nearest(what, {"node", "ping", "check"});
  invocation.fail_usage(cat("unknown command \"", what, "\"",
                            near.empty() ? std::string("; there are node, ping and check")
                                         : cat("; did you mean ", near, "?")));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
