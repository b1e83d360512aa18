#include "submit/workflow_parse.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/dependency_graph.hpp"
#include "submit/job_values.hpp"
#include "submit/program_wrap.hpp"
#include "submit/yaml_tree.hpp"

namespace gangway::submit {

namespace {

// Keys that are options under another name.
struct OptionKey {
  std::string_view key;
  std::string_view option;
};
constexpr OptionKey kOptionKeys[] = {
    {"account", "account"},
    {"array", "array"},
    {"begin", "begin"},
    {"comment", "comment"},
    {"constraint", "constraint"},
    {"cpus_per_task", "cpus-per-task"},
    {"deadline", "deadline"},
    {"entrypoint", "entrypoint"},
    {"error", "error"},
    {"exclude", "exclude"},
    {"export", "export"},
    {"gpus", "gpus"},
    {"gpus_per_node", "gpus-per-node"},
    {"gres", "gres"},
    {"image", "image"},
    {"image_workdir", "workdir"},
    {"input", "input"},
    {"mail_type", "mail-type"},
    {"mail_user", "mail-user"},
    {"memory", "mem"},
    {"memory_per_cpu", "mem-per-cpu"},
    {"mpi", "mpi"},
    {"network", "network"},
    {"nice", "nice"},
    {"nodelist", "nodelist"},
    {"nodes", "nodes"},
    {"output", "output"},
    {"qos", "qos"},
    {"queue", "partition"},
    {"retries", "retries"},
    {"tasks", "ntasks"},
    {"tasks_per_node", "ntasks-per-node"},
    {"time", "time"},
    {"user", "user"},
    {"workdir", "chdir"},
};
constexpr std::string_view kOtherKeys[] = {"arguments",  "binds",   "category",   "command",
                                           "components", "env",     "exclusive",  "final",
                                           "needs",      "post",    "parameters", "pre",
                                           "read_only",  "requeue", "script",     "workflow"};
// What a job may say that is a workflow.
constexpr std::string_view kSubKeys[] = {"needs", "parameters", "workflow"};
constexpr int kMaxDepth = 8;  // of workflows in workflows
// The keys of a component of a gang; "exclusive" beside them.
constexpr std::string_view kComponentKeys[] = {
    "constraint", "cpus_per_task", "exclude",        "exclusive", "gpus",  "gpus_per_node", "gres",
    "memory",     "nodes",         "memory_per_cpu", "nodelist",  "tasks", "tasks_per_node"};
constexpr std::string_view kNotInDefaults[] = {"arguments", "command",    "components", "final",
                                               "needs",     "parameters", "script",     "workflow"};
constexpr std::string_view kTopKeys[] = {"version",  "name",       "categories",
                                         "defaults", "parameters", "jobs"};

// Job names become names of output files and stand in messages.
bool is_job_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && name.front() != '.' && name.front() != '-' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

// What one mapping (a job, or the defaults) says, before options are applied.
struct JobKeys {
  struct Value {
    std::string_view option;
    std::string key;
    std::optional<std::string> text;  // none: a flag
    int line = 0;
  };
  std::vector<Value> options;
  std::vector<std::vector<Value>> components;
  std::map<std::string, std::string> env;
  std::vector<std::string> command;
  std::vector<std::string> arguments;
  std::string script;  // path or text
  int script_line = 0;
  int command_line = 0;
  std::vector<std::pair<Need, int>> needs;  // with their lines
  std::string category;
  bool is_final = false;
  std::string pre;
  std::string post;
  std::string workflow;  // the path of one
  int workflow_line = 0;
  std::vector<std::string> parameters;
  std::vector<std::string> given;  // all its keys
};

// The values of `parameters:` at the file's top, found line by line because the rest of the file
// cannot be read before they are put in.
std::map<std::string, std::string> parameters_of(std::string_view text) {
  std::map<std::string, std::string> found;
  bool inside = false;
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("parameters:")) {
      inside = true;
      continue;
    }
    if (!inside) continue;
    const std::string_view entry = trim(line);
    if (entry.empty() || entry.starts_with('#')) continue;
    if (!line.starts_with(' ') && !line.starts_with('\t')) break;
    const std::size_t colon = entry.find(':');
    if (colon == entry.npos) continue;
    std::string_view value = trim(entry.substr(colon + 1));
    const bool is_quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                           value.back() == value.front();
    if (is_quoted) {
      value = value.substr(1, value.size() - 2);
    } else if (const std::size_t comment = value.find(" #"); comment != value.npos) {
      value = trim(value.substr(0, comment));
    }
    found[std::string(trim(entry.substr(0, colon)))] = std::string(value);
  }
  return found;
}

class Reader {
 public:
  explicit Reader(const WorkflowInput& input) : input_(input), around_(input.around) {
    around_.directory = input.directory;
  }

  WorkflowFile read() {
    file_.name = default_name();
    const std::string text = put_parameters_in();
    const auto document = parse_yaml(text);
    if (const auto* const error = std::get_if<YamlError>(&document)) {
      fail(error->line, error->message);
    } else {
      read_document(std::get<YamlNode>(document));
    }
    std::ranges::stable_sort(file_.errors, {}, &WorkflowError::line);
    return std::move(file_);
  }

 private:
  void fail(int line, std::string message) {
    // A hopeless file does not print a hopeless number of lines.
    constexpr std::size_t kMaxErrors = 100;
    if (file_.errors.size() < kMaxErrors) file_.errors.push_back({line, std::move(message)});
  }
  // An error that carries "file:line: " already.
  void fail(int line, const Error& error) {
    std::string_view message = error.message();
    const std::string prefix = prefix_of({.file = input_.file, .line = line});
    if (message.starts_with(prefix)) message.remove_prefix(prefix.size());
    fail(line, std::string(message));
  }

  // An error that may carry the line of a key of this file; else it is of `line`.
  void fail_at_key(int line, std::string_view what, std::string_view message) {
    const std::string prefix = cat(input_.file, ":");
    const std::size_t end = message.find(": ");
    if (message.starts_with(prefix) && end != message.npos && end > prefix.size()) {
      const auto own = parse_count(message.substr(prefix.size(), end - prefix.size()), 1, 1 << 30);
      if (own) {
        line = static_cast<int>(*own);
        message.remove_prefix(end + 2);
      }
    }
    fail(line, cat(what, ": ", message));
  }

  // `{{name}}` becomes its value; lines stay where they are.
  std::string put_parameters_in() {
    std::map<std::string, std::string> values = parameters_of(input_.text);
    for (const std::string& given : input_.parameters) {
      const std::size_t equals = given.find('=');
      const std::string name = given.substr(0, equals);
      if (!values.contains(name) && equals != std::string::npos) {
        std::vector<std::string> names;
        names.reserve(values.size());
        for (const auto& [known, value] : values) names.push_back(known);
        const std::string near = nearest(name, names);
        fail(0, cat("there is no parameter \"", name, "\"",
                    near.empty() ? (names.empty() ? "; the file has none"
                                                  : cat("; there are ", join(names, ", ")))
                                 : cat("; did you mean \"", near, "\"?")));
      } else if (equals != std::string::npos) {
        values[name] = given.substr(equals + 1);
      }
    }
    std::string out;
    int line = 1;
    std::string_view rest = input_.text;
    for (;;) {
      const std::size_t open = rest.find("{{");
      const std::size_t close = open == rest.npos ? rest.npos : rest.find("}}", open);
      const std::string_view before = rest.substr(0, close == rest.npos ? rest.npos : open);
      out += before;
      if (close == rest.npos) return out;
      line += static_cast<int>(std::count(before.begin(), before.end(), '\n'));
      const std::string name(trim(rest.substr(open + 2, close - open - 2)));
      if (const auto value = values.find(name); value != values.end()) {
        out += value->second;
      } else if (values.empty()) {
        out += rest.substr(open, close + 2 - open);  // a file without parameters has none to name
      } else {
        fail(line, cat("there is no parameter \"", name, "\""));
      }
      rest.remove_prefix(close + 2);
    }
  }

  [[nodiscard]] std::string default_name() const {
    std::string_view name = input_.file;
    if (const std::size_t slash = name.rfind('/'); slash != name.npos)
      name.remove_prefix(slash + 1);
    for (const std::string_view ending : {".yaml", ".yml"}) {
      if (name.ends_with(ending)) name.remove_suffix(ending.size());
    }
    return std::string(name);
  }

  // Calls `on_entry(key, key's line, value)` for each entry of a mapping, once for each key.
  template <typename F>
  void for_each_entry(const YamlNode& map, std::string_view what, const F& on_entry) {
    if (!map.is_map()) {
      fail(map.line, cat(what, " must be a mapping: lines of \"key: value\""));
      return;
    }
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
      const int line = map.items[i].line;
      if (!map.items[i].is_scalar()) {
        fail(line, cat(what, ": a key must be a plain word"));
        continue;
      }
      const std::string& key = map.items[i].text;
      if (!seen.insert(key).second) {
        fail(line, cat("\"", key, "\" is given twice in ", what));
        continue;
      }
      on_entry(key, line, map.items[i + 1]);
    }
  }

  template <typename Range>
  std::string unknown_key(std::string_view key, std::string_view what, const Range& known) {
    std::vector<std::string> names(std::begin(known), std::end(known));
    std::ranges::sort(names);
    const std::string near = nearest(key, names);
    return cat("unknown key \"", key, "\" in ", what,
               near.empty() ? cat("; there are ", join(names, ", "))
                            : cat("; did you mean \"", near, "\"?"));
  }

  // The text of a scalar; reports anything else.
  std::optional<std::string> text_of(const YamlNode& node, std::string_view key) {
    if (node.is_scalar()) return node.text;
    fail(node.line, cat(key, ": a single value is expected here, not a ",
                        node.is_sequence() ? "list"
                        : node.is_map()    ? "mapping"
                                           : "nothing"));
    return std::nullopt;
  }

  void read_document(const YamlNode& document) {
    if (document.is_null()) {
      fail(0, "the file is empty; a workflow has \"version: 1\" and \"jobs:\"");
      return;
    }
    const YamlNode* defaults = nullptr;
    const YamlNode* jobs = nullptr;
    bool has_version = false;
    bool has_unknown = false;
    for_each_entry(document, "the workflow",
                   [&](const std::string& key, int line, const YamlNode& value) {
                     if (key == "parameters") return;  // put_parameters_in() has read them
                     if (key == "categories") return read_categories(value);
                     if (key == "version") {
                       has_version = true;
                       if (!value.is_scalar() || value.text != "1") {
                         fail(line, "version: only version 1 exists; write \"version: 1\"");
                       }
                     } else if (key == "name") {
                       if (const auto name = text_of(value, key)) file_.name = *name;
                     } else if (key == "defaults") {
                       defaults = &value;
                     } else if (key == "jobs") {
                       jobs = &value;
                       jobs_line_ = line;
                     } else {
                       has_unknown = true;
                       fail(line, unknown_key(key, "the workflow", kTopKeys));
                     }
                   });
    if (!has_version && document.is_map()) fail(1, "\"version: 1\" is missing");
    if (defaults != nullptr && !defaults->is_null()) {
      read_job(*defaults, "defaults", true, defaults_);
    }
    if (jobs == nullptr || jobs->is_null()) {
      // Not if it may be what has been found misspelled.
      if (document.is_map() && (jobs != nullptr || !has_unknown)) {
        fail(jobs_line_, "\"jobs:\" is missing or empty");
      }
      return;
    }
    read_jobs(*jobs);
    check_needs();
  }

  void read_categories(const YamlNode& value) {
    for_each_entry(value, "categories",
                   [&](const std::string& name, int line, const YamlNode& most) {
                     const auto text = text_of(most, cat("categories: ", name));
                     const auto count = text ? parse_count(*text, 1, 1'000'000) : std::nullopt;
                     if (text && !count) {
                       fail(line, cat("categories: ", name, ": \"", *text,
                                      "\" is not how many may run at once; for example 4"));
                     }
                     if (count) {
                       file_.limits.push_back({name, static_cast<std::uint32_t>(*count)});
                     }
                   });
  }

  void read_jobs(const YamlNode& jobs) {
    file_.jobs.reserve(file_.jobs.size() + jobs.items.size() / 2);
    for_each_entry(jobs, "jobs", [&](const std::string& name, int line, const YamlNode& value) {
      WorkflowJob job;
      job.name = name;
      job.line = line;
      if (!is_job_name(name)) {
        fail(line, cat("\"", name,
                       "\" is not a job's name: letters, digits, \"_\", \"-\" and \".\" "
                       "are possible, at most 100, and a letter, digit or \"_\" first"));
      }
      JobKeys keys;
      const std::string what = cat("job \"", name, "\"");
      if (value.is_null()) {
        fail(line, cat(what, " is empty; it has at least a command or a script"));
      } else {
        const std::size_t before = file_.errors.size();
        read_job(value, what, false, keys);
        // With a misspelled key it would be said that the key is missing, too.
        if (file_.errors.size() == before && keys.workflow_line > 0) {
          add_workflow(name, line, keys);
          if (file_.errors.size() > before) broken_workflows_.insert(name);
          return;
        }
        if (file_.errors.size() == before) make_job(keys, job);
      }
      job.category = keys.category.empty() ? defaults_.category : keys.category;
      job.is_final = keys.is_final;
      if (keys.is_final && !keys.needs.empty()) {
        fail(line, cat(what, " is final: it runs after all others and needs no \"needs:\""));
      }
      add_job(std::move(job), keys.needs);
    });
  }

  void add_job(WorkflowJob job, const std::vector<std::pair<Need, int>>& needs) {
    std::vector<int> lines;
    for (const auto& [need, need_line] : needs) {
      job.needs.push_back(need);
      lines.push_back(need_line);
    }
    need_lines_.push_back(std::move(lines));
    file_.jobs.push_back(std::move(job));
  }

  // The jobs of a workflow in this one. Its first ones need what it needs; whoever needs it needs
  // its last ones.
  void add_workflow(const std::string& name, int line, const JobKeys& keys) {
    for (const std::string& key : keys.given) {
      if (std::ranges::find(kSubKeys, key) == std::end(kSubKeys)) {
        fail(line, cat("job \"", name, "\" is a workflow: \"", key, "\" belongs to its jobs"));
        return;
      }
    }
    if (input_.depth >= kMaxDepth) {
      return fail(keys.workflow_line, cat("workflow: more than ", kMaxDepth, " in each other"));
    }
    WorkflowInput input = input_;
    input.file = absolute_path(keys.workflow, input_.directory);
    input.parameters = keys.parameters;
    input.depth = input_.depth + 1;
    const std::size_t slash = input.file.rfind('/');
    input.directory = input.file.substr(0, std::max<std::size_t>(slash, 1));
    Result<std::string> text = input_.read_script(input.file);
    if (!text) return fail(keys.workflow_line, cat("workflow: ", text.error().message()));
    input.text = *std::move(text);
    WorkflowFile sub = parse_workflow(input);
    for (const WorkflowError& error : sub.errors) {
      fail(keys.workflow_line,
           cat(prefix_of({.file = input.file, .line = error.line}), error.message));
    }
    for (const std::string& warning : sub.warnings) add_warning(warning);
    file_.nodes_are_open = file_.nodes_are_open || sub.nodes_are_open;
    for (const CategoryLimit& limit : sub.limits) {
      if (std::ranges::find(file_.limits, limit.category, &CategoryLimit::category) ==
          file_.limits.end()) {
        file_.limits.push_back(limit);
      }
    }
    std::set<std::string> needed;
    for (const WorkflowJob& job : sub.jobs) {
      for (const Need& need : job.needs) needed.insert(need.member);
    }
    std::vector<std::string>& last = last_of_workflow_[name];
    for (WorkflowJob& job : sub.jobs) {
      if (!needed.contains(job.name)) last.push_back(cat(name, '.', job.name));
      const bool is_first = job.needs.empty();
      job.name = cat(name, '.', job.name);
      job.spec.name = job.name;
      job.line = line;
      job.image_line = line;
      job.is_final = false;  // it is so in its own workflow, by what it needs
      std::vector<std::pair<Need, int>> needs;
      for (Need& need : job.needs) {
        need.member = cat(name, '.', need.member);
        needs.emplace_back(std::move(need), line);
      }
      job.needs.clear();
      if (is_first) needs = keys.needs;
      add_job(std::move(job), needs);
    }
  }

  void read_job(const YamlNode& map, const std::string& what, bool is_defaults, JobKeys& keys) {
    for_each_entry(map, what, [&](const std::string& key, int line, const YamlNode& value) {
      keys.given.push_back(key);
      if (is_defaults && std::ranges::find(kNotInDefaults, key) != std::end(kNotInDefaults)) {
        fail(line, cat("\"", key, "\" belongs to a job, not to the defaults"));
        return;
      }
      const auto option = std::ranges::find(kOptionKeys, key, &OptionKey::key);
      if (option != std::end(kOptionKeys)) {
        if (auto text = text_of(value, key)) {
          keys.options.push_back({option->option, key, *std::move(text), line});
        }
      } else if (std::ranges::find(kOtherKeys, key) != std::end(kOtherKeys)) {
        read_other(key, line, value, keys);
      } else {
        fail(line, unknown_key(key, what, workflow_job_keys()));
      }
    });
  }

  void read_other(const std::string& key, int line, const YamlNode& value, JobKeys& keys) {
    if (key == "command") {
      keys.command_line = line;
      if (value.is_scalar()) {
        keys.command = {"/bin/sh", "-c", value.text};
        if (trim(value.text).empty()) fail(line, "command: it is empty");
      } else {
        keys.command = list_of(value, key);
        if (value.is_sequence() && value.items.empty()) fail(line, "command: the list is empty");
      }
    } else if (key == "script") {
      keys.script_line = line;
      keys.script = text_of(value, key).value_or("");
      if (value.is_scalar() && trim(keys.script).empty()) fail(line, "script: it is empty");
    } else if (key == "arguments") {
      keys.arguments = list_of(value, key);
    } else if (key == "binds") {
      for (const std::string& bind : list_of(value, key)) {
        keys.options.push_back({"bind", key, bind, line});
      }
    } else if (key == "env") {
      for_each_entry(value, "env", [&](const std::string& name, int at, const YamlNode& text) {
        if (name.empty() || name.find('=') != name.npos) {
          fail(at, cat("env: \"", name, "\" is not the name of a variable"));
        } else if (text.is_null()) {
          keys.env[name] = "";
        } else if (const auto found = text_of(text, cat("env: ", name))) {
          keys.env[name] = *found;
        }
      });
    } else if (key == "components") {
      read_components(value, keys);
    } else if (key == "category") {
      keys.category = text_of(value, key).value_or("");
    } else if (key == "pre") {
      keys.pre = text_of(value, key).value_or("");
    } else if (key == "post") {
      keys.post = text_of(value, key).value_or("");
    } else if (key == "workflow") {
      keys.workflow_line = line;
      keys.workflow = text_of(value, key).value_or("");
    } else if (key == "parameters") {
      for_each_entry(value, "parameters",
                     [&](const std::string& name, int at, const YamlNode& text) {
                       static_cast<void>(at);
                       if (const auto found = text_of(text, cat("parameters: ", name))) {
                         keys.parameters.push_back(cat(name, '=', *found));
                       }
                     });
    } else if (key == "final") {
      const auto text = text_of(value, key);
      const std::optional<bool> yes = text ? parse_yes_no(*text) : std::nullopt;
      if (text && !yes) fail(line, cat(key, ": \"", *text, "\" is not true or false"));
      keys.is_final = yes.value_or(false);
    } else if (key == "exclusive" || key == "read_only" || key == "requeue") {
      const auto text = text_of(value, key);
      const std::optional<bool> yes = text ? parse_yes_no(*text) : std::nullopt;
      if (text && !yes) fail(line, cat(key, ": \"", *text, "\" is not true or false"));
      if (yes && key == "requeue") {
        keys.options.push_back({*yes ? "requeue" : "no-requeue", key, std::nullopt, line});
      } else if (yes && *yes) {
        keys.options.push_back(
            {key == "exclusive" ? "exclusive" : "read-only", key, std::nullopt, line});
      }
    } else {
      read_needs(value, keys);
    }
  }

  void read_components(const YamlNode& value, JobKeys& keys) {
    if (!value.is_sequence() || value.items.empty() || value.items.size() > kMaxComponents) {
      fail(value.line,
           "components: a list is expected, such as [{nodes: 1, gpus: 1}, "
           "{nodes: 4}]");
      return;
    }
    for (const YamlNode& item : value.items) {
      JobKeys of_component;
      for_each_entry(
          item, "a component", [&](const std::string& key, int line, const YamlNode& text) {
            if (std::ranges::find(kComponentKeys, key) == std::end(kComponentKeys)) {
              fail(line, unknown_key(key, "a component", kComponentKeys));
            } else if (key == "exclusive") {
              read_other(key, line, text, of_component);
            } else if (auto found = text_of(text, key)) {
              const auto option = std::ranges::find(kOptionKeys, key, &OptionKey::key);
              of_component.options.push_back({option->option, key, *std::move(found), line});
            }
          });
      keys.components.push_back(std::move(of_component.options));
    }
  }

  std::vector<std::string> list_of(const YamlNode& value, const std::string& key) {
    std::vector<std::string> items;
    if (!value.is_sequence()) {
      fail(value.line, cat(key, ": a list is expected, such as [one, two]"));
      return items;
    }
    for (const YamlNode& item : value.items) {
      if (const auto text = text_of(item, key)) items.push_back(*text);
    }
    return items;
  }

  void read_needs(const YamlNode& value, JobKeys& keys) {
    if (value.is_null()) return;
    if (value.is_scalar()) {
      keys.needs.push_back({Need{.member = value.text}, value.line});
      return;
    }
    if (!value.is_sequence()) {
      fail(value.line, "needs: a list is expected, such as [prepare, {job: solve, on: any}]");
      return;
    }
    for (const YamlNode& item : value.items) {
      if (item.is_scalar()) {
        keys.needs.push_back({Need{.member = item.text}, item.line});
      } else {
        read_need(item, keys);
      }
    }
  }

  void read_need(const YamlNode& item, JobKeys& keys) {
    Need need;
    bool has_job = false;
    const std::size_t before = file_.errors.size();
    for_each_entry(item, "needs", [&](const std::string& key, int line, const YamlNode& value) {
      constexpr std::string_view kKeys[] = {"job", "on"};
      const auto text = text_of(value, key);
      if (!text) return;
      if (key == "job") {
        has_job = true;
        need.member = *text;
      } else if (key == "on") {
        if (*text == "success") {
          need.outcome = NeedOutcome::Success;
        } else if (*text == "failure") {
          need.outcome = NeedOutcome::Failure;
        } else if (*text == "any") {
          need.outcome = NeedOutcome::Any;
        } else if (*text == "each") {
          need.outcome = NeedOutcome::Each;
        } else {
          fail(line, cat("on: \"", *text, "\" is not success, failure, any or each"));
        }
      } else {
        fail(line, unknown_key(key, "needs", kKeys));
      }
    });
    if (has_job) {
      keys.needs.push_back({std::move(need), item.line});
    } else if (file_.errors.size() == before) {
      fail(item.line, "needs: \"job:\" is missing; write {job: NAME, on: success}");
    }
  }

  // ---- from keys to a spec ----------------------------------------------------------------------

  bool apply_keys(JobDraft& draft, const JobKeys& keys, OptionSource source, int* image_line) {
    bool good = true;
    draft.source = source;
    for (const JobKeys::Value& value : keys.options) {
      if (value.option == "image") *image_line = value.line;
      const Result<void> applied = apply_named(draft, value.option, value.text, value.key,
                                               {.file = input_.file, .line = value.line});
      if (applied) continue;
      // The defaults are applied to every job; said once is enough.
      if (source == OptionSource::Script || bad_defaults_.insert(value.key).second) {
        fail(value.line, applied.error());
      }
      good = false;
    }
    return good;
  }

  // Fills in job.spec and job.image; reports what is wrong.
  void make_job(const JobKeys& keys, WorkflowJob& job) {
    const std::string what = cat("job \"", job.name, "\"");
    if (keys.command.empty() == keys.script.empty()) {
      if (keys.command_line == 0 && keys.script_line == 0) {
        fail(job.line, cat(what, " has neither a command nor a script"));
      } else if (!keys.command.empty()) {
        fail(std::max(keys.command_line, keys.script_line),
             cat(what, " has a command and a script; one of them is possible"));
      }
      return;
    }
    JobDraft draft;
    draft.now = input_.around.now;
    bool good = true;
    draft.source = OptionSource::Environment;
    if (const Result<void> ok = apply_environment(draft, input_.around.environment); !ok) {
      if (bad_defaults_.insert("").second) fail(0, ok.error());
      good = false;
    }
    // The ranks only matter where options exclude each other; they rise in the order of strength.
    good = apply_keys(draft, defaults_, OptionSource::Default, &job.image_line) && good;
    ProgramText program;
    program.default_name = job.name;
    program.argv = keys.command;
    if (!keys.script.empty()) {
      if (!read_script(keys, job.line, draft, program)) return;
    } else if (!keys.arguments.empty()) {
      fail(keys.command_line, "arguments: they are for a script; a command is a list already");
    }
    good = apply_keys(draft, keys, OptionSource::Script, &job.image_line) && good;
    add_environment(keys, draft);
    for (std::size_t i = 0; i < keys.components.size(); ++i) {
      for (const JobKeys::Value& value : keys.components[i]) {
        const Result<void> applied =
            apply_named(draft.component(i), value.option, value.text, value.key,
                        {.file = input_.file, .line = value.line});
        if (!applied) fail(value.line, applied.error());
        good = good && applied.has_value();
      }
    }
    draft.source = OptionSource::CommandLine;
    const Result<void> applied = apply_options(draft, input_.command_line);
    if (!applied) return;  // reported by the program, which has looked at its options before
    if (!good) return;

    const std::string& pre = keys.pre.empty() ? defaults_.pre : keys.pre;
    const std::string& post = keys.post.empty() ? defaults_.post : keys.post;
    if (!pre.empty() || !post.empty()) {
      JobDraft trial = draft;
      const Result<JobSpec> alone = make_spec(trial, program, around_);
      if (alone && program.script.empty() && alone->total_tasks() > 1) {
        return fail(job.line, cat(what,
                                  ": \"pre\" and \"post\" are for a script or a command of "
                                  "one task, and this one has ",
                                  alone->total_tasks(), "; write them as jobs of their own"));
      }
      program.script = wrap_program(pre, program, post);
      if (keys.script.empty()) program.argv.clear();
    }
    if (!draft.choices.other_queues.empty()) {
      return fail(job.line, cat(what, ": a job of a workflow waits in one queue; name one"));
    }
    // Its jobs go where the workflow goes.
    if (!draft.choices.clusters.empty()) draft.ignored.emplace_back("--clusters");
    Result<JobSpec> spec = make_spec(draft, program, around_);
    if (!spec) return fail_at_key(job.line, what, spec.error().message());
    job.spec = *std::move(spec);
    job.spec.name = job.name;
    if (draft.image) job.image = absolute_path(*draft.image, input_.directory);
    file_.choices = draft.choices;
    file_.nodes_are_open = file_.nodes_are_open || draft.nodes_are_open;
    for (const std::string& warning : draft.warnings) add_warning(warning);
    if (const std::string line = ignored_warning(draft.ignored); !line.empty()) add_warning(line);
  }

  void add_warning(const std::string& warning) {
    if (std::ranges::find(file_.warnings, warning) == file_.warnings.end()) {
      file_.warnings.push_back(warning);
    }
  }

  // The defaults' variables, then the job's, over what is exported.
  void add_environment(const JobKeys& keys, JobDraft& draft) const {
    std::map<std::string, std::string> added = defaults_.env;
    for (const auto& [name, value] : keys.env) added[name] = value;
    for (const auto& [name, value] : added) draft.env.push_back(cat(name, "=", value));
  }

  bool read_script(const JobKeys& keys, int job_line, JobDraft& draft, ProgramText& program) {
    const bool is_inline =
        keys.script.find('\n') != std::string::npos || keys.script.starts_with("#!");
    std::string name = input_.file;
    if (is_inline) {
      program.script = keys.script;
      if (!program.script.starts_with("#!")) program.script = cat("#!/bin/sh\n", program.script);
    } else {
      name = absolute_path(keys.script, input_.directory);
      Result<std::string> text = input_.read_script(name);
      if (!text) {
        fail(keys.script_line, cat("script: ", text.error().message()));
        return false;
      }
      program.script = *std::move(text);
      if (repair_line_ends(program.script)) {
        add_warning(cat(name, ":1: the lines end with a carriage return (DOS); submitted without"));
      }
      if (const Result<void> ok = check_script(program.script, name); !ok) {
        fail(keys.script_line, cat("script: ", ok.error().message()));
        return false;
      }
    }
    program.argv = keys.arguments;
    draft.source = OptionSource::Default;
    const Result<void> applied =
        apply_script(draft, program.script, is_inline ? std::string("script") : name);
    if (!applied) {
      fail(keys.script_line > 0 ? keys.script_line : job_line, applied.error().message());
      return false;
    }
    return true;
  }

  // ---- the graph --------------------------------------------------------------------------------

  // Needs of a workflow in this one become those of its last jobs; the final job needs all others.
  void complete_needs() {
    std::optional<std::size_t> final_job;
    for (std::size_t j = 0; j < file_.jobs.size(); ++j) {
      WorkflowJob& job = file_.jobs[j];
      if (job.is_final) {
        if (final_job) fail(job.line, "there are two final jobs; one is possible");
        final_job = j;
      }
      std::vector<Need> needs;
      std::vector<int> lines;
      for (std::size_t n = 0; n < job.needs.size(); ++n) {
        const int line = need_lines_[j][n];
        const auto sub = last_of_workflow_.find(job.needs[n].member);
        if (sub == last_of_workflow_.end()) {
          needs.push_back(std::move(job.needs[n]));
          lines.push_back(line);
          continue;
        }
        if (job.needs[n].outcome == NeedOutcome::Failure ||
            job.needs[n].outcome == NeedOutcome::Each) {
          fail(line, cat("needs: \"", sub->first,
                         "\" is a workflow; on: success and on: any are "
                         "possible"));
        }
        for (const std::string& last : sub->second) {
          needs.push_back({last, job.needs[n].outcome});
          lines.push_back(line);
        }
      }
      job.needs = std::move(needs);
      need_lines_[j] = std::move(lines);
    }
    if (!final_job) return;
    WorkflowJob& job = file_.jobs[*final_job];
    for (const WorkflowJob& other : file_.jobs) {
      if (other.is_final) continue;
      job.needs.push_back({other.name, NeedOutcome::Any});
      need_lines_[*final_job].push_back(job.line);
    }
  }

  void check_needs() {
    complete_needs();
    std::map<std::string, std::uint32_t, std::less<>> index;
    std::vector<std::string> names;
    for (const WorkflowJob& job : file_.jobs) {
      index[job.name] = static_cast<std::uint32_t>(names.size());
      names.push_back(job.name);
    }
    std::vector<GraphEdge> edges;
    for (std::size_t j = 0; j < file_.jobs.size(); ++j) {
      std::set<std::string> seen;
      for (std::size_t n = 0; n < file_.jobs[j].needs.size(); ++n) {
        const Need& need = file_.jobs[j].needs[n];
        const int line = need_lines_[j][n];
        const auto found = index.find(need.member);
        if (broken_workflows_.contains(need.member)) {
          continue;  // its jobs are not known
        }
        if (found == index.end()) {
          const std::string near = nearest(need.member, names);
          fail(line, cat("needs: there is no job \"", need.member, "\"",
                         near.empty() ? std::string() : cat("; did you mean \"", near, "\"?")));
        } else if (!seen.insert(need.member).second) {
          fail(line, cat("needs: \"", need.member, "\" is named twice"));
        } else {
          edges.push_back({found->second, static_cast<std::uint32_t>(j)});
        }
      }
    }
    const Result<GraphOrder> order =
        order_graph(names, std::vector<std::int64_t>(names.size(), 1), edges);
    if (order) return;
    // The cycle is named from its first job in the file on.
    const std::string& cycle = order.error().message();
    const auto first = std::ranges::find_if(file_.jobs, [&](const WorkflowJob& job) {
      return cycle.find(cat(": ", job.name, " -> ")) != std::string::npos;
    });
    fail(first != file_.jobs.end() ? first->line : jobs_line_,
         cat("the jobs have a cycle: ", cycle));
  }

  const WorkflowInput& input_;
  Surroundings around_;  // of its jobs
  WorkflowFile file_;
  JobKeys defaults_;
  std::set<std::string> bad_defaults_;
  std::vector<std::vector<int>> need_lines_;  // of the needs of each job
  std::map<std::string, std::vector<std::string>> last_of_workflow_;
  std::set<std::string> broken_workflows_;
  int jobs_line_ = 0;
};

}  // namespace

std::vector<std::string> workflow_job_keys() {
  std::vector<std::string> keys;
  for (const OptionKey& option : kOptionKeys) keys.emplace_back(option.key);
  keys.insert(keys.end(), std::begin(kOtherKeys), std::end(kOtherKeys));
  return keys;
}

WorkflowFile parse_workflow(const WorkflowInput& input) { return Reader(input).read(); }

}  // namespace gangway::submit
