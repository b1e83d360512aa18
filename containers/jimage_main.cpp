// jimage: images for people. `resolve` says what a name means now, by digest, with the caller's
// rights; jsubmit uses it. The other commands look into images and stores. `--help` says the rest.
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/image_ensure.hpp"
#include "containers/image_source.hpp"
#include "containers/image_store.hpp"
#include "queues/base/log.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::string_view kHelp =
    "usage: jimage resolve PATH[:TAG]        what it means now: kind, path, digest\n"
    "       jimage inspect PATH[:TAG]        its layers and configuration\n"
    "       jimage import --store DIR PATH[:TAG]  verify and unpack it into a store\n"
    "       jimage list --store DIR          the images of a store\n"
    "       jimage rm --store DIR DIGEST...  remove images from a store\n"
    "\n"
    "PATH is an OCI layout directory, an archive of one (oci-archive), or what 'docker save' "
    "writes\n"
    "(docker-archive). Without a TAG: the only image in it, or the one tagged 'latest'.\n"
    "A store is a directory with unpacked images, private to the user who owns it.\n"
    "\n"
    "      --store DIR  made if it is not there\n"
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

int resolve(const std::string& name) {
  const Result<ResolvedImage> image = resolve_whole_image(name, BlobMemory::of_this_user());
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
  const Result<InspectedImage> image = inspect_image(name);
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

int import_image(const ImageStore& store, const std::string& name) {
  const Result<ResolvedImage> image = resolve_image(name);
  if (!image) return fail(image.error());
  const EnsureRequest request{
      .kind = image->kind, .path = image->path, .digest = image->digest, .user = own_credentials()};
  const Result<ImageReport> report = ensure_image(store, request);
  if (!report) return fail(report.error());
  if (auto durable = store.make_durable({image->digest, false}); !durable) {
    return fail(durable.error());
  }
  print(cat("digest ", image->digest.text(), "\ntree ", report->tree, "\n"));
  return 0;
}

int list(const ImageStore& store) {
  for (const StoredImage& image : store.list()) {
    print(cat(image.key.digest.text(), image.key.readable_by_all ? " readable-by-all " : " ",
              image.report.tree, "\n"));
  }
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

int run(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    print(std::string(kHelp));
    return arguments.empty() ? 64 : 0;
  }
  if (arguments[0] == "--version" || arguments[0] == "-V") {
    print("jimage " GANGWAY_VERSION "\n");
    return 0;
  }
  const std::string command = arguments[0];
  arguments.erase(arguments.begin());
  std::string store_path;
  std::vector<std::string> names;
  bool only_names = false;  // after "--"
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (only_names) {
      names.push_back(arguments[i]);
    } else if (arguments[i] == "--") {
      only_names = true;
    } else if (arguments[i] == "--store") {
      if (++i == arguments.size()) return usage("--store needs a value");
      store_path = arguments[i];
    } else if (arguments[i].starts_with("--")) {
      return usage(cat("unknown option ", arguments[i]));
    } else {
      names.push_back(arguments[i]);
    }
  }
  if (command == "resolve" || command == "inspect") {
    if (names.size() != 1) return usage(cat(command, " needs one image"));
    return command == "resolve" ? resolve(names[0]) : inspect(names[0]);
  }
  if (command != "import" && command != "list" && command != "rm") {
    return usage(cat("unknown command ", command));
  }
  if (store_path.empty()) return usage(cat(command, " needs --store"));
  const Result<ImageStore> store = ImageStore::open(store_path);
  if (!store) return fail(store.error());
  if (command == "list") return list(*store);
  if (names.empty()) return usage(cat(command, " needs an image"));
  if (command == "rm") return remove(*store, names);
  if (names.size() != 1) return usage("import needs one image");
  return import_image(*store, names[0]);
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
