#include "containers/build/dockerfile.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

const std::vector<std::string> kInstructions = {
    "ADD",    "ARG",   "CMD",         "COPY",  "ENTRYPOINT", "ENV",
    "EXPOSE", "FROM",  "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "RUN",    "SHELL", "STOPSIGNAL",  "USER",  "VOLUME",     "WORKDIR"};

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

// "COPY.." for "COPY . .": an instruction and its arguments run into each other.
std::string parted(const InstructionLine& line) {
  const std::string word = upper(line.name);
  for (const std::string& known : kInstructions) {
    if (word.size() <= known.size() || !word.starts_with(known)) continue;
    std::string rest = line.original.substr(known.size());
    if ((known == "COPY" || known == "ADD") && rest.starts_with("..") && line.arguments.empty()) {
      rest = ". " + rest.substr(1);
    }
    if (const char next = rest.front(); !is_name_char(next) || next == '.') {
      return cat(known, " ", rest);
    }
  }
  return "";
}

// "package*.json./" for "package*.json ./": a destination grown onto a source.
std::string parted_destination(const std::string& argument) {
  for (const std::string_view end : {"./", "."}) {
    if (argument.size() > end.size() && argument.ends_with(end) &&
        argument[argument.size() - end.size() - 1] != '/') {
      return cat(argument.substr(0, argument.size() - end.size()), " ", end);
    }
  }
  return "";
}

class Interpreter {
 public:
  explicit Interpreter(std::string_view name) : name_(name) {}

  Result<Dockerfile> interpret(DockerfileLines lines) {
    Dockerfile file;
    file.name = name_;
    file.escape = lines.escape;
    file.warnings = std::move(lines.warnings);
    for (const InstructionLine& line : lines.instructions) {
      line_ = &line;
      if (line.name == "from") {
        GANGWAY_ASSIGN(Stage stage, from(file.stages));
        file.stages.push_back(std::move(stage));
        continue;
      }
      GANGWAY_ASSIGN(Instruction instruction, interpret_line(line));
      if (!file.stages.empty()) {
        file.stages.back().instructions.push_back(std::move(instruction));
      } else if (line.name == "arg") {
        file.global_args.push_back(std::move(instruction));
      } else {
        return bad(cat(upper(line.name), " before the first FROM"));
      }
    }
    if (file.stages.empty()) return Error(ErrorKind::Invalid, cat(name_, ": has no FROM"));
    return file;
  }

  Result<Instruction> interpret_line(const InstructionLine& line) {
    line_ = &line;
    using Reader = Result<Action> (Interpreter::*)();
    static const std::map<std::string, Reader, std::less<>> kReaders = {
        {"add", &Interpreter::copy},
        {"arg", &Interpreter::arg},
        {"cmd", &Interpreter::cmd},
        {"copy", &Interpreter::copy},
        {"entrypoint", &Interpreter::entrypoint},
        {"env", &Interpreter::env},
        {"expose", &Interpreter::expose},
        {"healthcheck", &Interpreter::healthcheck},
        {"label", &Interpreter::label},
        {"maintainer", &Interpreter::maintainer},
        {"onbuild", &Interpreter::onbuild},
        {"run", &Interpreter::run},
        {"shell", &Interpreter::shell},
        {"stopsignal", &Interpreter::stopsignal},
        {"user", &Interpreter::user},
        {"volume", &Interpreter::volume},
        {"workdir", &Interpreter::workdir},
    };
    const auto reader = kReaders.find(line.name);
    if (reader == kReaders.end()) return unknown();
    GANGWAY_ASSIGN(Action action, (this->*reader->second)());
    return Instruction{line.first_line, line.original, std::move(action)};
  }

  [[nodiscard]] Error bad(std::string_view message) const {
    return Error(ErrorKind::Invalid, cat(name_, ":", line_->first_line, ": ", message));
  }

 private:
  [[nodiscard]] Error unknown() const {
    std::string hint = parted(*line_);
    if (hint.empty()) hint = nearest(upper(line_->name), kInstructions);
    return bad(cat("no instruction is called ", line_->original.substr(0, line_->name.size()),
                   hint.empty() ? "" : "; did you mean '", hint, hint.empty() ? "" : "'?"));
  }

  // "--name=value" and "--name" of the line; each is given to its reader, which may refuse.
  using FlagReader = std::function<Result<void>(const std::string& value)>;
  Result<void> flags(const std::map<std::string, FlagReader, std::less<>>& readers) const {
    for (const std::string& flag : line_->flags) {
      const std::size_t equals = flag.find('=');
      const std::string name = flag.substr(2, equals == std::string::npos ? equals : equals - 2);
      const auto reader = readers.find(name);
      if (reader == readers.end()) {
        std::vector<std::string> names;
        names.reserve(readers.size());
        for (const auto& [known, unused] : readers) names.push_back("--" + known);
        const std::string hint = nearest("--" + name, names);
        return bad(cat(upper(line_->name), " has no flag --", name,
                       hint.empty() ? "" : cat("; did you mean ", hint, "?")));
      }
      const std::string value = equals == std::string::npos ? "" : flag.substr(equals + 1);
      if (equals == std::string::npos && name != "link" && name != "parents" &&
          name != "keep-git-dir") {
        return bad(cat(upper(line_->name), " --", name, " needs a value"));
      }
      GANGWAY_TRY(reader->second(value));
    }
    return {};
  }
  Result<void> no_flags() const { return flags({}); }

  static FlagReader into(std::string& target) {
    return [&target](const std::string& value) -> Result<void> {
      target = value;
      return {};
    };
  }

  [[nodiscard]] Result<void> need_arguments(std::size_t least, std::size_t most) const {
    const std::size_t count = line_->arguments.size();
    const std::string name = upper(line_->name);
    if (count < least) {
      return bad(least == 1 ? cat(name, " needs an argument")
                            : cat(name, " needs at least ", least, " arguments"));
    }
    if (count > most) return bad(cat(name, " takes ", most == 1 ? "one argument" : "fewer"));
    return {};
  }
  static constexpr std::size_t kAny = ~std::size_t{0};

  [[nodiscard]] Command command() const { return {line_->arguments, !line_->json}; }
  [[nodiscard]] NameValues name_values() const {
    NameValues values;
    for (std::size_t i = 0; i + 2 < line_->arguments.size(); i += 3) {
      values.emplace_back(line_->arguments[i], line_->arguments[i + 1]);
    }
    return values;
  }

  Result<Stage> from(const std::vector<Stage>& stages) const {
    Stage stage{
        .line = line_->first_line, .base = "", .platform = "", .name = "", .instructions = {}};
    GANGWAY_TRY(flags({{"platform", into(stage.platform)}}));
    const std::vector<std::string>& words = line_->arguments;
    if (words.size() != 1 && words.size() != 3) return bad("FROM takes IMAGE, or IMAGE AS NAME");
    stage.base = words[0];
    if (words.size() == 1) return stage;
    if (lower(words[1]) != "as") return bad(cat("FROM ", words[0], " ", words[1], ": expected AS"));
    stage.name = lower(words[2]);
    const bool letters = stage.name[0] >= 'a' && stage.name[0] <= 'z';
    if (!letters || !std::ranges::all_of(stage.name, is_name_char)) {
      return bad(cat("AS ", words[2],
                     ": a stage's name has letters, digits, '_', '.', '-', and "
                     "begins with a letter"));
    }
    if (stage.name == "scratch" || stage.name == "context") {
      return bad(cat("AS ", words[2], ": this name is taken"));
    }
    if (std::ranges::any_of(stages, [&](const Stage& s) { return s.name == stage.name; })) {
      return bad(cat("AS ", words[2], ": there is a stage of this name already"));
    }
    return stage;
  }

  Result<Action> run() {
    Run run{.command = command(), .heredocs = line_->heredocs, .mounts = {}, .network = true};
    GANGWAY_TRY(flags({
        {"mount",
         [&](const std::string& value) -> Result<void> {
           GANGWAY_ASSIGN(RunMount mount, parse_mount(value));
           run.mounts.push_back(std::move(mount));
           return {};
         }},
        {"network",
         [&](const std::string& value) -> Result<void> {
           if (value != "default" && value != "host" && value != "none") {
             return bad(cat("RUN --network=", value, ": one of default, host, none"));
           }
           run.network = value != "none";
           return {};
         }},
        {"security",
         [&](const std::string& value) -> Result<void> {
           if (value == "sandbox") return {};
           return bad(cat("RUN --security=", value, ": builds have no privileges to give"));
         }},
    }));
    GANGWAY_TRY(need_arguments(1, kAny));
    return Action(std::move(run));
  }

  [[nodiscard]] Result<RunMount> parse_mount(const std::string& value) const {
    RunMount mount;
    const auto refuse = [&](std::string_view why) {
      return bad(cat("RUN --mount=", value, ": ", why));
    };
    bool kind_seen = false;
    std::optional<bool> writable;
    for (const std::string_view field : split(value, ',')) {
      const std::size_t equals = field.find('=');
      const std::string key = lower(field.substr(0, equals));
      const std::string text(equals == std::string_view::npos ? "" : field.substr(equals + 1));
      const bool flag = text.empty() || text == "true" || text == "1";
      if (key == "type") {
        static const std::map<std::string, RunMount::Kind, std::less<>> kKinds = {
            {"bind", RunMount::Kind::Bind},
            {"cache", RunMount::Kind::Cache},
            {"secret", RunMount::Kind::Secret},
            {"tmpfs", RunMount::Kind::Tmpfs}};
        const auto kind = kKinds.find(text);
        if (kind == kKinds.end()) {
          return refuse(cat("type=", text, ": one of bind, cache, secret, tmpfs"));
        }
        mount.kind = kind->second;
        kind_seen = true;
      } else if (key == "target" || key == "dst" || key == "destination") {
        mount.target = text;
      } else if (key == "source" || key == "src") {
        mount.source = text;
      } else if (key == "from") {
        mount.from = text;
      } else if (key == "id") {
        mount.id = text;
      } else if (key == "env") {
        mount.env = text;
      } else if (key == "required") {
        mount.required = flag;
      } else if (key == "ro" || key == "readonly") {
        writable = !flag;
      } else if (key == "rw" || key == "readwrite") {
        writable = flag;
      } else if (key == "mode") {
        const std::optional<mode_t> mode = parse_mode(text);
        if (!mode) return refuse(cat("mode=", text, ": not an octal mode"));
        mount.mode = *mode;
      } else if (key == "sharing") {
        if (text != "shared" && text != "private" && text != "locked") {
          return refuse(cat("sharing=", text, ": one of shared, private, locked"));
        }
      } else if (key == "uid" || key == "gid" || key == "size") {
        // One id in a build, and no quota of its own: nothing that these could change.
      } else {
        return refuse(cat("no option is called ", key));
      }
    }
    if (!kind_seen) mount.kind = RunMount::Kind::Bind;
    mount.read_only = !writable.value_or(mount.kind != RunMount::Kind::Bind &&
                                         mount.kind != RunMount::Kind::Secret);
    const bool secret = mount.kind == RunMount::Kind::Secret;
    if (secret && mount.id.empty()) {
      const std::string& path = mount.target;
      mount.id = path.substr(path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1);
      if (mount.id.empty()) return refuse("a secret needs an id");
    }
    if (secret && mount.target.empty() && mount.env.empty()) {
      mount.target = "/run/secrets/" + mount.id;
    }
    if (mount.target.empty() && mount.env.empty()) return refuse("needs a target");
    if (mount.kind == RunMount::Kind::Cache && mount.id.empty()) mount.id = mount.target;
    return mount;
  }

  static std::optional<mode_t> parse_mode(std::string_view text) {
    mode_t mode = 0;
    if (text.empty() || text.size() > 5) return std::nullopt;
    for (const char c : text) {
      if (c < '0' || c > '7') return std::nullopt;
      mode = mode * 8 + static_cast<mode_t>(c - '0');
    }
    return mode <= 07777 ? std::optional(mode) : std::nullopt;
  }

  Result<Action> copy() {
    Copy copy;
    copy.add = line_->name == "add";
    copy.heredocs = line_->heredocs;
    const auto unsupported = [this](const char* what) {
      return [this, what](const std::string&) -> Result<void> {
        return bad(cat(upper(line_->name), " ", what));
      };
    };
    std::map<std::string, FlagReader, std::less<>> readers = {
        {"chown", into(copy.chown)},
        {"chmod", into(copy.chmod)},
        // Layers are made one after the other anyway; what comes out is the same.
        {"link", [](const std::string&) -> Result<void> { return {}; }},
        {"exclude",
         [&](const std::string& value) -> Result<void> {
           copy.excludes.push_back(value);
           return {};
         }},
    };
    if (copy.add) {
      readers.emplace("checksum", unsupported("--checksum: nothing is fetched from elsewhere"));
      readers.emplace("keep-git-dir",
                      unsupported("--keep-git-dir: nothing is fetched from elsewhere"));
    } else {
      readers.emplace("from", into(copy.from));
      readers.emplace("parents", unsupported("--parents is not supported"));
    }
    GANGWAY_TRY(flags(readers));
    const std::vector<std::string>& words = line_->arguments;
    if (words.size() < 2) {
      const std::string hint = words.empty() ? "" : parted_destination(words[0]);
      return bad(
          cat(upper(line_->name), " needs a source and a destination",
              hint.empty() ? "" : cat("; did you mean '", upper(line_->name), " ", hint, "'?")));
    }
    copy.sources.assign(words.begin(), words.end() - 1);
    copy.destination = words.back();
    if (!copy.add) return Action(std::move(copy));
    for (const std::string& source : copy.sources) {
      for (const std::string_view scheme : {"http://", "https://", "git://", "git@", "ftp://"}) {
        if (source.starts_with(scheme)) {
          return bad(cat("ADD ", source,
                         ": nothing is fetched from elsewhere; fetch it into the "
                         "context, or in a RUN"));
        }
      }
    }
    return Action(std::move(copy));
  }

  Result<Action> env() {
    GANGWAY_TRY(no_flags());
    GANGWAY_TRY(need_arguments(1, kAny));
    GANGWAY_TRY(check_names());
    return Action(Env{name_values()});
  }
  Result<Action> label() {
    GANGWAY_TRY(no_flags());
    GANGWAY_TRY(need_arguments(1, kAny));
    GANGWAY_TRY(check_names());
    return Action(Label{name_values()});
  }
  Result<void> check_names() const {
    for (std::size_t i = 0; i < line_->arguments.size(); i += 3) {
      if (line_->arguments[i].empty()) return bad(cat(upper(line_->name), ": a name is empty"));
    }
    return {};
  }

  Result<Action> arg() {
    GANGWAY_TRY(no_flags());
    GANGWAY_TRY(need_arguments(1, kAny));
    Arg arg;
    for (const std::string& word : line_->arguments) {
      const std::size_t equals = word.find('=');
      std::string name = word.substr(0, equals);
      if (name.empty()) return bad(cat("ARG ", word, ": a name is empty"));
      std::optional<std::string> value;
      if (equals != std::string::npos) value = word.substr(equals + 1);
      arg.values.emplace_back(std::move(name), std::move(value));
    }
    return Action(std::move(arg));
  }

  Result<Action> cmd() {
    GANGWAY_TRY(no_flags());
    return Action(Cmd{command()});
  }
  Result<Action> entrypoint() {
    GANGWAY_TRY(no_flags());
    return Action(Entrypoint{command()});
  }
  Result<Action> shell() {
    GANGWAY_TRY(no_flags());
    if (!line_->json || line_->arguments.empty()) {
      return bad("SHELL takes a JSON array, as SHELL [\"/bin/bash\", \"-c\"]");
    }
    return Action(Shell{line_->arguments});
  }

  Result<Action> one_word(const std::function<Action(const std::string&)>& make) {
    GANGWAY_TRY(no_flags());
    GANGWAY_TRY(need_arguments(1, 1));
    return make(line_->arguments[0]);
  }
  Result<Action> workdir() {
    return one_word([](const std::string& word) { return Action(Workdir{word}); });
  }
  Result<Action> user() {
    return one_word([](const std::string& word) { return Action(User{word}); });
  }
  Result<Action> stopsignal() {
    return one_word([](const std::string& word) { return Action(StopSignal{word}); });
  }
  Result<Action> maintainer() {
    return one_word([](const std::string& word) { return Action(Maintainer{word}); });
  }

  Result<Action> expose() {
    GANGWAY_TRY(no_flags());
    GANGWAY_TRY(need_arguments(1, kAny));
    return Action(Expose{line_->arguments});
  }
  Result<Action> volume() {
    GANGWAY_TRY(no_flags());
    GANGWAY_TRY(need_arguments(1, kAny));
    for (const std::string& path : line_->arguments) {
      if (path.empty()) return bad("VOLUME: a path is empty");
    }
    return Action(Volume{line_->arguments});
  }

  Result<Action> healthcheck() {
    Healthcheck check;
    const auto into_time = [this](Duration& target, const char* flag) {
      return [this, &target, flag](const std::string& value) -> Result<void> {
        const std::optional<Duration> time = parse_go_duration(value);
        if (!time) return bad(cat("HEALTHCHECK --", flag, "=", value, ": not a time, as 30s"));
        target = *time;
        return {};
      };
    };
    GANGWAY_TRY(flags({
        {"interval", into_time(check.interval, "interval")},
        {"timeout", into_time(check.timeout, "timeout")},
        {"start-period", into_time(check.start_period, "start-period")},
        {"start-interval", into_time(check.start_interval, "start-interval")},
        {"retries",
         [&](const std::string& value) -> Result<void> {
           const std::optional<int> retries = parse_integer<int>(value);
           if (!retries || *retries < 0) {
             return bad(cat("HEALTHCHECK --retries=", value, ": not a number"));
           }
           check.retries = *retries;
           return {};
         }},
    }));
    const std::vector<std::string>& words = line_->arguments;
    const std::string kind = words.empty() ? "" : upper(words[0]);
    if (kind == "NONE") {
      if (words.size() > 1) return bad("HEALTHCHECK NONE takes no arguments");
      return Action(std::move(check));
    }
    if (kind != "CMD") return bad("HEALTHCHECK takes CMD and a command, or NONE");
    if (words.size() < 2) return bad("HEALTHCHECK CMD: the command is missing");
    check.command = Command{{words.begin() + 1, words.end()}, !line_->json};
    return Action(std::move(check));
  }

  Result<Action> onbuild() {
    GANGWAY_TRY(no_flags());
    if (!line_->inner) return bad("ONBUILD needs an instruction");
    const InstructionLine* outer = line_;
    const std::string& name = outer->inner->name;
    if (name == "from" || name == "maintainer" || name == "onbuild") {
      return bad(cat("ONBUILD ", upper(name), ": not allowed"));
    }
    const Result<Instruction> inner = interpret_line(*outer->inner);
    line_ = outer;
    if (!inner) return inner.error();
    if (!outer->inner->heredocs.empty()) {
      return bad("ONBUILD with a here-document: an image's configuration has no place for it");
    }
    return Action(OnBuild{outer->inner->original});
  }

  std::string name_;
  const InstructionLine* line_ = nullptr;
};

}  // namespace

Result<Dockerfile> parse_dockerfile(std::string_view text, std::string_view name) {
  GANGWAY_ASSIGN(DockerfileLines lines, parse_dockerfile_lines(text, name));
  return Interpreter(name).interpret(std::move(lines));
}

Result<Instruction> parse_trigger(std::string_view text, std::string_view name) {
  GANGWAY_ASSIGN(const DockerfileLines lines, parse_dockerfile_lines(text, name));
  if (lines.instructions.size() != 1) {
    return Error(ErrorKind::Invalid, cat(name, ": not one instruction"));
  }
  const InstructionLine& line = lines.instructions[0];
  if (line.name == "from" || line.name == "maintainer" || line.name == "onbuild") {
    return Error(ErrorKind::Invalid, cat(name, ": ", upper(line.name), " cannot be one"));
  }
  return Interpreter(name).interpret_line(line);
}

std::optional<Duration> parse_go_duration(std::string_view text) {
  if (text == "0") return Duration{0};
  if (text.empty()) return std::nullopt;
  static const std::vector<std::pair<std::string_view, std::int64_t>> kUnits = {
      {"ns", 1},
      {"us", 1000},
      {"ms", 1'000'000},
      {"h", 3'600'000'000'000},
      {"m", 60'000'000'000},
      {"s", 1'000'000'000}};
  constexpr std::int64_t kMaxNumber = 1'000'000;
  std::int64_t total = 0;
  while (!text.empty()) {
    std::int64_t whole = 0;
    std::int64_t fraction = 0;
    std::int64_t scale = 1;
    std::size_t digits = 0;
    bool after_point = false;
    while (!text.empty() &&
           ((text[0] >= '0' && text[0] <= '9') || (text[0] == '.' && !after_point))) {
      if (text[0] == '.') {
        after_point = true;
      } else if (!after_point) {
        whole = whole * 10 + (text[0] - '0');
        ++digits;
      } else if (scale < 1'000'000) {
        fraction = fraction * 10 + (text[0] - '0');
        scale *= 10;
        ++digits;
      }
      if (whole > kMaxNumber) return std::nullopt;
      text.remove_prefix(1);
    }
    const auto unit = std::ranges::find_if(
        kUnits, [&](const auto& known) { return text.starts_with(known.first); });
    if (digits == 0 || unit == kUnits.end()) return std::nullopt;
    text.remove_prefix(unit->first.size());
    const std::int64_t step = whole * unit->second + unit->second / scale * fraction;
    if (total > INT64_MAX - step) return std::nullopt;
    total += step;
  }
  return Duration{total};
}

}  // namespace gangway::containers::build
