// jctl: what operators do.
#include <algorithm>
#include <span>

#include "queues/base/text.hpp"
#include "queues/config/config.hpp"
#include "queues/model/account.hpp"
#include "queues/model/idset.hpp"
#include "queues/wire/convert.hpp"
#include "submit/account_tree.hpp"
#include "submit/console.hpp"
#include "submit/job_list.hpp"
#include "submit/job_values.hpp"
#include "submit/service_view.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"drain", 0, Takes::Nothing, "", "no new jobs on the node"},
    {"resume", 0, Takes::Nothing, "", "new jobs again"},
    {"confirm-down", 0, Takes::Nothing, "", "nothing runs there any more"},
    {"reason", 'r', Takes::Value, "TEXT", "why, for jnodes"},
    {"user", 0, Takes::Value, "NAMES", "these users of the account; whose services"},
    {"json", 0, Takes::Nothing, "", "services as JSON"},
    {"parent", 0, Takes::Value, "ACCOUNT", "the account above it"},
    {"shares", 0, Takes::Value, "N", "its part, among its siblings"},
};

constexpr Verb kVerb{
    "jctl",
    R"(usage: jctl node NODES --drain --reason TEXT   no new jobs there; running ones go on
       jctl node NODES --resume                new jobs again
       jctl node NODES --confirm-down          nothing of these silent nodes runs any more
       jctl accounts [list]                    the tree of accounts, its users and their shares
       jctl accounts add ACCOUNT               an account; --parent ACCOUNT, --shares N
       jctl accounts add ACCOUNT --user NAMES  users in it; --shares N
       jctl accounts set ACCOUNT               other shares, another parent; of users with --user
       jctl accounts remove ACCOUNT            it and its users, or some of them with --user
       jctl service [list] [NAMES]             services, and how many of their replicas are ready
       jctl service show NAME                  its replicas, endpoints and revisions
       jctl service scale NAME N               so many replicas
       jctl service rollback NAME [REVISION]   the revision before, or that one
       jctl service delete NAME                its replicas end, and it is gone
       jctl suspend IDS                        jobs stand still on all their nodes, and keep them
       jctl resume IDS                         they go on
       jctl ping                               does the scheduler answer
       jctl check FILE                         all errors of a configuration file, with their lines

--confirm-down is an operator's word: the jobs that wait for a silent node end or run again at once.
Give it only when the machine is off, or its jobs would run twice.

Shares count among siblings: 50 of 100 are as much as 1 of 2. Without --shares it is 1, without
--parent the account stands at the top. Users that stand in no account are users of the account root.
What has jobs that wait or run is not removed. jhist shares shows what has been used.

Services are their owner's, and those of others (--user) an operator's. jsubmit makes and updates
them.

A suspended job has its processes stopped and holds its cores and memory; neither its time limit nor
its user's share is charged for that time. In a queue with time slices it goes on with its next slice.

  -r, --reason TEXT  why; shown by jnodes
      --user NAMES   these users of an account; whose services
      --json         services as JSON
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jctl node n03 --drain --reason "bad fan"
  jctl node n[01-04] --resume
  jctl accounts add physics --shares 50
  jctl accounts add physics --user ann,bob --shares 10
  jctl suspend 42
  jctl service scale web 5
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

int list_accounts(const Invocation& invocation) {
  Client client = invocation.client();
  const auto rows = list_shares(client);
  if (!rows) invocation.fail(rows.error());
  Table table({{"ACCOUNT"}, {"USER"}, {"SHARES", Align::Right}});
  for (const wire::ShareView& row : *rows) {
    if (row.depth() == 0) continue;
    const auto indent = static_cast<std::size_t>(std::clamp(row.depth() - 1, 0, 100));
    table.add({{cat(std::string(indent, ' '), row.account())}, {row.user()}, {cat(row.shares())}});
  }
  finish(kExitOk, table.render({.columns = terminal_columns()}));
}

int run_accounts(const Invocation& invocation) {
  const std::vector<std::string>& words = invocation.operands();
  const std::string verb = words.size() < 2 ? "list" : words[1];
  if (verb == "list") {
    if (words.size() > 2) invocation.fail_usage("jctl accounts list takes no account");
    return list_accounts(invocation);
  }
  wire::Request request;
  wire::AccountCommand& command = *request.mutable_account_command();
  if (verb == "add") {
    command.set_verb(wire::AccountCommand::ADD);
  } else if (verb == "set") {
    command.set_verb(wire::AccountCommand::SET);
  } else if (verb == "remove") {
    command.set_verb(wire::AccountCommand::REMOVE);
  } else {
    const std::string near = nearest(verb, {"list", "add", "set", "remove"});
    invocation.fail_usage(cat("unknown command \"accounts ", verb, "\"",
                              near.empty() ? std::string("; there are list, add, set and remove")
                                           : cat("; did you mean ", near, "?")));
  }
  if (words.size() != 3) {
    invocation.fail_usage(cat("which account? for example: jctl accounts ", verb, " physics"));
  }
  command.set_account(words[2]);
  const GivenOption* const shares = invocation.find("shares");
  const GivenOption* const parent = invocation.find("parent");
  if (shares != nullptr) {
    const auto count = parse_count(shares->text(), 0, kMaxShares);
    if (!count) {
      invocation.fail_usage(
          cat("option --shares: \"", shares->text(), "\" is no number from 0 to ", kMaxShares));
    }
    command.set_shares(*count);
  }
  if (parent != nullptr) command.set_parent(std::string(parent->text()));
  if (verb == "remove" && (shares != nullptr || parent != nullptr)) {
    invocation.fail_usage("remove takes neither --shares nor --parent");
  }
  if (verb == "set" && shares == nullptr && parent == nullptr) {
    invocation.fail_usage("set what? give --shares or --parent");
  }
  std::vector<std::string> users{""};  // the account itself
  if (const GivenOption* const given = invocation.find("user")) {
    users = words_of_list(given->text());
    if (std::ranges::find(users, "") != users.end()) {
      invocation.fail_usage("option --user: names of users, separated by commas");
    }
  }
  Client client = invocation.client();
  int code = kExitOk;
  for (const std::string& user : users) {
    command.set_user(user);
    const Result<wire::Response> response = client.call(request);
    if (response) continue;
    const int failed = complain(kVerb.program, response.error());
    if (code == kExitOk) code = failed;
    if (response.error().kind() == ErrorKind::Unavailable) return code;
  }
  return code;
}

int run_act(const Invocation& invocation, wire::Act::Verb verb) {
  const std::span<const std::string> words(invocation.operands());
  const Result<Targets> targets = parse_targets(words.subspan(1));
  if (!targets) invocation.fail_usage(targets.error().message());
  if (targets->empty()) {
    invocation.fail_usage(cat("which jobs? for example: jctl ", words.front(), " 42"));
  }
  wire::Act act;
  act.set_verb(verb);
  for (const JobKey key : targets->jobs) wire::to_wire(key, act.add_keys());
  for (const WorkflowId id : targets->workflows) act.add_workflows(id.value);
  return act_on(invocation, act, false);
}

int send_service_command(const Invocation& invocation, const wire::ServiceCommand& command) {
  wire::Request request;
  *request.mutable_service_command() = command;
  Client client = invocation.client();
  const Result<wire::Response> response = client.call(request);
  if (!response) invocation.fail(response.error());
  return kExitOk;
}

int run_service(const Invocation& invocation) {
  const std::vector<std::string>& words = invocation.operands();
  const std::string verb = words.size() < 2 ? "list" : words[1];
  if (verb == "list" || verb == "show") {
    const std::vector<std::string> names(
        words.begin() + std::min<std::ptrdiff_t>(2, std::ssize(words)), words.end());
    if (verb == "show" && names.empty()) {
      invocation.fail_usage("which service? for example: jctl service show web");
    }
    Client client = invocation.client();
    const auto list = list_services(client, names, words_of_list(invocation.text("user")));
    if (!list) invocation.fail(list.error());
    for (const std::string& name : names) {
      const auto is_it = [&](const wire::ServiceView& v) {
        return v.state().spec().name() == name;
      };
      if (std::ranges::none_of(list->services, is_it)) {
        invocation.fail(Error(ErrorKind::NotFound, cat("there is no service ", name)));
      }
    }
    if (invocation.has("json")) finish(kExitOk, render_services_json(*list));
    if (verb == "list") finish(kExitOk, render_services(*list, {.columns = terminal_columns()}));
    std::string text;
    for (const wire::ServiceView& view : list->services) text += render_service(view, list->now);
    finish(kExitOk, text);
  }
  wire::ServiceCommand command;
  command.set_user(std::string(invocation.text("user")));
  std::size_t most = 3;
  if (verb == "scale") {
    command.set_verb(wire::ServiceCommand::SCALE);
    most = 4;
  } else if (verb == "rollback") {
    command.set_verb(wire::ServiceCommand::ROLLBACK);
    most = 4;
  } else if (verb == "delete") {
    command.set_verb(wire::ServiceCommand::DELETE);
  } else {
    const std::string near = nearest(verb, {"list", "show", "scale", "rollback", "delete"});
    invocation.fail_usage(
        cat("unknown command \"service ", verb, "\"",
            near.empty() ? std::string("; there are list, show, scale, rollback and delete")
                         : cat("; did you mean ", near, "?")));
  }
  if (words.size() < 3 || words.size() > most || (verb == "scale" && words.size() < 4)) {
    invocation.fail_usage(verb == "scale"
                              ? std::string("for example: jctl service scale web 5")
                              : cat("which service? for example: jctl service ", verb, " web"));
  }
  command.set_name(words[2]);
  if (words.size() == 4) {
    const auto number = parse_count(words[3], 0, kMaxReplicas);
    if (!number) invocation.fail_usage(cat("\"", words[3], "\" is no number"));
    if (verb == "scale") {
      command.set_replicas(static_cast<std::int32_t>(*number));
    } else {
      command.set_revision(*number);
    }
  }
  return send_service_command(invocation, command);
}

int run_ping(const Invocation& invocation) {
  wire::Request request;
  request.mutable_ping();
  Client client = invocation.client();
  const Result<wire::Response> response = client.call(request);
  if (!response) invocation.fail(response.error());
  const wire::Pong& pong = response->pong();
  finish(kExitOk,
         cat("jschedd ", pong.version(), " of cluster ", pong.cluster(), " answers at ",
             client.socket(), ": ", pong.nodes_reached(), " of ", pong.nodes(), " nodes reached, ",
             pong.requests(), " requests answered, ", pong.followers(), " following\n"));
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
  if (what == "accounts") return run_accounts(invocation);
  if (what == "service") return run_service(invocation);
  if (what == "suspend") return run_act(invocation, wire::Act::SUSPEND);
  if (what == "resume") return run_act(invocation, wire::Act::RESUME);
  if (what == "ping") return run_ping(invocation);
  if (what == "check") return run_check(invocation);
  if (what.empty())
    invocation.fail_usage(
        "what? node, accounts, service, suspend, resume, ping or check; --help shows examples");
  const std::string near =
      nearest(what, {"node", "accounts", "service", "suspend", "resume", "ping", "check"});
  invocation.fail_usage(cat("unknown command \"", what, "\"",
                            near.empty()
                                ? std::string("; there are node, accounts, service, suspend, "
                                              "resume, ping and check")
                                : cat("; did you mean ", near, "?")));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
