// jimage-unpack: the image helper of executors. `ensure` puts an image into the node's store if it
// is not there, and prints where it is, in the lines of image_report.hpp; `--help` says the rest.
//
// A process of its own, because it links what parses hostile archives, and because it may take
// long.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/image_ensure.hpp"
#include "containers/image_gc.hpp"
#include "containers/image_source.hpp"
#include "queues/base/log.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::string_view kHelp =
    "usage: jimage-unpack ensure --store DIR --kind oci-layout|oci-archive|docker-archive\n"
    "         --path PATH --digest sha256:HEX --uid N --gid N [--groups N,N...]\n"
    "         [--readable-by-all] [--worker-uid N] [--worker-gid N] [--seconds N]\n"
    "         [--max-bytes N] [--max-entries N] [--quota BYTES] [--unused-for SECONDS]\n"
    "         [--verbose]\n"
    "\n"
    "Makes sure that the image lies unpacked in the store, and prints its tree, the owner of its\n"
    "files and its configuration, one 'key value' a line, ended by 'done'. PATH is opened with "
    "the\n"
    "rights of the given user. Once per image and node, whatever number of processes ask at once.\n"
    "With --quota or --unused-for other images make room afterwards, unless they are in use.\n"
    "\n"
    "exit codes: 0 ready; 65 the image is bad or not for this machine; 66 it does not exist;\n"
    "            77 the user may not read it; 75 try again later; 70 internal; 64 usage\n";

int fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message().c_str());
  return image_exit_code(error.kind());
}

int usage(const std::string& message) {
  std::fprintf(stderr, "jimage-unpack: %s (see --help)\n", message.c_str());
  return 64;
}

std::optional<std::vector<gid_t>> parse_groups(std::string_view text) {
  std::vector<gid_t> groups;
  if (text.empty()) return groups;
  for (const std::string_view part : split(text, ',')) {
    const auto group = parse_integer<gid_t>(part);
    if (!group) return std::nullopt;
    groups.push_back(*group);
  }
  return groups;
}

// The store stands; what is left is that it survives a power failure, and that others make room.
// Nobody waits for it, so jobs go first; but not for ever, because the image counts as used
// meanwhile.
void finish_in_background(const ImageStore& store, const ImageKey& key, const GcPolicy& bounds) {
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd <= 2; ++fd) dup2(null.get(), fd);
  [[maybe_unused]] const int niceness = nice(10);
  [[maybe_unused]] const Result<void> durable = store.make_durable(key);
  if (!bounds.quota && !bounds.unused_for) return;
  [[maybe_unused]] const Result<GcResult> made_room =
      collect_garbage(store, bounds, SystemClock().now().wall);
}

int ensure(const std::map<std::string, std::string>& options) {
  const auto text = [&](const char* name) {
    const auto found = options.find(name);
    return found == options.end() ? std::string() : found->second;
  };
  const auto number = [&](const char* name, std::int64_t fallback) -> std::optional<std::int64_t> {
    const auto found = options.find(name);
    if (found == options.end()) return fallback;
    return parse_integer<std::int64_t>(found->second);
  };
  const auto kind = parse_image_source_kind(text("--kind"));
  if (!kind) return usage("--kind: not a kind of image");
  const auto uid = parse_integer<uid_t>(text("--uid"));
  const auto gid = parse_integer<gid_t>(text("--gid"));
  const auto groups = parse_groups(text("--groups"));
  if (!uid || !gid || !groups) return usage("--uid, --gid, --groups: not numbers");
  if (!text("--path").starts_with('/')) return usage("--path: not an absolute path");
  Result<Digest> digest = Digest::parse(text("--digest"));
  if (!digest) return fail(digest.error());

  EnsureRequest request{.kind = *kind,
                        .path = text("--path"),
                        .digest = *digest,
                        .user = {*uid, *gid, *groups},
                        .readable_by_all = options.contains("--readable-by-all")};
  const auto worker_uid = number("--worker-uid", request.worker_uid);
  const auto worker_gid = number("--worker-gid", request.worker_gid);
  const auto seconds = number("--seconds", request.limits.seconds);
  const auto max_bytes = number("--max-bytes", request.limits.max_bytes);
  const auto max_entries = number("--max-entries", request.limits.max_entries);
  if (!worker_uid || !worker_gid || !seconds || !max_bytes || !max_entries) {
    return usage("--worker-uid, --worker-gid, --seconds, --max-bytes, --max-entries: not numbers");
  }
  request.worker_uid = static_cast<uid_t>(*worker_uid);
  request.worker_gid = static_cast<gid_t>(*worker_gid);
  request.limits.seconds = static_cast<int>(*seconds);
  request.limits.max_bytes = *max_bytes;
  request.limits.max_entries = *max_entries;

  GcPolicy bounds;
  const auto quota = number("--quota", 0);
  const auto unused_for = number("--unused-for", 0);
  if (!quota || !unused_for) return usage("--quota, --unused-for: not numbers");
  if (*quota > 0) bounds.quota = Bytes{*quota};
  if (*unused_for > 0) bounds.unused_for = gangway::seconds(*unused_for);

  const Result<ImageStore> store = ImageStore::open(text("--store"));
  if (!store) return fail(store.error());
  const Result<ImageReport> report = ensure_image(*store, request);
  if (!report) return fail(report.error());
  // It is in use until somebody else has had the time to say the same.
  const ImageKey key{request.digest, request.readable_by_all};
  const Result<Fd> pin = store->pin(key);
  if (!pin) return fail(pin.error());
  const std::string lines = render_image_report(*report);
  std::fwrite(lines.data(), 1, lines.size(), stdout);
  if (std::fflush(stdout) != 0) return fail(errno_error("write report", errno));
  finish_in_background(*store, key, bounds);
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help") {
    std::fwrite(kHelp.data(), 1, kHelp.size(), stdout);
    return arguments.empty() ? 64 : 0;
  }
  if (arguments[0] == "--version") {
    std::puts("jimage-unpack " GANGWAY_VERSION);
    return 0;
  }
  if (arguments[0] != "ensure") return usage(cat("unknown command ", arguments[0]));
  std::map<std::string, std::string> options;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    static constexpr std::string_view kNames[] = {
        "--store",     "--kind",        "--path",       "--digest",     "--uid",
        "--gid",       "--groups",      "--worker-uid", "--worker-gid", "--seconds",
        "--max-bytes", "--max-entries", "--quota",      "--unused-for"};
    if (name == "--verbose") {
      set_log("jimage-unpack", LogLevel::Info);
      continue;
    }
    if (name == "--readable-by-all") {
      options[name] = "";
      continue;
    }
    if (std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames)) {
      return usage(cat("unknown option ", name));
    }
    if (++i == arguments.size()) return usage(cat(name, " needs a value"));
    options[name] = arguments[i];
  }
  return ensure(options);
}

}  // namespace
}  // namespace gangway::containers

int main(int argc, char** argv) {
  // Names in archives are bytes or UTF-8, whatever the environment says.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  gangway::set_log("jimage-unpack", gangway::LogLevel::Warning);
  umask(0077);
  try {
    return gangway::containers::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "jimage-unpack: %s\n", error.what());
    return 70;
  }
}
