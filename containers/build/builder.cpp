#include "containers/build/builder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "containers/build/build_stage.hpp"
#include "containers/build/copy_step.hpp"
#include "containers/build/dockerfile_plan.hpp"
#include "containers/build/image_import.hpp"
#include "containers/build/json_words.hpp"
#include "containers/build/source_files.hpp"
#include "containers/tree_walk.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Variables platform_variables() {
  const Platform platform = this_platform();
  Variables out;
  for (const char* side : {"BUILD", "TARGET"}) {
    out[cat(side, "PLATFORM")] = cat(platform.os, "/", platform.architecture);
    out[cat(side, "OS")] = platform.os;
    out[cat(side, "ARCH")] = platform.architecture;
    out[cat(side, "VARIANT")] = platform.variant;
  }
  return out;
}

// "/a" under "/w" is "/a", "b/" is "/w/b/": with what a trailing slash says.
std::string absolute_in(const std::string& workdir, const std::string& path) {
  std::string out;
  for (const std::string& part :
       path_components(path.starts_with('/') ? path : cat(workdir, "/", path))) {
    if (part == "..") {
      out.resize(out.rfind('/') == std::string::npos ? 0 : out.rfind('/'));
    } else {
      out += "/" + part;
    }
  }
  const bool directory = path.ends_with('/') || path == "." || path.ends_with("/.") ||
                         path == ".." || path.ends_with("/..");
  if (out.empty()) return "/";
  return directory ? out + "/" : out;
}

std::string text_of(const Command& command) {
  return command.shell ? command.words.empty() ? "" : command.words[0]
                       : render_json_words(command.words);
}

class Builder {
 public:
  Builder(const ImageLibrary& library, const BuildRequest& request, const BuildProgress& progress)
      : library_(library), request_(request), progress_(progress) {}

  Result<NamedManifest> build() {
    // What the caller's says is no part of an image.
    umask(022);
    GANGWAY_TRY(read_files());
    GANGWAY_ASSIGN(plan_,
                   plan_stages(file_, request_.target, request_.build_args, platform_variables()));
    for (const std::string& warning : file_.warnings) progress_.warning(warning);
    for (const std::string& name : plan_.unknown_args) {
      progress_.warning(cat("--build-arg ", name, ": no ARG of ", file_.name, " is called so"));
    }
    GANGWAY_ASSIGN(work_, make_work());
    stages_.resize(file_.stages.size());
    for (const std::size_t index : plan_.needed)
      total_ += 1 + file_.stages[index].instructions.size();
    for (const std::size_t index : plan_.needed) GANGWAY_TRY(build_stage(index));

    BuildStage& last = *stages_[plan_.needed.back()];
    if (request_.epoch_s) last.image.created = render_rfc3339(*request_.epoch_s);
    GANGWAY_ASSIGN(NamedManifest manifest, store_image(library_, last.image, last.layers));
    for (const std::string& name : request_.names) {
      manifest.name = name;
      GANGWAY_TRY(library_.set(manifest));
    }
    return manifest;
  }

 private:
  Result<std::unique_ptr<WorkDirectory>> make_work() {
    GANGWAY_ASSIGN(WorkDirectory work, library_.make_work_directory());
    return std::make_unique<WorkDirectory>(std::move(work));
  }

  Result<void> read_files() {
    std::string path = request_.dockerfile;
    if (path.empty()) path = request_.context + "/Dockerfile";
    std::string text = request_.text;
    std::string name = "Dockerfile";
    if (text.empty()) {
      GANGWAY_ASSIGN(text, read_small_file(path, kMaxDockerfileBytes));
      if (!request_.dockerfile.empty()) name = path;
    }
    GANGWAY_ASSIGN(file_, parse_dockerfile(text, name));
    IgnoreRules ignored;
    for (const std::string& candidate :
         {path + ".dockerignore", request_.context + "/.dockerignore"}) {
      const Result<std::string> rules = read_small_file(candidate);
      if (!rules && rules.error().kind() == ErrorKind::NotFound) continue;
      if (!rules) return rules.error();
      const std::size_t slash = candidate.rfind('/');
      GANGWAY_ASSIGN(ignored, IgnoreRules::parse(*rules, candidate.substr(slash + 1)));
      break;
    }
    GANGWAY_ASSIGN(SourceFiles context, SourceFiles::open(request_.context, std::move(ignored)));
    context_.emplace(std::move(context));
    return {};
  }

  Error at(int line, const Error& error) const {
    return error.with_context(cat(file_.name, ":", line));
  }

  void begin(std::string_view what) {
    ++step_;
    progress_.step_begins(cat(step_, "/", total_), what);
  }

  Result<std::unique_ptr<BuildStage>> new_stage(const std::string& name) {
    return std::make_unique<BuildStage>(
        library_, StepSettings{request_.epoch_s, request_.compression, request_.use_cache},
        cat(work_->path(), "/", name));
  }

  // The image that a FROM or --from names: given for this build, or of the library.
  Result<NamedManifest> find_image(const std::string& name) {
    if (const auto given = request_.images.find(name); given != request_.images.end()) {
      return import_image(library_, given->second);
    }
    // What is pinned by its digest is that, whatever it is called now.
    if (const std::size_t at_sign = name.find('@'); at_sign != std::string::npos) {
      GANGWAY_ASSIGN(const Digest digest, Digest::parse(name.substr(at_sign + 1)));
      if (const auto text = read_small_file(library_.blob_path(digest), kMaxDocumentBytes)) {
        return NamedManifest{name, digest, static_cast<std::int64_t>(text->size()), {}};
      }
      return Error(ErrorKind::NotFound, cat("image ", name, " is not in ", library_.path()));
    }
    GANGWAY_ASSIGN(const std::string normal, normalise_image_name(name));
    GANGWAY_ASSIGN(const std::optional<NamedManifest> found, library_.find(normal));
    if (found) return *found;
    GANGWAY_ASSIGN(const std::vector<NamedManifest> all, library_.list());
    std::vector<std::string> names;
    names.reserve(all.size());
    for (const NamedManifest& manifest : all) names.push_back(manifest.name);
    const std::string hint = nearest(normal, names);
    return Error(ErrorKind::NotFound,
                 cat("no image ", name, " in ", library_.path(),
                     hint.empty() ? "" : cat("; did you mean ", hint, "?"),
                     " (jimage bootstrap makes base images, jimage tag brings others in)"));
  }

  Result<void> build_stage(std::size_t index) {
    const Stage& description = file_.stages[index];
    const StageBase& base = plan_.bases[index];
    begin(cat("FROM ", base.kind == StageBase::Kind::Scratch ? "scratch"
                       : base.kind == StageBase::Kind::Image ? base.image
                                                             : description.base));
    GANGWAY_ASSIGN(stages_[index], new_stage(cat("stage", index)));
    stage_ = stages_[index].get();
    if (const auto begun = begin_stage(description, base); !begun) {
      return at(description.line, begun.error());
    }
    progress_.step_ends(false);
    const std::vector<std::string> triggers = std::exchange(stage_->image.on_build, {});
    for (const std::string& trigger : triggers) {
      const std::string place = cat(file_.name, ":", description.line, ": ONBUILD of ", base.image);
      GANGWAY_ASSIGN(Instruction instruction, parse_trigger(trigger, place));
      instruction.line = description.line;
      ++total_;
      GANGWAY_TRY(carry_out(index, instruction));
    }
    for (const Instruction& instruction : description.instructions) {
      GANGWAY_TRY(carry_out(index, instruction));
    }
    return {};
  }

  Result<void> begin_stage(const Stage& description, const StageBase& base) {
    if (!description.platform.empty()) {
      GANGWAY_ASSIGN(const std::string wanted,
                     expand_word(description.platform, plan_.globals, file_.escape));
      const Platform here = this_platform();
      const std::string mine = cat(here.os, "/", here.architecture);
      if (wanted != mine && wanted != here.os && !wanted.starts_with(mine + "/")) {
        return Error(ErrorKind::Unsupported,
                     cat("--platform=", wanted, ": this machine runs ", mine, " alone"));
      }
    }
    if (base.kind == StageBase::Kind::Stage) {
      const BuildStage& other = *stages_[base.stage];
      stage_->image = other.image;
      stage_->layers = other.layers;
      stage_->shell = other.shell;
      return {};
    }
    if (base.kind == StageBase::Kind::Scratch) return {};
    GANGWAY_ASSIGN(const NamedManifest manifest, find_image(base.image));
    GANGWAY_ASSIGN(LoadedImage image, load_image(library_, manifest.digest));
    stage_->image = std::move(image.settings);
    stage_->layers = std::move(image.layers);
    if (!stage_->image.shell.empty()) stage_->shell = stage_->image.shell;
    return {};
  }

  Result<void> carry_out(std::size_t index, const Instruction& instruction) {
    index_ = index;
    begin(instruction.text);
    is_remembered_ = false;
    is_empty_ = true;
    Result<void> done =
        std::visit([&](const auto& action) { return perform(action); }, instruction.action);
    if (!done) return at(instruction.line, done.error());
    stage_->add_history(instruction.text, is_empty_);
    progress_.step_ends(is_remembered_);
    return {};
  }

  Result<std::string> expand(const std::string& word) const {
    return expand_word(word, stage_->variables(), file_.escape);
  }

  // ---- instructions that change the image's settings alone
  // ---------------------------------------

  Result<NameValues> expand_values(const NameValues& values) const {
    NameValues out;
    for (const auto& [name, value] : values) {
      GANGWAY_ASSIGN(std::string expanded_name, expand(name));
      GANGWAY_ASSIGN(std::string expanded, expand(value));
      out.emplace_back(std::move(expanded_name), std::move(expanded));
    }
    return out;
  }

  Result<void> perform(const Env& env) {
    GANGWAY_ASSIGN(const NameValues values, expand_values(env.values));
    for (const auto& [name, value] : values) set_env(stage_->image.env, name, value);
    return {};
  }
  Result<void> perform(const Label& label) {
    GANGWAY_ASSIGN(const NameValues values, expand_values(label.values));
    for (const auto& [name, value] : values) stage_->image.labels[name] = value;
    return {};
  }
  Result<void> perform(const Arg& arg) {
    for (const auto& [name, value] : arg.values) {
      const auto given = request_.build_args.find(name);
      const auto global = plan_.globals.find(name);
      if (given != request_.build_args.end()) {
        stage_->args[name] = given->second;
      } else if (value) {
        GANGWAY_ASSIGN(stage_->args[name], expand(*value));
      } else if (global != plan_.globals.end()) {
        stage_->args[name] = global->second;
      }
    }
    return {};
  }
  Result<void> perform(const User& user) {
    GANGWAY_ASSIGN(stage_->image.user, expand(user.name));
    return {};
  }
  Result<void> perform(const Cmd& cmd) {
    stage_->image.cmd = words_of(cmd.command);
    has_cmd_ = index_;
    return {};
  }
  Result<void> perform(const Entrypoint& entrypoint) {
    stage_->image.entrypoint = words_of(entrypoint.command);
    // An inherited CMD was meant for another program.
    if (has_cmd_ != index_) stage_->image.cmd.clear();
    return {};
  }
  Result<void> perform(const Shell& shell) {
    stage_->shell = shell.words;
    stage_->image.shell = shell.words;
    return {};
  }
  Result<void> perform(const Expose& expose) {
    for (const std::string& port : expose.ports) {
      GANGWAY_ASSIGN(const std::vector<std::string> words,
                     expand_words(port, stage_->variables(), file_.escape));
      for (const std::string& word : words) GANGWAY_TRY(expose_port(word));
    }
    return {};
  }
  Result<void> expose_port(const std::string& word) {
    const std::size_t slash = word.find('/');
    const std::string protocol = slash == std::string::npos ? "tcp" : word.substr(slash + 1);
    const std::string range = word.substr(0, slash);
    const std::size_t dash = range.find('-');
    const auto first = parse_integer<int>(range.substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : parse_integer<int>(range.substr(dash + 1));
    const bool fits = first && last && *first > 0 && *first <= *last && *last <= 65535;
    if (!fits || (protocol != "tcp" && protocol != "udp" && protocol != "sctp")) {
      return Error(ErrorKind::Invalid, cat("EXPOSE ", word, ": not a port"));
    }
    for (int port = *first; port <= *last; ++port) {
      stage_->image.exposed_ports.insert(cat(port, "/", protocol));
    }
    return {};
  }
  Result<void> perform(const Volume& volume) {
    for (const std::string& path : volume.paths) {
      GANGWAY_ASSIGN(const std::string expanded, expand(path));
      stage_->image.volumes.insert(expanded);
    }
    return {};
  }
  Result<void> perform(const StopSignal& signal) {
    GANGWAY_ASSIGN(stage_->image.stop_signal, expand(signal.signal));
    return {};
  }
  Result<void> perform(const Healthcheck& check) {
    HealthSettings health{.test = {"NONE"},
                          .interval = check.interval,
                          .timeout = check.timeout,
                          .start_period = check.start_period,
                          .start_interval = check.start_interval,
                          .retries = check.retries};
    if (check.command) {
      health.test = check.command->words;
      health.test.insert(health.test.begin(), check.command->shell ? "CMD-SHELL" : "CMD");
    }
    stage_->image.health = std::move(health);
    return {};
  }
  Result<void> perform(const OnBuild& on_build) {
    stage_->image.on_build.push_back(on_build.line);
    return {};
  }
  Result<void> perform(const Maintainer& maintainer) {
    stage_->image.author = maintainer.name;
    return {};
  }

  [[nodiscard]] std::vector<std::string> words_of(const Command& command) const {
    if (!command.shell) return command.words;
    if (command.words.empty()) return {};
    std::vector<std::string> words = stage_->shell;
    words.push_back(command.words[0]);
    return words;
  }

  // ---- steps that make layers
  // --------------------------------------------------------------------

  Result<void> step(const std::string& description,
                    bool set_all_times,
                    const std::function<Result<BuildStage::Owner>()>& change) {
    const std::size_t before = stage_->layers.size();
    GANGWAY_ASSIGN(is_remembered_, stage_->step(description, set_all_times, change));
    is_empty_ = stage_->layers.size() == before;
    return {};
  }

  [[nodiscard]] std::string workdir() const {
    return stage_->image.workdir.empty() ? "/" : stage_->image.workdir;
  }

  Result<void> perform(const Workdir& change) {
    GANGWAY_ASSIGN(const std::string path, expand(change.path));
    std::string directory = absolute_in(workdir(), path);
    while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
    stage_->image.workdir = directory;
    if (directory == "/") return {};
    return step(cat("workdir ", directory, " ", stage_->image.user), true,
                [&]() -> Result<BuildStage::Owner> {
                  GANGWAY_ASSIGN(const std::string tree, stage_->tree());
                  const Fd root(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                  if (!root) return errno_error(tree, errno);
                  GANGWAY_TRY(make_directories_in_tree(root.get(), directory, false));
                  return BuildStage::Owner{};
                });
  }

  // Where --from points, its files, and what its contents are called in a step's key.
  struct Source {
    const SourceFiles* files = nullptr;
    std::string content;  // "": each match is hashed
    std::string directory;
  };
  Result<BuildStage*> find_from(const std::string& from) {
    const std::size_t other = find_stage(file_, from, index_);
    if (other != std::string::npos) return stages_[other].get();
    auto& image = images_[from];
    if (!image) {
      GANGWAY_ASSIGN(const NamedManifest manifest, find_image(from));
      GANGWAY_ASSIGN(LoadedImage loaded, load_image(library_, manifest.digest));
      GANGWAY_ASSIGN(image, new_stage(cat("from", images_.size())));
      image->image = std::move(loaded.settings);
      image->layers = std::move(loaded.layers);
    }
    return image.get();
  }

  Result<void> perform(const Copy& copy) {
    CopyJob job;
    job.unpack = copy.add;
    GANGWAY_ASSIGN(const std::string destination, expand(copy.destination));
    job.destination = absolute_in(workdir(), destination);
    if (!copy.chmod.empty()) {
      GANGWAY_ASSIGN(const std::string chmod, expand(copy.chmod));
      mode_t mode = 0;
      for (const char c : chmod) {
        if (c < '0' || c > '7' || chmod.size() > 5) {
          return Error(ErrorKind::Invalid, cat("--chmod=", chmod, ": not an octal mode"));
        }
        mode = mode * 8 + static_cast<mode_t>(c - '0');
      }
      job.mode = mode & 07777;
    }
    GANGWAY_ASSIGN(const std::string chown, expand(copy.chown));
    std::vector<std::string> patterns;
    std::vector<InlineFile> inline_files;
    std::string description = cat(copy.add ? "add" : "copy", "\nto ", job.destination, "\nchown ",
                                  chown, "\nchmod ", job.mode ? cat(*job.mode) : "-", "\n");
    std::size_t heredoc = 0;
    for (const std::string& source : copy.sources) {
      if (source.starts_with("<<") && heredoc < copy.heredocs.size()) {
        const Heredoc& text = copy.heredocs[heredoc++];
        InlineFile file{text.name, text.text};
        if (text.expand) {
          GANGWAY_ASSIGN(file.text, expand_text(text.text, stage_->variables(), file_.escape));
        }
        description += cat("inline ", file.name, " ", sha256_hex(file.text), "\n");
        inline_files.push_back(std::move(file));
        continue;
      }
      GANGWAY_ASSIGN(const std::string expanded, expand(source));
      patterns.push_back(expanded);
    }
    GANGWAY_ASSIGN(IgnoreRules excludes,
                   IgnoreRules::parse(join(copy.excludes, "\n"), "--exclude"));

    // A stage's contents are known by their digest before its tree is there.
    BuildStage* from = nullptr;
    if (!copy.from.empty()) {
      GANGWAY_ASSIGN(from, find_from(copy.from));
      description += cat("from ", from->content(), "\n", join(patterns, "\n"), "\nexclude ",
                         join(copy.excludes, "\n"), "\n");
    }
    std::vector<SourceMatch> matches;
    if (from == nullptr) {
      GANGWAY_ASSIGN(matches, match_all(*context_, patterns, excludes));
      GANGWAY_ASSIGN(const std::string digest, context_->digest(matches));
      description += cat("context ", digest, "\n");
    }
    const bool several = patterns.size() + inline_files.size() > 1;
    const bool slash = job.destination.ends_with('/');
    if (several && !slash) {
      return Error(ErrorKind::Invalid,
                   cat("several sources need a directory as destination, with a "
                       "'/' at its end: ",
                       destination, "/"));
    }
    const auto change = [&]() -> Result<BuildStage::Owner> {
      GANGWAY_ASSIGN(job.tree, stage_->tree());
      BuildStage::Owner owner;
      if (!chown.empty()) {
        GANGWAY_ASSIGN(const TreeUser user, find_tree_user(job.tree, chown));
        owner = {user.uid, user.gid};
        // "--chown=1000" is that group too.
        if (chown.find(':') == std::string::npos && parse_integer<std::int64_t>(chown)) {
          owner.gid = user.uid;
        }
      }
      if (from == nullptr) {
        job.into_directory = matches.size() > 1;
        GANGWAY_TRY(copy_into(job, *context_, matches, inline_files));
        return owner;
      }
      GANGWAY_ASSIGN(const std::string tree, from->tree());
      GANGWAY_ASSIGN(const SourceFiles files, SourceFiles::open(tree, IgnoreRules()));
      GANGWAY_ASSIGN(matches, match_all(files, patterns, excludes));
      job.into_directory = matches.size() > 1;
      GANGWAY_TRY(copy_into(job, files, matches, inline_files));
      return owner;
    };
    return step(description, true, change);
  }

  Result<std::vector<SourceMatch>> match_all(const SourceFiles& files,
                                             const std::vector<std::string>& patterns,
                                             const IgnoreRules& excludes) const {
    std::vector<SourceMatch> all;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      Result<std::vector<SourceMatch>> found = files.match(patterns[i], excludes);
      if (!found && found.error().kind() == ErrorKind::NotFound) {
        // "package*. json" for "package*.json".
        std::string hint;
        for (std::size_t left = i > 0 ? i - 1 : 0; left <= i && hint.empty(); ++left) {
          if (left + 1 >= patterns.size()) break;
          const std::string joined = patterns[left] + patterns[left + 1];
          if (files.match(joined, excludes)) hint = cat("; did you mean ", joined, "?");
        }
        if (hint.empty() && files.is_filtered()) hint = " (.dockerignore leaves files out)";
        return Error(
            ErrorKind::NotFound,
            cat(patterns[i], ": nothing of that name in ",
                &files == &*context_ ? cat("the context ", request_.context) : std::string("it"),
                hint));
      }
      if (!found) return found.error();
      std::ranges::move(*found, std::back_inserter(all));
    }
    return all;
  }

  // ---- RUN
  // ---------------------------------------------------------------------------------------

  struct RunMounts {
    std::vector<TreeBind> binds;
    std::string description;
    std::vector<std::pair<std::string, std::string>> env;  // of secrets
    // What needs a tree or a copy, done only if the command is run.
    std::vector<std::function<Result<TreeBind>()>> later;
  };

  Result<void> perform(const Run& run) {
    RunMounts mounts;
    for (const RunMount& mount : run.mounts) GANGWAY_TRY(add_mount(mount, mounts));
    TreeCommand command;
    command.argv = words_of(run.command);
    command.network = run.network && request_.network;
    command.workdir = workdir();
    std::string script;
    if (run.command.shell && !run.heredocs.empty()) add_heredocs(run, command, script);
    std::string description =
        cat("run\n", render_json_words(command.argv), "\n", script, "\n", command.workdir, "\n",
            stage_->image.user, "\n", command.network ? "" : "no network\n", mounts.description);
    for (const auto& [name, value] : stage_->variables()) {
      if (!is_proxy_variable(name)) description += cat(name, "=", value, "\n");
    }
    return step(description, false, [&]() -> Result<BuildStage::Owner> {
      GANGWAY_ASSIGN(command.tree, stage_->tree());
      GANGWAY_ASSIGN(const TreeUser user, find_tree_user(command.tree, stage_->image.user));
      command.uid = static_cast<uid_t>(user.uid);
      command.gid = static_cast<gid_t>(user.gid);
      command.env = environment(user.home, mounts);
      command.binds = request_.volumes;
      std::ranges::move(mounts.binds, std::back_inserter(command.binds));
      for (const auto& make : mounts.later) {
        GANGWAY_ASSIGN(TreeBind bind, make());
        command.binds.push_back(std::move(bind));
      }
      if (!script.empty()) {
        const std::string path = cat(work_->path(), "/script", step_);
        GANGWAY_TRY(replace_file(path, script, 0755, Durability::UntilReboot));
        command.binds.push_back({path, "/dev/.gangway-script", true});
      }
      GANGWAY_ASSIGN(const CommandEnd end, run_in_tree(command, progress_.output));
      if (end.exit_code != 0) {
        return Error(
            ErrorKind::Invalid,
            cat("RUN ", text_of(run.command), ": ",
                end.message.empty() ? cat("ended with code ", end.exit_code) : end.message));
      }
      return BuildStage::Owner{user.uid, user.gid};
    });
  }

  // The here-document is the shell's text, a script of its own if it names its interpreter, or what
  // the line says of it.
  static void add_heredocs(const Run& run, TreeCommand& command, std::string& script) {
    std::string& line = command.argv.back();
    const Heredoc& first = run.heredocs[0];
    const std::string_view mark = trim(line);
    const bool alone = run.heredocs.size() == 1 && mark.starts_with("<<") &&
                       mark.find_first_of(" \t") == std::string_view::npos;
    if (alone && first.text.starts_with("#!")) {
      script = first.text;
      command.argv = {"/dev/.gangway-script"};
    } else if (alone) {
      line = first.text;
    } else {
      for (const Heredoc& heredoc : run.heredocs) {
        line += cat("\n", heredoc.text, heredoc.name);
      }
      line += '\n';
    }
  }

  [[nodiscard]] std::vector<std::string> environment(const std::string& home,
                                                     const RunMounts& mounts) const {
    std::vector<std::string> env = stage_->image.env;
    const auto has = [&](std::string_view name) {
      return std::ranges::any_of(env, [&](const std::string& entry) {
        return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
      });
    };
    for (const auto& [name, value] : stage_->args) {
      if (!has(name)) env.push_back(cat(name, "=", value));
    }
    for (const auto& [name, value] : request_.build_args) {
      if (is_proxy_variable(name) && !has(name)) env.push_back(cat(name, "=", value));
    }
    for (const auto& [name, value] : mounts.env) set_env(env, name, value);
    if (!has("PATH")) env.push_back(cat("PATH=", kDefaultPath));
    if (!has("HOME")) env.push_back(cat("HOME=", home));
    return env;
  }

  Result<void> add_mount(const RunMount& mount, RunMounts& mounts) {
    GANGWAY_ASSIGN(const std::string expanded, expand(mount.target));
    std::string target = absolute_in(workdir(), expanded);
    while (target.size() > 1 && target.ends_with('/')) target.pop_back();
    if (target == "/") return Error(ErrorKind::Invalid, "a mount cannot cover /");
    switch (mount.kind) {
      case RunMount::Kind::Tmpfs:
        mounts.binds.push_back({"", target, false});
        mounts.description += cat("tmpfs ", target, "\n");
        return {};
      case RunMount::Kind::Cache: {
        GANGWAY_ASSIGN(const std::string id, expand(mount.id));
        GANGWAY_ASSIGN(const std::string directory, library_.cache_directory(id));
        mounts.binds.push_back({directory, target, mount.read_only});
        mounts.description += cat("cache ", target, "\n");
        return {};
      }
      case RunMount::Kind::Secret:
        return add_secret(mount, target, mounts);
      case RunMount::Kind::Bind:
        return add_bind(mount, target, mounts);
    }
    return {};
  }

  Result<void> add_secret(const RunMount& mount, const std::string& target, RunMounts& mounts) {
    mounts.description += cat("secret ", mount.id, " ", target, " ", mount.env, "\n");
    const auto secret = request_.secrets.find(mount.id);
    if (secret == request_.secrets.end()) {
      if (!mount.required) return {};
      return Error(ErrorKind::NotFound, cat("the secret ", mount.id,
                                            " is not given (--secret id=", mount.id, ",src=FILE)"));
    }
    std::string value;
    if (!secret->second.variable.empty()) {
      const char* found = std::getenv(secret->second.variable.c_str());  // NOLINT: one thread
      value = found != nullptr ? found : "";
    } else {
      GANGWAY_ASSIGN(value, read_small_file(secret->second.path));
    }
    if (!mount.env.empty()) mounts.env.emplace_back(mount.env, value);
    if (mount.target.empty()) return {};
    mounts.later.emplace_back([this, value, target, mode = mount.mode]() -> Result<TreeBind> {
      const std::string path = cat(work_->path(), "/secret", ++secret_);
      GANGWAY_TRY(replace_file(path, value, mode, Durability::UntilReboot));
      return TreeBind{path, target, true};
    });
    return {};
  }

  Result<void> add_bind(const RunMount& mount, const std::string& target, RunMounts& mounts) {
    GANGWAY_ASSIGN(const std::string source, expand(mount.source.empty() ? "." : mount.source));
    BuildStage* from = nullptr;
    if (!mount.from.empty()) {
      GANGWAY_ASSIGN(from, find_from(mount.from));
      mounts.description += cat("bind ", target, " ", source, " ", from->content(), "\n");
    } else {
      GANGWAY_ASSIGN(const std::vector<SourceMatch> matches,
                     context_->match(source, IgnoreRules()));
      GANGWAY_ASSIGN(const std::string digest, context_->digest(matches));
      mounts.description += cat("bind ", target, " ", digest, "\n");
    }
    mounts.later.emplace_back([=, this]() -> Result<TreeBind> {
      // A copy, because what the command writes must not stay; and the context may have files that
      // the build must not see.
      std::optional<SourceFiles> other;
      const SourceFiles* files = &*context_;
      if (from != nullptr) {
        GANGWAY_ASSIGN(const std::string tree, from->tree());
        GANGWAY_ASSIGN(SourceFiles opened, SourceFiles::open(tree, IgnoreRules()));
        files = &other.emplace(std::move(opened));
      }
      GANGWAY_ASSIGN(const std::vector<SourceMatch> matches, files->match(source, IgnoreRules()));
      if (matches.size() != 1) {
        return Error(ErrorKind::Invalid, cat(source, ": a mount has one source"));
      }
      const std::string name = cat("bind", ++secret_);
      GANGWAY_TRY(copy_out(*files, matches[0], work_->path(), name));
      return TreeBind{cat(work_->path(), "/", name), target, mount.read_only};
    });
    return {};
  }

  const ImageLibrary& library_;
  const BuildRequest& request_;
  const BuildProgress& progress_;
  Dockerfile file_;
  StagePlan plan_;
  std::optional<SourceFiles> context_;
  std::unique_ptr<WorkDirectory> work_;
  std::vector<std::unique_ptr<BuildStage>> stages_;
  std::map<std::string, std::unique_ptr<BuildStage>> images_;  // of --from
  BuildStage* stage_ = nullptr;
  std::size_t index_ = 0;
  std::size_t has_cmd_ = std::string::npos;  // the stage that has said CMD itself
  std::size_t step_ = 0;
  std::size_t total_ = 0;
  int secret_ = 0;
  bool is_remembered_ = false;
  bool is_empty_ = true;
};

}  // namespace

Result<NamedManifest> build_image(const ImageLibrary& library,
                                  const BuildRequest& request,
                                  const BuildProgress& progress) {
  return Builder(library, request, progress).build();
}

}  // namespace gangway::containers::build
