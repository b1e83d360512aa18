#include "submit/verb.hpp"

#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"

namespace gangway::submit {

namespace {
constexpr OptionName kCommon[] = {
    {"help", 0, Takes::Nothing, "", "this help"},
    {"version", 'V', Takes::Nothing, "", "the version"},
    {"socket", 0, Takes::Value, "PATH", "the scheduler's socket"},
};
}  // namespace

Invocation::Invocation(const Verb& verb, int argc, char** argv) : verb_(verb) {
  names_.assign(verb.options.begin(), verb.options.end());
  names_.insert(names_.end(), std::begin(kCommon), std::end(kCommon));
  // -h is help unless the program has another use for it.
  if (std::ranges::find(verb.options, 'h', &OptionName::letter) == verb.options.end()) {
    std::ranges::find(names_, std::string_view("help"), &OptionName::name)->letter = 'h';
  }
  Result<ParsedOptions> parsed = parse_options(names_, words_of(argc, argv), Operands::Anywhere);
  if (!parsed) finish(complain_usage(verb_.program, parsed.error()));
  parsed_ = *std::move(parsed);
  if (has("help")) finish(kExitOk, verb_.help);
  if (has("version")) finish(kExitOk, version_line(verb_.program));
}

const GivenOption* Invocation::find(std::string_view name) const {
  const GivenOption* found = nullptr;
  for (const GivenOption& given : parsed_.options) {
    if (names_[given.index].canonical() == name) found = &given;
  }
  return found;
}

std::string_view Invocation::text(std::string_view name) const {
  const GivenOption* given = find(name);
  return given == nullptr ? std::string_view() : given->text();
}

Client Invocation::client() const {
  return Client(std::string(verb_.program), find_socket(text("socket")));
}

void Invocation::fail(const Error& error) const { finish(complain(verb_.program, error)); }

void Invocation::fail_usage(std::string_view message) const {
  complain(verb_.program, message);
  finish(kExitUsage);
}

std::string about(std::string_view subject, std::string_view message) {
  return message.find(subject) != std::string_view::npos ? std::string(message)
                                                         : cat(subject, ": ", message);
}

namespace {

// At the commas that stand in no brackets.
std::vector<std::string_view> split_ids(std::string_view word) {
  std::vector<std::string_view> items;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= word.size(); ++at) {
    if (at == word.size() || (word[at] == ',' && depth == 0)) {
      items.push_back(word.substr(begin, at - begin));
      begin = at + 1;
    } else if (word[at] == '[') {
      ++depth;
    } else if (word[at] == ']') {
      --depth;
    }
  }
  return items;
}

// "42_[1,3-5]", as jqueue shows it: a throttle behind the indexes is passed over.
Result<std::optional<ElementsOf>> parse_elements(std::string_view item) {
  const std::size_t open = item.find("_[");
  if (open == item.npos || !item.ends_with(']')) return std::optional<ElementsOf>{};
  const auto key = parse_job_key(item.substr(0, open));
  if (!key) return std::optional<ElementsOf>{};
  std::string_view list = item.substr(open + 2, item.size() - open - 3);
  list = list.substr(0, list.find('%'));
  Result<IndexList> indexes = parse_index_list(list);
  if (!indexes) return indexes.error().with_context(item);
  return std::optional(ElementsOf{key->job, *std::move(indexes)});
}

}  // namespace

template <typename Request>
void put_targets(const Targets& targets, Request& request) {
  for (const JobKey key : targets.jobs) wire::to_wire(key, request.add_keys());
  for (const WorkflowId id : targets.workflows) request.add_workflows(id.value);
  for (const ElementsOf& some : targets.elements) {
    auto* const elements = request.add_elements();
    elements->set_job(some.job.value);
    wire::to_wire(some.indexes, elements->mutable_indexes());
  }
}
template void put_targets(const Targets&, wire::Act&);
template void put_targets(const Targets&, wire::WaitFor&);

Result<Targets> parse_targets(std::span<const std::string> words) {
  Targets targets;
  for (const std::string& word : words) {
    for (const std::string_view item : split_ids(word)) {
      GANGWAY_ASSIGN(auto elements, parse_elements(item));
      if (elements) {
        targets.elements.push_back(*std::move(elements));
      } else if (const auto key = parse_job_key(item)) {
        targets.jobs.push_back(*key);
      } else if (const auto id = parse_workflow_id(item)) {
        targets.workflows.push_back(*id);
      } else {
        return Error(ErrorKind::Invalid, cat("\"", item,
                                             "\" is no job id (42, 42_7, 42_[1-5]) and no "
                                             "workflow id (w7)"));
      }
    }
  }
  return targets;
}

int act_on(const Invocation& invocation, const wire::Act& act, bool quiet, Chosen chosen) {
  wire::Request request;
  *request.mutable_act() = act;
  return send_act(invocation, request, quiet, chosen);
}

int send_act(const Invocation& invocation,
             const wire::Request& request,
             bool quiet,
             Chosen chosen) {
  Client client = invocation.client();
  const Result<wire::Response> response = client.call(request);
  if (!response) return complain(invocation.program(), response.error());
  int code = kExitOk;
  for (const wire::Acted::One& one : response->acted().results()) {
    if (!one.has_error()) continue;
    const Error error = wire::from_wire(one.error());
    if (chosen == Chosen::ByFilter && error.kind() == ErrorKind::Conflict) continue;
    if (!quiet) {
      complain(invocation.program(),
               about(cat("job ", to_string(wire::from_wire(one.key()))), error.message()));
    }
    if (code == kExitOk) code = exit_code_of(error.kind());
  }
  return code;
}

int run_simple_act(const Verb& verb, wire::Act::Verb what, int argc, char** argv) {
  const Invocation invocation(verb, argc, argv);
  const Result<Targets> targets = parse_targets(invocation.operands());
  if (!targets) invocation.fail_usage(targets.error().message());
  if (targets->empty()) {
    invocation.fail_usage(cat("which jobs? for example: ", verb.program, " 42"));
  }
  wire::Act act;
  act.set_verb(what);
  put_targets(*targets, act);
  return act_on(invocation, act, invocation.has("quiet"));
}

}  // namespace gangway::submit
