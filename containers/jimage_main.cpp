// jimage: images for people. `resolve` says what a name means now, by digest, with the caller's
// rights; jsubmit uses it. The other commands look into images and stores. `--help` says the rest.
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <clocale>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "containers/build/build_commands.hpp"
#include "containers/build/image_export.hpp"
#include "containers/image_ensure.hpp"
#include "containers/image_gc.hpp"
#include "containers/image_source.hpp"
#include "containers/image_store.hpp"
#include "queues/base/log.hpp"
#include "queues/base/text.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"

namespace gangway::containers {
namespace {

constexpr std::string_view kHelp =
    "usage: jimage resolve PATH[:TAG]|NAME   what it means now: kind, path, digest\n"
    "       jimage inspect PATH[:TAG]|NAME   its layers and configuration\n"
    "       jimage import --store DIR PATH[:TAG]  verify and unpack it into a store\n"
    "       jimage list --store DIR          the images of a store\n"
    "       jimage verify --store DIR [DIGEST...]  compare them with what was unpacked\n"
    "       jimage rm --store DIR DIGEST...  remove images from a store\n"
    "       jimage gc --store DIR [--unused-for TIME] [--quota SIZE] [--dry-run]\n"
    "                                        remove what is unused and what was left behind\n"
    "       jimage export PATH[:TAG]|NAME OUTPUT  write it, as it is, as a file of its own\n"
    "       jimage export --store DIR DIGEST OUTPUT  write its tree as an image of one layer\n";

constexpr std::string_view kHelpEnd =
    "\n"
    "PATH is an OCI layout directory, an archive of one (oci-archive), or what 'docker save' "
    "writes\n"
    "(docker-archive). Without a TAG: the only image in it, or the one tagged 'latest'.\n"
    "NAME is an image of the user's library, where no such PATH is an image.\n"
    "A store is a directory with unpacked images, private to the user who owns it.\n"
    "OUTPUT is an oci-archive if it ends in .tar, else an OCI layout directory.\n";

constexpr std::string_view kHelpOptions =
    "options of stores:\n"
    "      --store DIR        made if it is not there\n"
    "      --unused-for TIME  images that no job used for so long: 30d, 12h\n"
    "      --quota SIZE       those used longest ago, until the rest holds no more: 50G\n"
    "      --dry-run          say what would go\n"
    "      --no-sync          of import: do not wait for the disk; after a power failure the "
    "image\n"
    "                         counts as not there\n"
    "      --compression zstd|gzip|none  of export from a store: of its layer\n"
    "  -q, --quiet            no progress on the terminal\n"
    "  -h, --help    -V, --version\n"
    "\n"
    "exit codes: 0; 64 usage; 65 not an image, or a bad one; 66 does not exist; 75 try again "
    "later;\n"
    "            77 not allowed; 70 internal\n";

int fail(const Error& error) {
  // Names and tags come from the image.
  std::string line = error.message();
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  std::fprintf(stderr, "jimage: %s\n", line.c_str());
  return image_exit_code(error.kind());
}

int usage(const std::string& message) {
  std::fprintf(stderr, "jimage: %s (see --help)\n", message.c_str());
  return 64;
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// What a name means: an image at that path; else one of the user's library.
template <typename T, typename Look>
Result<T> find_image(const std::string& name, const Look& look) {
  Result<T> image = look(name);
  if (image) return image;
  const ErrorKind why = image.error().kind();
  if (why != ErrorKind::NotFound && why != ErrorKind::Invalid) return image;
  const std::string named = build::find_in_library(name);
  return named.empty() ? image : look(named);
}

int resolve(const std::string& name) {
  const Result<ResolvedImage> image = find_image<ResolvedImage>(name, [](const std::string& path) {
    return resolve_whole_image(path, BlobMemory::of_this_user());
  });
  if (!image) return fail(image.error());
  print(cat("kind ", to_string(image->kind), "\npath ", image->path, "\ndigest ",
            image->digest.text(), "\n"));
  return 0;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  return out + "\"";
}

int inspect(const std::string& name) {
  const Result<InspectedImage> image = find_image<InspectedImage>(name, inspect_image);
  if (!image) return fail(image.error());
  const ImageConfig& config = image->config;
  std::string text =
      cat("kind        ", to_string(image->resolved.kind), "\npath        ", image->resolved.path,
          "\ndigest      ", image->resolved.digest.text(), "\nplatform    ", config.platform.os,
          "/", config.platform.architecture, "\n");
  const auto list = [&](std::string_view label, const std::vector<std::string>& values) {
    if (values.empty()) return;
    text += label;
    for (const std::string& value : values) text += cat(" ", quoted(value));
    text += '\n';
  };
  list("entrypoint ", config.entrypoint);
  list("cmd        ", config.cmd);
  if (!config.workdir.empty()) text += cat("workdir     ", config.workdir, "\n");
  if (!config.user.empty()) text += cat("user        ", quoted(config.user), "\n");
  for (const std::string& variable : config.env)
    text += cat("env         ", quoted(variable), "\n");
  for (const InspectedImage::Layer& layer : image->layers) {
    text += cat("layer       ", layer.diff_id.text(), " ", layer.size, " bytes\n");
  }
  print(text);
  return 0;
}

Credentials own_credentials() {
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
  if (!groups.empty()) getgroups(static_cast<int>(groups.size()), groups.data());
  return {geteuid(), getegid(), std::move(groups)};
}

// One line on the terminal that is written over and over, at most ten times a second.
class ProgressLine {
 public:
  void show(const EnsureProgress& progress) {
    show(cat("layer ", progress.layer, " of ", progress.layers, ", "), progress.bytes,
         progress.total_bytes);
  }
  void show(const std::string& what, std::int64_t bytes, std::int64_t total_bytes) {
    const auto now = std::chrono::steady_clock::now();
    if (is_shown_ && now - shown_at_ < std::chrono::milliseconds(100)) return;
    is_shown_ = true;
    shown_at_ = now;
    std::string line = cat(what, render_bytes(Bytes{bytes}));
    if (total_bytes > 0) {
      line += cat(" of ", render_bytes(Bytes{total_bytes}), ", ", bytes * 100 / total_bytes, " %");
    }
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
  }
  void clear() const {
    if (is_shown_) std::fputs("\r\033[K", stderr);
  }

 private:
  bool is_shown_ = false;
  std::chrono::steady_clock::time_point shown_at_;
};

int import_image(const ImageStore& store, const std::string& name, bool quiet, bool sync) {
  const Result<ResolvedImage> image = resolve_image(name);
  if (!image) return fail(image.error());
  EnsureRequest request{
      .kind = image->kind, .path = image->path, .digest = image->digest, .user = own_credentials()};
  ProgressLine line;
  if (!quiet && isatty(2) != 0) {
    request.progress = [&line](const EnsureProgress& progress) { line.show(progress); };
  }
  const Result<ImageReport> report = ensure_image(store, request);
  line.clear();
  if (!report) return fail(report.error());
  if (sync) {
    const Result<void> durable = store.make_durable({image->digest, false});
    if (!durable) return fail(durable.error());
  }
  print(cat("digest ", image->digest.text(), "\ntree ", report->tree, "\n"));
  return 0;
}

// "2026-11-24T03:20:07  1.2G  in use  sha256:...".
std::string describe(const StoredImage& image) {
  std::string size = image.report.bytes > 0 ? render_bytes(Bytes{image.report.bytes}) : "-";
  if (size.size() < 8) size.insert(0, 8 - size.size(), ' ');
  return cat(render_local_time(image.last_used), "  ", size,
             image.in_use ? "  in use  " : "  -       ", image.key.digest.text(),
             image.key.readable_by_all ? " (readable by all)" : "");
}

int list(const ImageStore& store) {
  const std::vector<StoredImage> images = store.list();
  if (!images.empty()) print("LAST USED                SIZE  USE     DIGEST\n");
  for (const StoredImage& image : images) print(describe(image) + "\n");
  return 0;
}

// All images of the store, or those that are named.
Result<std::vector<ImageKey>> choose(const ImageStore& store,
                                     const std::vector<std::string>& digests) {
  const std::vector<StoredImage> images = store.list();
  std::vector<ImageKey> keys;
  if (digests.empty()) {
    for (const StoredImage& image : images) keys.push_back(image.key);
  }
  for (const std::string& text : digests) {
    GANGWAY_ASSIGN(const Digest digest, Digest::parse(text));
    const std::size_t before = keys.size();
    for (const StoredImage& image : images) {
      if (image.key.digest == digest) keys.push_back(image.key);
    }
    if (keys.size() == before) {
      return Error(ErrorKind::NotFound, cat("no image ", text, " in the store"));
    }
  }
  return keys;
}

int verify(const ImageStore& store, const std::vector<std::string>& digests) {
  const Result<std::vector<ImageKey>> keys = choose(store, digests);
  if (!keys) return fail(keys.error());
  std::int64_t damaged = 0;
  for (const ImageKey& key : *keys) {
    const Result<ImageCheck> check = store.verify(key);
    if (!check) return fail(check.error());
    if (!check->recorded) {
      print(cat("unknown  ", key.digest.text(), "  its unpack was cut short before its record\n"));
      continue;
    }
    print(cat(check->differences.empty() ? "ok       " : "damaged  ", key.digest.text(), "\n"));
    for (const std::string& difference : check->differences) {
      print(cat("         ", difference, "\n"));
    }
    const auto more =
        check->difference_count - static_cast<std::int64_t>(check->differences.size());
    if (more > 0) print(cat("         and ", more, " more\n"));
    if (!check->differences.empty()) ++damaged;
  }
  if (damaged == 0) return 0;
  return fail(Error(ErrorKind::Corrupt,
                    cat(damaged, damaged == 1 ? " image is" : " images are",
                        " not as unpacked; 'jimage rm' removes, the next job unpacks anew")));
}

int collect(const ImageStore& store, const GcPolicy& policy, bool dry_run) {
  const Time now = SystemClock().now().wall;
  GcResult result;
  if (dry_run) {
    result.removed = choose_images_to_remove(store.list(), policy, now);
  } else {
    Result<GcResult> done = collect_garbage(store, policy, now);
    if (!done) return fail(done.error());
    result = *std::move(done);
  }
  std::int64_t freed = 0;
  for (const StoredImage& image : result.removed) {
    print(describe(image) + "\n");
    freed += image.report.bytes;
  }
  print(cat(result.removed.size(), result.removed.size() == 1 ? " image" : " images",
            dry_run ? " would be removed, " : " removed, ", render_bytes(Bytes{freed})));
  if (result.leftovers > 0) print(cat(", and what ", result.leftovers, " cut short left behind"));
  print("\n");
  return 0;
}

int remove(const ImageStore& store, const std::vector<std::string>& digests) {
  for (const std::string& text : digests) {
    const Result<Digest> digest = Digest::parse(text);
    if (!digest) return fail(digest.error());
    bool found = false;
    for (const bool readable_by_all : {false, true}) {
      const Result<void> removed = store.remove({*digest, readable_by_all});
      if (removed) {
        found = true;
      } else if (removed.error().kind() != ErrorKind::NotFound) {
        return fail(removed.error());
      }
    }
    if (!found) return fail(Error(ErrorKind::NotFound, cat("no image ", text, " in the store")));
  }
  return 0;
}

struct Options {
  std::string store;
  std::string compression;
  GcPolicy policy;
  bool dry_run = false;
  bool quiet = false;
  bool sync = true;
  std::vector<std::string> names;
};

// What follows the command. Errors: Invalid, for usage().
Result<Options> parse_options(const std::vector<std::string>& words) {
  const auto invalid = [](std::string message) {
    return Error(ErrorKind::Invalid, std::move(message));
  };
  Options options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      options.names.insert(options.names.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                           words.end());
      break;
    }
    if (word == "--dry-run") {
      options.dry_run = true;
      continue;
    }
    if (word == "--no-sync") {
      options.sync = false;
      continue;
    }
    if (word == "--quiet" || word == "-q") {
      options.quiet = true;
      continue;
    }
    if (word == "-" || !word.starts_with('-')) {
      options.names.push_back(word);
      continue;
    }
    if (word != "--store" && word != "--unused-for" && word != "--quota" &&
        word != "--compression") {
      return invalid(cat("unknown option ", word));
    }
    if (++i == words.size()) return invalid(cat(word, " needs a value"));
    const std::string& value = words[i];
    if (word == "--store") {
      options.store = value;
    } else if (word == "--compression") {
      options.compression = value;
      if (value != "zstd" && value != "gzip" && value != "none") {
        return invalid(cat(word, " ", value, ": is zstd, gzip or none"));
      }
    } else if (word == "--unused-for") {
      options.policy.unused_for = parse_time_limit(value);
      if (!options.policy.unused_for) {
        return invalid(cat(word, " ", value, ": is no time, as 30d or 12h"));
      }
    } else {
      options.policy.quota = parse_bytes(value, Bytes{1});
      if (!options.policy.quota) return invalid(cat(word, " ", value, ": is no size, as 50G"));
    }
  }
  return options;
}

// The image at a path or of the library, as it is; or the tree of one of a store.
Result<Digest> export_to(const Options& options, build::ExportRequest request) {
  const std::string& what = options.names[0];
  if (options.store.empty()) {
    return find_image<Digest>(what, [&](const std::string& path) {
      struct stat status {};
      request.name = split_image_name(path, [&](const std::string& part) {
                       return stat(part.c_str(), &status) == 0;
                     }).reference;
      return build::export_source(path, request);
    });
  }
  GANGWAY_ASSIGN(const ImageStore store, ImageStore::open(options.store));
  GANGWAY_ASSIGN(const std::vector<ImageKey> keys, choose(store, {what}));
  const Compression compression = options.compression == "none"   ? Compression::None
                                  : options.compression == "gzip" ? Compression::Gzip
                                                                  : Compression::Zstd;
  return build::export_stored(store, keys.front(), compression, request);
}

int export_image(const Options& options) {
  if (options.names.size() != 2) return usage("export needs an image and where to write it");
  const std::string& output = options.names[1];
  if (output.empty() || output == "-") {
    return usage("export writes a file that appears when it is whole, not standard output");
  }
  if (options.store.empty() && !options.compression.empty()) {
    return usage("--compression belongs to the export from a store; other layers stay as they are");
  }
  ProgressLine line;
  build::ExportRequest request{.output = output, .name = {}, .mtime_s = 0};
  if (!options.quiet && isatty(2) != 0) {
    request.progress = [&line](std::int64_t bytes, std::int64_t total) {
      line.show("read ", bytes, total);
    };
  }
  const Result<Digest> digest = export_to(options, std::move(request));
  line.clear();
  if (!digest) return fail(digest.error());
  print(cat("digest ", digest->text(), "\noutput ", output, "\n"));
  return 0;
}

int run_in_store(const std::string& command, const Options& options) {
  if (options.store.empty()) return usage(cat(command, " needs --store"));
  const Result<ImageStore> store = ImageStore::open(options.store);
  if (!store) return fail(store.error());
  const std::vector<std::string>& names = options.names;
  if (command == "list") return list(*store);
  if (command == "verify") return verify(*store, names);
  if (command == "gc") return collect(*store, options.policy, options.dry_run);
  if (names.empty()) return usage(cat(command, " needs an image"));
  if (command == "rm") return remove(*store, names);
  if (names.size() != 1) return usage("import needs one image");
  return import_image(*store, names[0], options.quiet, options.sync);
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    print(cat(kHelp, build::build_commands_help(), kHelpEnd, build::build_options_help(),
              kHelpOptions));
    return arguments.empty() ? 64 : 0;
  }
  if (arguments[0] == "--version" || arguments[0] == "-V") {
    print("jimage " GANGWAY_VERSION "\n");
    return 0;
  }
  const std::string& command = arguments[0];
  if (build::is_build_command(command)) {
    const auto failure =
        build::run_build_command(command, {arguments.begin() + 1, arguments.end()});
    if (!failure) return 0;
    return failure->is_usage ? usage(failure->error.message()) : fail(failure->error);
  }
  const Result<Options> options = parse_options({arguments.begin() + 1, arguments.end()});
  if (!options) return usage(options.error().message());
  if (command != "gc" &&
      (options->policy.quota || options->policy.unused_for || options->dry_run)) {
    return usage(cat("--quota, --unused-for and --dry-run belong to gc, not to ", command));
  }
  if (command != "import" && !options->sync) return usage("--no-sync belongs to import");
  if (command == "export") return export_image(*options);
  if (!options->compression.empty()) return usage("--compression belongs to export");
  if (command == "resolve" || command == "inspect") {
    if (options->names.size() != 1) return usage(cat(command, " needs one image"));
    return command == "resolve" ? resolve(options->names[0]) : inspect(options->names[0]);
  }
  static const std::set<std::string> of_stores = {"import", "list", "verify", "rm", "gc"};
  if (!of_stores.contains(command)) return usage(cat("unknown command ", command));
  return run_in_store(command, *options);
}

}  // namespace
}  // namespace gangway::containers

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  gangway::set_log("jimage", gangway::LogLevel::Warning);
  try {
    return gangway::containers::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "jimage: %s\n", error.what());
    return 70;
  }
}
