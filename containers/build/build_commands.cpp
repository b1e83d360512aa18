#include "containers/build/build_commands.hpp"

#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "containers/build/bootstrap.hpp"
#include "containers/build/builder.hpp"
#include "containers/build/dockerfile_lines.hpp"
#include "containers/build/image_export.hpp"
#include "containers/build/image_import.hpp"
#include "containers/build/image_library.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "queues/base/units.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::string_view kHelp =
    "       jimage build [OPTION...] CONTEXT make an image from a Dockerfile\n"
    "       jimage bootstrap DISTRIBUTION:SUITE --tag NAME [--include PACKAGE,...]\n"
    "                                        make a base image from the machine's own packages\n"
    "       jimage tag PATH[:TAG]|NAME NAME  bring an image into the library, under a name\n"
    "       jimage untag NAME                forget a name\n"
    "       jimage images                    the images of the library\n"
    "       jimage prune                     remove what no name needs, and what builds remember\n";

constexpr std::string_view kOptionsHelp =
    "The library is $GANGWAY_IMAGE_LIBRARY, else ~/.local/share/gangway/images: the images that\n"
    "can be named in a Dockerfile and as an image of jobs.\n"
    "\n"
    "options of build:\n"
    "  -t, --tag NAME             name in the library; may be repeated\n"
    "  -f, --file FILE            instead of CONTEXT/Dockerfile; - is standard input\n"
    "      --target STAGE         build up to this stage\n"
    "      --build-arg NAME=VALUE for an ARG; without =VALUE that of the environment\n"
    "      --build-context NAME=PATH  what an image NAME of the Dockerfile is\n"
    "      --secret id=ID,src=FILE|env=VARIABLE  that a RUN may mount\n"
    "  -v, --volume PATH:PATH[:ro]  seen by every RUN, and not part of the image\n"
    "      --network default|none of every RUN\n"
    "      --no-cache             do every step anew\n"
    "      --compression zstd|gzip  of new layers\n"
    "  -o, --output PATH          write the image as an OCI layout too, or to PATH.tar as an "
    "archive\n"
    "\n";

struct Options {
  std::vector<std::string> names;  // -t
  std::string file;
  std::string target;
  std::string output;
  std::string include;
  std::vector<std::string> build_args;
  std::vector<std::string> build_contexts;
  std::vector<std::string> secrets;
  std::vector<std::string> volumes;
  std::string network = "default";
  std::string compression = "zstd";
  bool no_cache = false;
  bool quiet = false;
  std::vector<std::string> operands;
};

Error usage(std::string message) { return Error(ErrorKind::Invalid, std::move(message)); }

Result<Options> parse_options(const std::string& command, const std::vector<std::string>& words) {
  Options options;
  using Take = std::function<void(const std::string&)>;
  const auto into = [](std::string& target) {
    return [&target](const std::string& value) { target = value; };
  };
  const auto onto = [](std::vector<std::string>& target) {
    return [&target](const std::string& value) { target.push_back(value); };
  };
  std::map<std::string, Take, std::less<>> takers;
  std::map<std::string, bool*, std::less<>> switches = {{"--quiet", &options.quiet}};
  if (command == "build") {
    takers = {{"--file", into(options.file)},
              {"--target", into(options.target)},
              {"--output", into(options.output)},
              {"--build-arg", onto(options.build_args)},
              {"--build-context", onto(options.build_contexts)},
              {"--secret", onto(options.secrets)},
              {"--volume", onto(options.volumes)},
              {"--network", into(options.network)},
              {"--compression", into(options.compression)}};
    switches.emplace("--no-cache", &options.no_cache);
  }
  if (command == "build" || command == "bootstrap") takers.emplace("--tag", onto(options.names));
  if (command == "bootstrap") takers.emplace("--include", into(options.include));
  static const std::map<std::string, std::string, std::less<>> kShort = {
      {"-t", "--tag"}, {"-f", "--file"}, {"-o", "--output"}, {"-q", "--quiet"}, {"-v", "--volume"}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string word = words[i];
    if (word == "-" || !word.starts_with('-')) {
      options.operands.push_back(word);
      continue;
    }
    std::optional<std::string> value;
    const std::size_t equals = word.find('=');
    if (word.starts_with("--") && equals != std::string::npos) {
      value = word.substr(equals + 1);
      word.resize(equals);
    }
    if (const auto known = kShort.find(word); known != kShort.end()) word = known->second;
    if (const auto flag = switches.find(word); flag != switches.end() && !value) {
      *flag->second = true;
      continue;
    }
    const auto taker = takers.find(word);
    if (taker == takers.end()) return usage(cat("unknown option ", words[i], " of ", command));
    if (!value) {
      if (++i == words.size()) return usage(cat(word, " needs a value"));
      value = words[i];
    }
    taker->second(*value);
  }
  return options;
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// Steps and their output on the terminal: "[3/7] RUN npm install", what it says indented below.
class Terminal {
 public:
  explicit Terminal(bool quiet) : quiet_(quiet) {}

  BuildProgress progress() {
    return {.warning = [this](std::string_view line) { warn(line); },
            .step_begins = [this](std::string_view place,
                                  std::string_view what) { begin(place, what); },
            .output = [this](std::string_view text) { output(text); },
            .step_ends = [this](bool remembered) { end(remembered); }};
  }
  // A step that failed has its last words shown, whatever was asked for.
  void fail() {
    break_line();
    if (quiet_ && !tail_.empty()) std::fputs((tail_ + "\n").c_str(), stderr);
  }

 private:
  static std::string shown(std::string_view text) {
    std::string out;
    for (const char c : text) {
      const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\x1b';
      if (!control) out += c;
    }
    return out;
  }
  void warn(std::string_view line) {
    break_line();
    std::fprintf(stderr, "jimage: warning: %s\n", shown(line).c_str());
  }
  void begin(std::string_view place, std::string_view what) {
    tail_.clear();
    line_.clear();
    began_ = std::chrono::steady_clock::now();
    if (quiet_) return;
    constexpr std::size_t kMaxShown = 200;
    std::fprintf(stderr, "[%s] %s", std::string(place).c_str(),
                 shown(what.substr(0, kMaxShown)).c_str());
    open_ = true;
  }
  void output(std::string_view text) {
    line_ += text;
    for (std::size_t end = 0; (end = line_.find('\n')) != std::string::npos;) {
      put_line(line_.substr(0, end));
      line_.erase(0, end + 1);
    }
    constexpr std::size_t kMaxLine = 16 << 10;
    if (line_.size() > kMaxLine) put_line(std::exchange(line_, ""));
  }
  void put_line(std::string line) {
    // What a carriage return has written over is not seen on a terminal either.
    if (line.ends_with('\r')) line.pop_back();
    line = line.substr(line.rfind('\r') == std::string::npos ? 0 : line.rfind('\r') + 1);
    constexpr std::size_t kMaxTail = 8 << 10;
    tail_ += (tail_.empty() ? "" : "\n") + line;
    if (tail_.size() > kMaxTail) tail_.erase(0, tail_.size() - kMaxTail);
    if (quiet_) return;
    break_line();
    std::fprintf(stderr, "  | %s\n", shown(line).c_str());
  }
  void end(bool remembered) {
    if (!line_.empty()) put_line(std::exchange(line_, ""));
    if (quiet_) return;
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    if (open_) {
      std::fputs(remembered ? " (as before)" : "", stderr);
    } else {
      std::fprintf(stderr, "  | (%.1f s)", seconds);
      open_ = true;
    }
    break_line();
  }
  void break_line() {
    if (!open_) return;
    std::fputs("\n", stderr);
    open_ = false;
  }

  bool quiet_;
  bool open_ = false;
  std::string line_;
  std::string tail_;
  std::chrono::steady_clock::time_point began_;
};

Result<ImageLibrary> open_library() {
  GANGWAY_ASSIGN(const std::string path, ImageLibrary::default_path());
  return ImageLibrary::open(path);
}

std::optional<std::int64_t> source_date_epoch() {
  const char* text = std::getenv("SOURCE_DATE_EPOCH");  // NOLINT(concurrency-mt-unsafe)
  return text != nullptr ? parse_integer<std::int64_t>(text) : std::nullopt;
}

Result<std::string> absolute(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return errno_error(path, errno);
  std::string out = resolved;
  std::free(resolved);
  return out;
}

Result<void> fill_secrets(const Options& options, BuildRequest& request) {
  for (const std::string& text : options.secrets) {
    std::string id;
    BuildSecret secret;
    for (const std::string_view field : split(text, ',')) {
      const std::size_t equals = field.find('=');
      const std::string_view key = field.substr(0, equals);
      const std::string value(equals == std::string_view::npos ? "" : field.substr(equals + 1));
      if (key == "id") {
        id = value;
      } else if (key == "src" || key == "source") {
        secret.path = value;
      } else if (key == "env") {
        secret.variable = value;
      } else if (key != "type") {
        return usage(cat("--secret ", text, ": no field is called ", key));
      }
    }
    if (id.empty()) return usage(cat("--secret ", text, ": has no id"));
    if (secret.path.empty() && secret.variable.empty()) secret.variable = id;
    request.secrets[id] = std::move(secret);
  }
  return {};
}

Result<BuildRequest> make_request(const Options& options) {
  if (options.operands.size() != 1) return usage("build needs one context, a directory");
  BuildRequest request;
  GANGWAY_ASSIGN(request.context, absolute(options.operands[0]));
  if (options.file == "-") {
    std::string block(64 << 10, '\0');
    ssize_t got = 0;
    while ((got = read(0, block.data(), block.size())) > 0 &&
           request.text.size() <= kMaxDockerfileBytes) {
      request.text.append(block, 0, static_cast<std::size_t>(got));
    }
    if (request.text.empty()) return usage("-f -: standard input is empty");
  } else {
    request.dockerfile = options.file;
  }
  request.target = options.target;
  for (const std::string& name : options.names) {
    GANGWAY_ASSIGN(std::string normal, normalise_image_name(name));
    request.names.push_back(std::move(normal));
  }
  for (const std::string& text : options.build_args) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (name.empty()) return usage(cat("--build-arg ", text, ": has no name"));
    if (equals != std::string::npos) {
      request.build_args[name] = text.substr(equals + 1);
    } else if (const char* value = std::getenv(name.c_str())) {  // NOLINT(concurrency-mt-unsafe)
      request.build_args[name] = value;
    }
  }
  for (const std::string& text : options.build_contexts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return usage(cat("--build-context ", text, ": is NAME=PATH"));
    }
    std::string path = text.substr(equals + 1);
    if (path.starts_with("oci-layout://")) path.erase(0, 13);
    request.images[text.substr(0, equals)] = std::move(path);
  }
  GANGWAY_TRY(fill_secrets(options, request));
  for (const std::string& text : options.volumes) {
    const std::vector<std::string_view> parts = split(text, ':');
    const bool read_only = parts.size() == 3 && parts[2] == "ro";
    if (parts.size() < 2 || parts.size() > 3 || (parts.size() == 3 && !read_only) ||
        !parts[1].starts_with('/')) {
      return usage(cat("--volume ", text, ": is PATH:/PATH or PATH:/PATH:ro"));
    }
    GANGWAY_ASSIGN(std::string source, absolute(std::string(parts[0])));
    request.volumes.push_back({std::move(source), std::string(parts[1]), read_only});
  }
  if (options.network != "default" && options.network != "host" && options.network != "none") {
    return usage(cat("--network ", options.network, ": is default, host or none"));
  }
  if (options.compression != "zstd" && options.compression != "gzip") {
    return usage(cat("--compression ", options.compression, ": is zstd or gzip"));
  }
  request.network = options.network != "none";
  request.compression = options.compression == "gzip" ? Compression::Gzip : Compression::Zstd;
  request.use_cache = !options.no_cache;
  request.epoch_s = source_date_epoch();
  return request;
}

void print_image(const NamedManifest& manifest, const std::vector<std::string>& names) {
  print(cat("digest ", manifest.digest.text(), "\n"));
  for (const std::string& name : names) print(cat("name ", name, "\n"));
}

Result<void> build(const BuildRequest& request, const Options& options) {
  GANGWAY_ASSIGN(const ImageLibrary library, open_library());
  Terminal terminal(options.quiet);
  const Result<NamedManifest> built = build_image(library, request, terminal.progress());
  if (!built) {
    terminal.fail();
    return built.error();
  }
  if (!options.output.empty()) {
    GANGWAY_TRY(export_image(
        library, *built,
        {.output = options.output, .name = built->name, .mtime_s = request.epoch_s.value_or(0)}));
  }
  print_image(*built, request.names);
  return {};
}

Result<void> bootstrap(const Options& options) {
  BootstrapRequest request{.system = options.operands[0],
                           .packages = options.include,
                           .epoch_s = source_date_epoch(),
                           .quiet = options.quiet};
  for (const std::string& name : options.names) {
    GANGWAY_ASSIGN(std::string normal, normalise_image_name(name));
    request.names.push_back(std::move(normal));
  }
  GANGWAY_ASSIGN(const ImageLibrary library, open_library());
  GANGWAY_ASSIGN(const NamedManifest made, bootstrap_image(library, request));
  print_image(made, request.names);
  return {};
}

Result<void> tag(const std::string& source, const std::string& name) {
  GANGWAY_ASSIGN(const ImageLibrary library, open_library());
  GANGWAY_ASSIGN(const std::string normal, normalise_image_name(name));
  std::optional<NamedManifest> manifest;
  if (const auto old = normalise_image_name(source)) {
    GANGWAY_ASSIGN(manifest, library.find(*old));
  }
  // While it stands nothing is pruned: what is imported has no name yet.
  GANGWAY_ASSIGN(const WorkDirectory work, library.make_work_directory());
  if (!manifest) {
    GANGWAY_ASSIGN(manifest, import_image(library, source));
  }
  manifest->name = normal;
  GANGWAY_TRY(library.set(*manifest));
  print_image(*manifest, {normal});
  return {};
}

Result<void> untag(const std::string& name) {
  GANGWAY_ASSIGN(const ImageLibrary library, open_library());
  GANGWAY_ASSIGN(const std::string normal, normalise_image_name(name));
  return library.remove(normal);
}

Result<void> images() {
  GANGWAY_ASSIGN(const ImageLibrary library, open_library());
  GANGWAY_ASSIGN(const std::vector<NamedManifest> all, library.list());
  for (const NamedManifest& manifest : all) {
    GANGWAY_ASSIGN(const LoadedImage image, load_image(library, manifest.digest));
    std::int64_t bytes = 0;
    for (const LayerBlob& layer : image.layers) bytes += layer.size;
    std::string name = manifest.name;
    constexpr std::size_t kNameWidth = 32;
    if (name.size() < kNameWidth) name.resize(kNameWidth, ' ');
    std::string size = render_bytes(Bytes{bytes});
    if (size.size() < 8) size.insert(0, 8 - size.size(), ' ');
    print(cat(name, " ", size, "  ", image.settings.created.empty() ? "-" : image.settings.created,
              "  ", manifest.digest.text(), "\n"));
  }
  return {};
}

Result<void> prune() {
  GANGWAY_ASSIGN(const ImageLibrary library, open_library());
  GANGWAY_ASSIGN(const ImageLibrary::Pruned pruned, library.prune());
  print(cat(pruned.blobs, pruned.blobs == 1 ? " blob" : " blobs", " removed, ",
            render_bytes(Bytes{pruned.bytes}), "\n"));
  return {};
}

}  // namespace

bool is_build_command(std::string_view command) {
  static const std::set<std::string, std::less<>> kCommands = {"bootstrap", "build", "images",
                                                               "prune",     "tag",   "untag"};
  return kCommands.contains(command);
}

std::string_view build_commands_help() { return kHelp; }
std::string_view build_options_help() { return kOptionsHelp; }

std::optional<CommandFailure> run_build_command(const std::string& command,
                                                const std::vector<std::string>& arguments) {
  const Result<Options> options = parse_options(command, arguments);
  if (!options) return CommandFailure{options.error(), true};
  const std::vector<std::string>& operands = options->operands;
  const auto wrong = [](std::string message) {
    return CommandFailure{Error(ErrorKind::Invalid, std::move(message)), true};
  };
  Result<void> done;
  if (command == "build") {
    const Result<BuildRequest> request = make_request(*options);
    if (!request)
      return CommandFailure{request.error(), request.error().kind() == ErrorKind::Invalid};
    done = build(*request, *options);
  } else if (command == "bootstrap") {
    if (operands.size() != 1) return wrong("bootstrap needs one system, as debian:bookworm");
    if (options->names.empty()) return wrong("bootstrap needs --tag");
    done = bootstrap(*options);
  } else if (command == "tag") {
    if (operands.size() != 2) return wrong("tag needs an image and a name");
    done = tag(operands[0], operands[1]);
  } else if (command == "untag") {
    if (operands.size() != 1) return wrong("untag needs one name");
    done = untag(operands[0]);
  } else {
    if (!operands.empty()) return wrong(cat(command, " takes no arguments"));
    done = command == "images" ? images() : prune();
  }
  if (done) return std::nullopt;
  return CommandFailure{done.error(), false};
}

std::string find_in_library(const std::string& name) {
  const Result<std::string> path = ImageLibrary::default_path();
  const Result<std::string> normal = normalise_image_name(name);
  if (!path || !normal || access((*path + "/oci-layout").c_str(), F_OK) != 0) return "";
  const Result<ImageLibrary> library = ImageLibrary::open(*path);
  if (!library) return "";
  const auto found = library->find(*normal);
  return found && *found ? cat(*path, ":", *normal) : "";
}

}  // namespace gangway::containers::build
