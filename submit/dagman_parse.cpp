#include "submit/dagman_parse.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/dependency_graph.hpp"
#include "submit/job_values.hpp"
#include "submit/program_wrap.hpp"

namespace gangway::submit {

namespace {

constexpr int kMaxDepth = 8;  // of splices in splices
constexpr std::string_view kIgnored[] = {"CONFIG",           "DOT",          "JOBSTATE_LOG",
                                         "NODE_STATUS_FILE", "SET_JOB_ATTR", "SAVE_POINT_FILE",
                                         "REJECT",           "ENV"};
constexpr std::string_view kRefused[] = {"ABORT-DAG-ON", "PROVISIONER", "SERVICE"};
// Of submit files; the others say where HTCondor puts things, and are named in the warning.
constexpr std::string_view kRefusedInSubmit[] = {"transfer_input_files", "max_retries",
                                                 "requirements",         "hold",
                                                 "periodic_remove",      "deferral_time"};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : line) {
    if (c != ' ' && c != '\t' && c != '\r') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

// Stands for $(Cluster), which is known only when the job is there.
constexpr char kIdMark = '\x01';

bool has_mark(std::string_view text) { return text.find(kIdMark) != text.npos; }

// As a shell reads it in the job.
std::string word_with_id(std::string_view word) {
  std::string out;
  for (;;) {
    const std::size_t at = word.find(kIdMark);
    if (const std::string_view before = word.substr(0, at); !before.empty() || at == word.npos) {
      out += before.empty() && !out.empty() ? std::string() : quoted_word(before);
    }
    if (at == word.npos) return out;
    out += "\"$JOB_ID\"";
    word.remove_prefix(at + 1);
  }
}

// As a pattern of ours; HTCondor's names have none.
std::string file_with_id(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == kIdMark) {
      out += "%j";
    } else {
      out += c == '%' ? "%%" : std::string(1, c);
    }
  }
  return out;
}

bool is_variable_name(std::string_view name) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  return !name.empty() && name.find_first_not_of(kLetters) == name.npos &&
         (name.front() < '0' || name.front() > '9');
}

// A program whose words or variables have the job's id in them, as a script that puts it in.
void put_id_in(ProgramText& program, std::vector<std::string>& env) {
  if (std::ranges::none_of(program.argv, has_mark) && std::ranges::none_of(env, has_mark)) return;
  std::string script = "#!/bin/sh\n";
  for (const std::string& variable : env) {
    const std::size_t equals = variable.find('=');
    if (!has_mark(variable) || equals == variable.npos) continue;
    script += cat("export ", variable.substr(0, equals), "=",
                  word_with_id(std::string_view(variable).substr(equals + 1)), "\n");
  }
  std::erase_if(env, has_mark);
  script += "exec";
  for (const std::string& word : program.argv) script += cat(" ", word_with_id(word));
  program.script = cat(script, "\n");
  program.argv.clear();
}

using Macros = std::map<std::string, std::string>;  // by lower-case name

// "$(name)" becomes its value, also within values; unknown ones become nothing, as with HTCondor.
std::string expand(std::string_view text, const Macros& macros, int depth = 0) {
  std::string out;
  for (;;) {
    const std::size_t open = text.find("$(");
    const std::size_t close = open == text.npos ? text.npos : text.find(')', open);
    out += text.substr(0, close == text.npos ? text.npos : open);
    if (close == text.npos) return out;
    std::string_view name = text.substr(open + 2, close - open - 2);
    std::string_view fallback;
    if (const std::size_t colon = name.find(':'); colon != name.npos) {
      fallback = name.substr(colon + 1);
      name = name.substr(0, colon);
    }
    const auto found = macros.find(lower(trim(name)));
    const std::string value = found == macros.end() ? std::string(fallback) : found->second;
    out += depth < 10 ? expand(value, macros, depth + 1) : value;
    text.remove_prefix(close + 1);
  }
}

// Arguments as HTCondor reads them: in double quotes the new way, where single quotes hold blanks.
std::vector<std::string> split_arguments(std::string_view text) {
  text = trim(text);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return words_of(text);
  text = text.substr(1, text.size() - 2);
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  bool any = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      word += text[i++];
      any = true;
    } else if (c == '\'' && inside && i + 1 < text.size() && text[i + 1] == '\'') {
      word += text[i++];
    } else if (c == '\'') {
      inside = !inside;
      any = true;
    } else if ((c == ' ' || c == '\t') && !inside) {
      if (any) words.push_back(std::exchange(word, {}));
      any = false;
    } else {
      word += c;
      any = true;
    }
  }
  if (any) words.push_back(word);
  return words;
}

// The environment, in double quotes the new way; else the old one, parted by semicolons.
std::vector<std::string> split_environment(std::string_view text) {
  text = trim(text);
  if (text.starts_with('"')) return split_arguments(text);
  std::vector<std::string> variables;
  for (const std::string_view one : split(text, ';')) {
    if (!trim(one).empty()) variables.emplace_back(trim(one));
  }
  return variables;
}

struct DagNode {
  std::string name;
  std::string submit_file;
  std::string inline_text;  // instead of the file
  std::string directory;
  Macros vars;
  std::string pre, post;
  int retries = 0;
  int priority = 0;
  std::string category;
  bool noop = false;
  bool done = false;
  bool is_final = false;
  int line = 0;
};

class DagReader {
 public:
  explicit DagReader(const WorkflowInput& input) : input_(input) {}

  WorkflowFile read() {
    std::string_view name = input_.file;
    if (const auto slash = name.rfind('/'); slash != name.npos) name.remove_prefix(slash + 1);
    if (name.ends_with(".dag")) name.remove_suffix(4);
    file_.name = std::string(name);
    Scope top{.prefix = "", .file = "", .directory = input_.directory};
    read_text(input_.text, top, 0);
    for (const DagNode& node : nodes_) {
      has_priorities_ = has_priorities_ || node.priority != 0;
      highest_priority_ = std::max(highest_priority_, node.priority);
    }
    for (DagNode& node : nodes_) make_job(node);
    put_needs();
    if (!refused_.empty()) {
      fail(refused_line_, cat("cannot be honoured here: ", join(refused_, ", ")));
    }
    if (!ignored_.empty())
      file_.warnings.push_back(cat("without effect here: ", join(ignored_, ", ")));
    std::ranges::stable_sort(file_.errors, {}, &WorkflowError::line);
    return std::move(file_);
  }

 private:
  using Pins = std::map<std::int64_t, std::vector<std::string>>;
  struct Scope {  // a file, spliced under a name
    std::string prefix;
    std::string file;  // for messages; "": the top one
    std::string directory;
    std::map<std::string, std::vector<std::string>> groups{};  // a splice's jobs by its name
    std::map<std::string, std::vector<std::string>> first{}, last{};
    std::vector<std::string> own{};  // all its nodes
    // Nodes of this file by the numbers of their pins, and of each of its splices.
    Pins pins_in{}, pins_out{};
    std::map<std::string, Pins> pins_in_of{}, pins_out_of{};
  };

  void fail(int line, std::string message) {
    constexpr std::size_t kMaxErrors = 100;
    if (file_.errors.size() < kMaxErrors) file_.errors.push_back({line, std::move(message)});
  }
  static void note(std::vector<std::string>& list, std::string_view what) {
    if (std::ranges::find(list, what) == list.end()) list.emplace_back(what);
  }
  void refuse(int line, std::string_view what) {
    if (refused_.empty()) refused_line_ = line;
    note(refused_, what);
  }

  void read_text(const std::string& text, Scope& scope, int depth) {
    std::vector<std::string_view> lines = split(text, '\n');
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const int line = depth == 0 ? static_cast<int>(i + 1) : splice_line_;
      std::string whole(lines[i]);
      while (whole.ends_with('\\') && i + 1 < lines.size()) {
        whole.pop_back();
        whole += ' ';
        whole += lines[++i];
      }
      const std::string_view content = trim(whole);
      if (content.empty() || content.front() == '#') continue;
      std::vector<std::string> words = words_of(content);
      std::string inline_text;
      const bool has_inline = words.back() == "{";
      if (has_inline) {
        words.pop_back();
        for (++i; i < lines.size() && trim(lines[i]) != "}"; ++i) {
          inline_text += cat(lines[i], '\n');
        }
      }
      read_line(words, std::string(content), inline_text, line, scope, depth);
    }
  }

  void read_line(const std::vector<std::string>& words,
                 const std::string& whole,
                 const std::string& inline_text,
                 int line,
                 Scope& scope,
                 int depth) {
    const std::string keyword = upper(words[0]);
    const auto need = [&](std::size_t count) {
      if (words.size() >= count) return true;
      fail(line, cat(where(scope), keyword, ": something is missing in \"", whole, "\""));
      return false;
    };
    if (keyword == "JOB" || keyword == "NODE" || keyword == "FINAL") {
      if (need(inline_text.empty() ? 3 : 2)) add_node(words, inline_text, keyword, line, scope);
    } else if (keyword == "PARENT") {
      add_edges(words, line, scope);
    } else if (keyword == "VARS") {
      if (need(3)) add_vars(words[1], whole, line, scope);
    } else if (keyword == "SCRIPT") {
      add_script(words, line, scope);
    } else if (keyword == "RETRY") {
      if (!need(3)) return;
      const auto count = parse_count(words[2], 0, kMaxRetries);
      if (!count) return fail(line, cat(where(scope), "RETRY: \"", words[2], "\" is no number"));
      if (words.size() > 3) refuse(line, "RETRY ... UNLESS-EXIT");
      for_nodes(words[1], line, scope, [&](DagNode& n) { n.retries = static_cast<int>(*count); });
    } else if (keyword == "PRIORITY") {
      if (!need(3)) return;
      const auto value = parse_integer<int>(words[2]);
      if (!value) return fail(line, cat(where(scope), "PRIORITY: \"", words[2], "\" is no number"));
      for_nodes(words[1], line, scope, [&](DagNode& n) { n.priority = *value; });
    } else if (keyword == "CATEGORY") {
      if (need(3)) {
        for_nodes(words[1], line, scope,
                  [&](DagNode& n) { n.category = category(words[2], scope); });
      }
    } else if (keyword == "MAXJOBS") {
      if (!need(3)) return;
      const auto most = parse_count(words[2], 1, 1'000'000);
      if (!most) return fail(line, cat(where(scope), "MAXJOBS: \"", words[2], "\" is no number"));
      file_.limits.push_back({category(words[1], scope), static_cast<std::uint32_t>(*most)});
    } else if (keyword == "PIN_IN" || keyword == "PIN_OUT") {
      if (!need(3)) return;
      const auto pin = parse_count(words[2], 1, 1'000'000);
      if (!pin) {
        return fail(line, cat(where(scope), keyword, ": \"", words[2], "\" is no number of a pin"));
      }
      Pins& pins = keyword == "PIN_IN" ? scope.pins_in : scope.pins_out;
      for_nodes(words[1], line, scope, [&](DagNode& n) { pins[*pin].push_back(n.name); });
    } else if (keyword == "CONNECT") {
      if (need(3)) connect(words[1], words[2], line, scope);
    } else if (keyword == "SPLICE" && need(3)) {
      splice(words[1], words[2], words, line, scope, depth);
    } else if (keyword == "SUBDAG" && need(4)) {
      splice(words[2], words[3], words, line, scope, depth);
    } else if (keyword == "INCLUDE" && need(2)) {
      const std::string path = absolute_path(words[1], scope.directory);
      const Result<std::string> text = input_.read_script(path);
      if (!text) return fail(line, cat("INCLUDE: ", text.error().message()));
      if (depth >= kMaxDepth) return fail(line, "INCLUDE: files include each other");
      splice_line_ = line;
      read_text(*text, scope, depth + 1);
    } else if (std::ranges::find(kIgnored, keyword) != std::end(kIgnored)) {
      note(ignored_, keyword);
    } else if (std::ranges::find(kRefused, keyword) != std::end(kRefused)) {
      refuse(line, keyword);
    } else if (keyword != "SPLICE" && keyword != "SUBDAG" && keyword != "INCLUDE") {
      fail(line, cat(where(scope), "\"", words[0], "\" is no word of DAGMan"));
    }
  }

  static std::string where(const Scope& scope) {
    return scope.file.empty() ? std::string() : cat(scope.file, ": ");
  }
  // A category of a splice is its own, unless its name begins with "+".
  static std::string category(const std::string& name, const Scope& scope) {
    return name.starts_with('+') ? name.substr(1) : cat(scope.prefix, name);
  }

  void add_node(const std::vector<std::string>& words,
                const std::string& inline_text,
                const std::string& keyword,
                int line,
                Scope& scope) {
    DagNode node;
    node.name = cat(scope.prefix, words[1]);
    node.line = line;
    node.directory = scope.directory;
    node.is_final = keyword == "FINAL";
    node.inline_text = inline_text;
    std::size_t next = 2;
    if (inline_text.empty()) node.submit_file = words[next++];
    for (; next < words.size(); ++next) {
      const std::string word = upper(words[next]);
      if (word == "DIR" && next + 1 < words.size()) {
        node.directory = absolute_path(words[++next], scope.directory);
      } else if (word == "NOOP") {
        node.noop = true;
      } else if (word == "DONE") {
        node.done = true;
      } else {
        fail(line, cat(where(scope), "JOB: \"", words[next], "\" is not DIR, NOOP or DONE"));
      }
    }
    if (index_.contains(node.name)) {
      return fail(line, cat(where(scope), "there are two nodes \"", node.name, "\""));
    }
    index_[node.name] = nodes_.size();
    scope.own.push_back(node.name);
    nodes_.push_back(std::move(node));
  }

  // The nodes that a name stands for here; ALL_NODES; a splice's by its name.
  std::vector<std::string> named(const std::string& name, int line, Scope& scope) {
    if (upper(name) == "ALL_NODES") return scope.own;
    if (const auto group = scope.groups.find(name); group != scope.groups.end())
      return group->second;
    const std::string full = cat(scope.prefix, name);
    if (index_.contains(full)) return {full};
    fail(line, cat(where(scope), "there is no node \"", name, "\""));
    return {};
  }
  template <typename F>
  void for_nodes(const std::string& name, int line, Scope& scope, F change) {
    for (const std::string& one : named(name, line, scope)) change(nodes_[index_.at(one)]);
  }

  void add_edges(const std::vector<std::string>& words, int line, Scope& scope) {
    const auto child =
        std::ranges::find_if(words, [](const auto& w) { return upper(w) == "CHILD"; });
    if (child == words.end() || child + 1 == words.end() || child == words.begin() + 1) {
      return fail(line, cat(where(scope), "PARENT: write PARENT a b CHILD c d"));
    }
    const auto ends = [&](auto begin, auto end, auto& of_splice) {
      std::vector<std::string> out;
      for (auto word = begin; word != end; ++word) {
        if (const auto some = of_splice.find(*word); some != of_splice.end()) {
          out.insert(out.end(), some->second.begin(), some->second.end());
        } else {
          const auto one = named(*word, line, scope);
          out.insert(out.end(), one.begin(), one.end());
        }
      }
      return out;
    };
    const auto parents = ends(words.begin() + 1, child, scope.last);
    const auto children = ends(child + 1, words.end(), scope.first);
    for (const auto& p : parents) {
      for (const auto& c : children) edges_.push_back({p, c, line});
    }
  }

  // VARS node a="1" b="$(JOB)"; \" and \\ within the quotes.
  void add_vars(const std::string& name, const std::string& whole, int line, Scope& scope) {
    Macros vars;
    // The name stands behind the keyword, in whose letters it may be found as well.
    const std::size_t behind = whole.find_first_of(" \t", whole.find_first_not_of(" \t"));
    std::size_t at = whole.find(name, behind) + name.size();
    for (;;) {
      at = whole.find_first_not_of(" \t", at);
      if (at == whole.npos) break;
      const std::string word = upper(whole.substr(at, whole.find_first_of(" \t=", at) - at));
      if (word == "PREPEND" || word == "APPEND") return refuse(line, cat("VARS ... ", word));
      const std::size_t equals = whole.find('=', at);
      const std::size_t open = equals == whole.npos ? whole.npos : whole.find('"', equals);
      if (open == whole.npos) {
        return fail(line, cat(where(scope), "VARS: write VARS node name=\"value\""));
      }
      std::string value;
      std::size_t end = open + 1;
      for (; end < whole.size() && whole[end] != '"'; ++end) {
        if (whole[end] == '\\' && end + 1 < whole.size()) ++end;
        value += whole[end];
      }
      vars[lower(trim(whole.substr(at, equals - at)))] = value;
      at = end + 1;
    }
    for_nodes(name, line, scope, [&](DagNode& n) {
      for (const auto& [key, value] : vars) n.vars[key] = value;
    });
  }

  void add_script(const std::vector<std::string>& words, int line, Scope& scope) {
    std::size_t at = 1;
    if (at < words.size() && upper(words[at]) == "DEFER") at += 3;
    if (at < words.size() && upper(words[at]) == "DEBUG") at += 3;
    if (at + 2 >= words.size()) {
      return fail(line, cat(where(scope), "SCRIPT: write SCRIPT PRE node command"));
    }
    const std::string when = upper(words[at]);
    if (when != "PRE" && when != "POST") return refuse(line, cat("SCRIPT ", when));
    for_nodes(words[at + 1], line, scope, [&](DagNode& node) {
      std::string command;
      for (std::size_t i = at + 2; i < words.size(); ++i) {
        command += cat(command.empty() ? "" : " ", script_word(words[i], node, line));
      }
      (when == "PRE" ? node.pre : node.post) = command;
    });
  }
  // What DAGMan puts in, here as the shell knows it.
  std::string script_word(const std::string& word, const DagNode& node, int line) {
    const std::string macro = upper(word);
    if (macro == "$JOB" || macro == "$NODE") return quoted_word(node.name);
    if (macro == "$RETURN") return "\"$JOB_EXIT_CODE\"";
    if (macro == "$RETRY") return "\"$JOB_RESTART_COUNT\"";
    if (macro == "$MAX_RETRIES") return cat(node.retries);
    if (macro == "$JOBID") return "\"$JOB_ID\"";
    if (macro.starts_with('$')) refuse(line, cat("SCRIPT ... ", word));
    return quoted_word(word);
  }

  void splice(const std::string& name,
              const std::string& file,
              const std::vector<std::string>& words,
              int line,
              Scope& scope,
              int depth) {
    if (depth >= kMaxDepth) return fail(line, cat("SPLICE ", name, ": files splice each other"));
    std::string directory = scope.directory;
    for (std::size_t i = 3; i + 1 < words.size(); ++i) {
      if (upper(words[i]) == "DIR") directory = absolute_path(words[i + 1], scope.directory);
    }
    const std::string path = absolute_path(file, directory);
    const Result<std::string> text = input_.read_script(path);
    if (!text) return fail(line, cat("SPLICE ", name, ": ", text.error().message()));
    Scope inner{.prefix = cat(scope.prefix, name, '+'), .file = file, .directory = directory};
    if (depth == 0) splice_line_ = line;
    const std::size_t edges_before = edges_.size();
    read_text(*text, inner, depth + 1);
    std::set<std::string> has_parent;
    std::set<std::string> has_child;
    for (std::size_t i = edges_before; i < edges_.size(); ++i) {
      has_parent.insert(edges_[i].to);
      has_child.insert(edges_[i].from);
    }
    for (const std::string& one : inner.own) {
      if (!has_parent.contains(one)) scope.first[name].push_back(one);
      if (!has_child.contains(one)) scope.last[name].push_back(one);
    }
    scope.pins_in_of[name] = std::move(inner.pins_in);
    scope.pins_out_of[name] = std::move(inner.pins_out);
    scope.groups[name] = inner.own;
    scope.own.insert(scope.own.end(), inner.own.begin(), inner.own.end());
  }

  // Every node at a pin of the one splice is a parent of every node at the same pin of the other.
  void connect(const std::string& upper_one, const std::string& lower_one, int line, Scope& scope) {
    for (const std::string& name : {upper_one, lower_one}) {
      if (!scope.groups.contains(name)) {
        return fail(line, cat(where(scope), "CONNECT: there is no splice \"", name, "\""));
      }
    }
    const Pins& out = scope.pins_out_of[upper_one];
    const Pins& in = scope.pins_in_of[lower_one];
    if (out.empty() || in.empty()) {
      return fail(line, cat(where(scope), "CONNECT: ", out.empty() ? upper_one : lower_one,
                            out.empty() ? " has no PIN_OUT" : " has no PIN_IN"));
    }
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    if (!std::equal(out.begin(), out.end(), in.begin(), in.end(), same)) {
      return fail(line, cat(where(scope), "CONNECT: the pins of ", upper_one, " and ", lower_one,
                            " do not have the same numbers"));
    }
    std::set<std::string> connected;
    for (const auto& [pin, nodes] : in) connected.insert(nodes.begin(), nodes.end());
    for (const std::string& node : scope.first[lower_one]) {
      if (!connected.contains(node)) {
        return fail(line, cat(where(scope), "CONNECT: node ", node, " of ", lower_one,
                              " has neither a parent nor a PIN_IN"));
      }
    }
    for (const auto& [pin, parents] : out) {
      for (const std::string& parent : parents) {
        for (const std::string& child : in.at(pin)) edges_.push_back({parent, child, line});
      }
    }
  }

  // ---- from nodes to jobs -----------------------------------------------------------------------

  void make_job(const DagNode& node) {
    WorkflowJob job;
    job.name = node.name;
    job.line = node.line;
    job.category = node.category;
    job.is_final = node.is_final;
    JobDraft draft;
    draft.now = input_.around.now;
    draft.source = OptionSource::Script;
    ProgramText program;
    program.default_name = node.name;
    Surroundings around = input_.around;
    around.directory = node.directory;
    if (node.noop || node.done) {
      program.argv = {"/bin/true"};
    } else if (!read_submit(node, draft, program, around)) {
      return;
    }
    draft.retries = node.retries;
    // Higher is earlier with DAGMan, and later here; a node that has none has 0.
    if (has_priorities_) {
      const std::int64_t below = std::int64_t{highest_priority_} - node.priority;
      draft.nice = static_cast<std::int32_t>(std::min<std::int64_t>(below, 1'000'000));
    }
    draft.source = OptionSource::CommandLine;
    if (!apply_options(draft, input_.command_line)) return;
    const bool has_scripts = !node.done && (!node.pre.empty() || !node.post.empty());
    ProgramText with_id = program;
    put_id_in(with_id, draft.env);
    if (has_scripts || !with_id.script.empty()) {
      JobDraft trial = draft;
      const Result<JobSpec> alone = make_spec(trial, program, around);
      if (alone && alone->total_tasks() > 1) {
        return fail(node.line, cat("node ", node.name,
                                   ": SCRIPT and $(Cluster) are for a program "
                                   "that is started once, and this one has ",
                                   alone->total_tasks(), " tasks"));
      }
    }
    program = std::move(with_id);
    if (has_scripts) {
      program.script = wrap_program(node.pre, program, node.post);
      program.argv.clear();
    }
    Result<JobSpec> spec = make_spec(draft, program, around);
    if (!spec) return fail(node.line, cat("node ", node.name, ": ", spec.error().message()));
    job.spec = *std::move(spec);
    job.spec.name = node.name;
    if (draft.image) job.image = absolute_path(*draft.image, node.directory);
    file_.choices = draft.choices;
    file_.jobs.push_back(std::move(job));
  }

  bool read_submit(const DagNode& node,
                   JobDraft& draft,
                   ProgramText& program,
                   Surroundings& around) {
    std::string text = node.inline_text;
    std::string name = cat("node ", node.name);
    if (text.empty()) {
      name = node.submit_file;
      const Result<std::string> found =
          input_.read_script(absolute_path(node.submit_file, node.directory));
      if (!found) {
        fail(node.line, cat("node ", node.name, ": ", found.error().message()));
        return false;
      }
      text = *found;
    }
    Macros macros = node.vars;
    for (auto& [key, value] : macros) {
      Macros job;
      job["job"] = node.name;
      value = expand(value, job);
    }
    macros["job"] = macros["node"] = node.name;
    macros["cluster"] = macros["clusterid"] = std::string(1, kIdMark);
    macros["process"] = macros["procid"] = "0";
    Macros commands;
    for (const std::string_view raw : split(text, '\n')) {
      const std::string_view line = trim(raw);
      if (line.empty() || line.front() == '#') continue;
      if (lower(line).starts_with("queue")) {
        const std::string_view count = trim(line.substr(5));
        if (!count.empty() && count != "1") refuse(node.line, cat(name, ": queue ", count));
        continue;
      }
      const std::size_t equals = line.find('=');
      if (equals == line.npos) {
        fail(node.line, cat(name, ": \"", line, "\" is no line of a submit file"));
        return false;
      }
      const std::string key = lower(trim(line.substr(0, equals)));
      commands[key] = std::string(trim(line.substr(equals + 1)));
      if (!node.vars.contains(key)) macros[key] = commands[key];
    }
    const auto take_with_id = [&](const char* key) -> std::optional<std::string> {
      const auto found = commands.find(key);
      if (found == commands.end()) return std::nullopt;
      std::string value = expand(found->second, macros);
      commands.erase(found);
      return value;
    };
    const auto take = [&](const char* key) {
      std::optional<std::string> value = take_with_id(key);
      if (value && has_mark(*value)) {
        fail(node.line, cat(name, ": ", key, ": $(Cluster) is known only when the job is there"));
      }
      return value;
    };
    const auto executable = take("executable");
    if (!executable || executable->empty()) {
      fail(node.line, cat(name, ": it names no executable"));
      return false;
    }
    if (const auto directory = take("initialdir")) {
      around.directory = absolute_path(*directory, node.directory);
    }
    // Seen from where the DAG is, whatever initialdir is for the files.
    program.argv = {absolute_path(*executable, node.directory)};
    if (const auto arguments = take_with_id("arguments")) {
      for (std::string& word : split_arguments(*arguments)) program.argv.push_back(std::move(word));
    }
    const auto option = [&](const char* key, const char* as, auto translate) {
      const bool is_file = std::string_view(as) == key;
      const auto value = is_file ? take_with_id(key) : take(key);
      if (!value || value->empty()) return;
      const Result<void> applied =
          apply_named(draft, as, translate(*value), cat(name, ": ", key), Place{});
      if (!applied) fail(node.line, std::string(applied.error().message()));
    };
    const auto same = [](const std::string& value) { return value; };
    const auto file = [](const std::string& value) { return file_with_id(value); };
    option("output", "output", file);
    option("error", "error", file);
    option("input", "input", file);
    option("request_cpus", "cpus-per-task", same);
    option("request_gpus", "gpus", same);
    option("request_memory", "mem", [](std::string value) {
      std::erase(value, ' ');
      for (const char* const unit : {"GB", "MB", "KB"}) {
        if (value.ends_with(unit)) value.pop_back();
      }
      return value;
    });
    if (const auto environment = take_with_id("environment")) {
      for (const std::string& one : split_environment(*environment)) {
        if (has_mark(one) && !is_variable_name(one.substr(0, one.find('=')))) {
          fail(node.line, cat(name, ": environment: \"", one.substr(0, one.find('=')),
                              "\" is no name of a variable"));
        }
        draft.env.push_back(one);
      }
    }
    draft.export_list = "NONE";
    if (const auto getenv = take("getenv")) {
      const std::string value = lower(*getenv);
      draft.export_list = value == "true" ? "ALL" : value == "false" ? "NONE" : *getenv;
    }
    if (const auto universe = take("universe")) {
      const std::string value = lower(*universe);
      if (value != "vanilla" && value != "local" && value != "scheduler") {
        refuse(node.line, cat("universe = ", value));
      }
    }
    if (const auto notification = take("notification");
        notification && lower(*notification) != "never") {
      static_cast<void>(apply_named(draft, "mail-type",
                                    lower(*notification) == "error" ? "FAIL" : "END",
                                    "notification", Place{}));
    }
    for (const auto& [key, value] : commands) {
      if (std::ranges::find(kRefusedInSubmit, key) != std::end(kRefusedInSubmit)) {
        refuse(node.line, key);
      } else if (!node.vars.contains(key) && text.find(cat("$(", key, ")")) == text.npos) {
        note(ignored_, key);
      }
    }
    return true;
  }

  void put_needs() {
    std::map<std::string, std::size_t> jobs;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < file_.jobs.size(); ++i) {
      jobs[file_.jobs[i].name] = i;
      names.push_back(file_.jobs[i].name);
    }
    std::vector<GraphEdge> graph;
    std::set<std::pair<std::string, std::string>> seen;
    for (const Edge& edge : edges_) {
      if (!jobs.contains(edge.from) || !jobs.contains(edge.to)) continue;
      if (!seen.insert({edge.from, edge.to}).second) continue;
      file_.jobs[jobs[edge.to]].needs.push_back({edge.from, NeedOutcome::Success});
      graph.push_back(
          {static_cast<std::uint32_t>(jobs[edge.from]), static_cast<std::uint32_t>(jobs[edge.to])});
    }
    for (WorkflowJob& job : file_.jobs) {
      if (!job.is_final) continue;
      for (const WorkflowJob& other : file_.jobs) {
        if (!other.is_final) job.needs.push_back({other.name, NeedOutcome::Any});
      }
    }
    const auto order = order_graph(names, std::vector<std::int64_t>(names.size(), 1), graph);
    if (!order) fail(edges_.front().line, cat("the nodes have a cycle: ", order.error().message()));
    if (file_.jobs.empty() && file_.errors.empty()) fail(0, "it has no node");
  }

  struct Edge {
    std::string from, to;
    int line = 0;
  };
  const WorkflowInput& input_;
  WorkflowFile file_;
  std::vector<DagNode> nodes_;
  std::map<std::string, std::size_t> index_;
  std::vector<Edge> edges_;
  std::vector<std::string> ignored_, refused_;
  int refused_line_ = 0;
  int splice_line_ = 0;
  bool has_priorities_ = false;
  int highest_priority_ = 0;
};

}  // namespace

WorkflowFile parse_dagman(const WorkflowInput& input) { return DagReader(input).read(); }

}  // namespace gangway::submit
