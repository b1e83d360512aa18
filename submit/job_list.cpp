#include "submit/job_list.hpp"

#include <unistd.h>

#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"

namespace gangway::submit {

namespace {
bool among(const std::vector<std::string>& list, const std::string& what) {
  return list.empty() || std::ranges::find(list, what) != list.end();
}

// Whether the ids that were given name this one. Of an array the whole was asked for.
bool is_named(const Targets& targets, const JobRow& row) {
  if (targets.empty()) return true;
  if (row.workflow != 0 &&
      std::ranges::find(targets.workflows, WorkflowId{row.workflow}) != targets.workflows.end()) {
    return true;
  }
  for (const JobKey key : targets.jobs) {
    if (key == row.key || key == JobKey{row.key.job}) return true;
  }
  return std::ranges::any_of(targets.elements, [&](const ElementsOf& some) {
    return some.job == row.key.job && some.indexes.position_of(row.key.index).has_value();
  });
}

bool is_on_one_of(const std::vector<std::string>& nodes, const JobRow& row) {
  if (nodes.empty()) return true;
  const Result<std::vector<NodeName>> held = parse_host_list(row.node_list);
  return held && std::ranges::any_of(*held, [&](const NodeName& node) {
           return std::ranges::find(nodes, node.value) != nodes.end();
         });
}

// Some of its elements were asked for by their index.
bool has_named_elements(const Targets& targets, const JobRow& row) {
  return std::ranges::any_of(
             targets.jobs,
             [&](JobKey key) { return key.job == row.key.job && key.index != JobKey::kNoIndex; }) ||
         std::ranges::any_of(targets.elements,
                             [&](const ElementsOf& some) { return some.job == row.key.job; });
}

}  // namespace

bool JobFilter::wants(const JobRow& row) const {
  return is_named(targets, row) && lets_through(row);
}

bool JobFilter::lets_through(const JobRow& row) const {
  const bool of_user = among(users, row.user) && (!mine || row.uid == *mine);
  return of_user && among(names, row.name) && among(queues, row.queue) &&
         among(accounts, row.account) && is_on_one_of(nodes, row) && among(states, row.letters) &&
         (finished_too || !row.finished);
}

std::string find_user_name(std::string_view passwd, std::uint32_t uid) {
  for (const std::string_view line : split(passwd, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() >= 3 && fields[2] == cat(uid)) return std::string(fields[0]);
  }
  return {};
}

std::vector<std::string> words_of_list(std::string_view text) {
  std::vector<std::string> items;
  for (const std::string_view item : split(text, ',')) items.emplace_back(item);
  return items;
}

JobFilter make_filter(const Invocation& invocation, std::string_view states_option) {
  JobFilter filter;
  std::vector<std::string> ids = invocation.operands();
  if (const std::string_view more = invocation.text("jobs"); !more.empty()) ids.emplace_back(more);
  Result<Targets> targets = parse_targets(ids);
  if (!targets) invocation.fail_usage(targets.error().message());
  filter.targets = *std::move(targets);
  filter.users = words_of_list(invocation.text("user"));
  if (invocation.has("me")) filter.mine = ::getuid();
  filter.names = words_of_list(invocation.text("name"));
  filter.queues = words_of_list(invocation.text("partition"));
  filter.accounts = words_of_list(invocation.text("account"));
  if (const GivenOption* given = invocation.find("nodelist")) {
    const Result<std::vector<NodeName>> nodes = parse_host_list(given->text());
    if (!nodes) invocation.fail_usage(cat("option --nodelist: ", nodes.error().message()));
    for (const NodeName& node : *nodes) filter.nodes.push_back(node.value);
  }
  filter.finished_too = invocation.has("all");
  for (const std::string& word : words_of_list(invocation.text(states_option))) {
    if (word == "all" || word == "ALL") {
      filter.finished_too = true;
      filter.states.clear();
      break;
    }
    const std::optional<std::string> letters = parse_state(word);
    if (!letters) {
      invocation.fail_usage(cat("option --", states_option, ": \"", word,
                                "\" is no state; there are PD, CF, R, S, CG, CD, F, CA, TO, OOM, "
                                "NF, PR, LF and all"));
    }
    if (!is_live_state(*letters)) filter.finished_too = true;
    filter.states.push_back(*letters);
  }
  return filter;
}

wire::Request make_list_request(const JobFilter& filter) {
  wire::Request request;
  wire::ListJobs& list = *request.mutable_list_jobs();
  // Where elements are named, their arrays are listed with them: which of them have no row they
  // alone can tell.
  const auto add_elements = [&](JobId job, const IndexList& indexes) {
    wire::Elements* const some = list.add_elements();
    some->set_job(job.value);
    wire::to_wire(indexes, some->mutable_indexes());
  };
  for (const JobKey key : filter.targets.jobs) {
    if (key.index == JobKey::kNoIndex) {
      wire::to_wire(key, list.add_keys());
    } else {
      add_elements(key.job, IndexList{{{key.index, key.index, 1}}});
    }
  }
  for (const ElementsOf& some : filter.targets.elements) add_elements(some.job, some.indexes);
  for (const WorkflowId id : filter.targets.workflows) list.add_workflows(id.value);
  for (const std::string& user : filter.users) list.add_users(user);
  if (filter.mine && filter.users.empty()) {
    const std::string name =
        find_user_name(read_file("/etc/passwd", 64 << 20).value_or(""), *filter.mine);
    if (!name.empty()) list.add_users(name);
  }
  list.set_finished_too(filter.finished_too);
  list.set_limit(filter.limit);
  return request;
}

Result<JobList> list_jobs(Client& client, const JobFilter& filter) {
  const wire::Request request = make_list_request(filter);
  JobList found;
  GANGWAY_TRY(client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
    found.now = Time{response.jobs().now_ns()};
    found.truncated = found.truncated || response.jobs().truncated();
    for (const wire::JobView& view : response.jobs().jobs()) {
      JobRow row = make_row(view, found.now);
      if (is_told_by_elements(row) || !filter.lets_through(row)) continue;
      const bool by_index = has_named_elements(filter.targets, row);
      if (row.array && (filter.each_element || by_index)) {
        constexpr std::size_t kMostExpanded = 1'000'000;
        for (JobRow& one : expand_array(row, kMostExpanded)) {
          if (is_named(filter.targets, one)) found.rows.push_back(std::move(one));
        }
      } else if (is_named(filter.targets, row)) {
        found.rows.push_back(std::move(row));
      }
    }
  }));
  return found;
}

std::string render_json(const std::vector<JobRow>& rows) {
  JsonWriter json;
  json.begin_object().key("jobs").begin_array();
  for (const JobRow& row : rows) write_json(row, json);
  json.end_array().end_object();
  return cat(json.take(), "\n");
}

}  // namespace gangway::submit
