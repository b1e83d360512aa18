#include "containers/build/build_stage.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "containers/tree_walk.hpp"
#include "containers/unpack_worker.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::size_t kMaxAccountsBytes = 1 << 20;

// The lines of a file in the tree, by their fields; none if it is no ordinary file.
std::vector<std::vector<std::string>> read_fields(int root, const std::string& path) {
  std::vector<std::vector<std::string>> lines;
  const Result<Fd> fd = open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat status {};
  if (!fd || fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<std::uint64_t>(status.st_size) > kMaxAccountsBytes) {
    return lines;
  }
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  const ssize_t got = pread(fd->get(), text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ':');
    lines.emplace_back(fields.begin(), fields.end());
  }
  return lines;
}

constexpr std::int64_t kMaxId = 4294967294;
std::optional<std::int64_t> parse_id(std::string_view text) {
  const auto id = parse_integer<std::int64_t>(text);
  return id && *id >= 0 && *id <= kMaxId ? id : std::nullopt;
}

}  // namespace

Result<TreeUser> find_tree_user(const std::string& tree, const std::string& text) {
  if (text.empty()) return TreeUser{0, 0, "/root"};
  const Fd root(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_error(tree, errno);
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  TreeUser user;
  const std::optional<std::int64_t> uid = parse_id(name);
  bool found = uid.has_value();
  if (uid) user = {*uid, 0, *uid == 0 ? "/root" : "/"};
  for (const auto& fields : read_fields(root.get(), "/etc/passwd")) {
    if (fields.size() < 6) continue;
    const auto line_uid = parse_id(fields[2]);
    const auto line_gid = parse_id(fields[3]);
    if (!line_uid || !line_gid || (fields[0] != name && uid != line_uid)) continue;
    user = {*line_uid, *line_gid, fields[5]};
    found = true;
    break;
  }
  if (!found && name == "root") {
    user = {0, 0, "/root"};
    found = true;
  }
  if (!found) return Error(ErrorKind::Invalid, cat("the image has no user ", name));
  if (colon == std::string::npos) return user;
  const std::string group = text.substr(colon + 1);
  if (const auto gid = parse_id(group)) {
    user.gid = *gid;
    return user;
  }
  for (const auto& fields : read_fields(root.get(), "/etc/group")) {
    if (fields.size() < 3 || fields[0] != group) continue;
    if (const auto gid = parse_id(fields[2])) {
      user.gid = *gid;
      return user;
    }
  }
  if (group != "root") return Error(ErrorKind::Invalid, cat("the image has no group ", group));
  user.gid = 0;
  return user;
}

BuildStage::BuildStage(const ImageLibrary& library, StepSettings settings, std::string directory)
    : library_(library), settings_(settings), directory_(std::move(directory)) {
  image.platform = this_platform();
}

Variables BuildStage::variables() const {
  Variables out = args;
  for (const std::string& entry : image.env) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos) out[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return out;
}

std::string BuildStage::content() const {
  if (layers.empty()) return "scratch";
  Digest chain = layers[0].diff_id;
  for (std::size_t i = 1; i < layers.size(); ++i) chain = next_chain_id(&chain, layers[i].diff_id);
  return chain.text();
}

Result<std::string> BuildStage::tree() {
  if (!has_tree_) {
    if (mkdir(directory_.c_str(), 0755) != 0) return errno_error(cat("make ", directory_), errno);
    // Whatever the umask says.
    if (chmod(directory_.c_str(), 0755) != 0) return errno_error(directory_, errno);
    root_ = Fd(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) return errno_error(cat("open ", directory_), errno);
    has_tree_ = true;
  }
  if (unpacked_ < layers.size()) {
    GANGWAY_ASSIGN(UnpackWorker worker,
                   UnpackWorker::start({.tree = directory_, .uid = geteuid(), .gid = getegid()}));
    for (; unpacked_ < layers.size(); ++unpacked_) {
      const LayerBlob& layer = layers[unpacked_];
      const std::string path = library_.blob_path(layer.digest);
      const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (!fd) return errno_error(cat("open ", path), errno);
      GANGWAY_TRY(
          worker.unpack_begin({.fd = fd.get(), .offset = 0, .size = layer.size}, layer.diff_id));
      GANGWAY_TRY_CONTEXT(worker.unpack_wait(), cat("layer ", unpacked_ + 1));
    }
    GANGWAY_TRY(worker.finish());
    snapshot_.reset();
  }
  return directory_;
}

Result<bool> BuildStage::step(const std::string& description,
                              bool set_all_times,
                              const std::function<Result<Owner>()>& change) {
  const std::string epoch = settings_.epoch_s ? cat(*settings_.epoch_s) : "";
  const std::string key =
      sha256_hex(cat("1\n", content(), "\n", epoch, "\n", static_cast<int>(settings_.compression),
                     "\n", description));
  if (settings_.use_cache) {
    if (const auto known = library_.find_step(key)) {
      take(*known);
      return true;
    }
  }
  GANGWAY_TRY(tree());
  if (!snapshot_) {
    GANGWAY_ASSIGN(snapshot_, take_snapshot(root_.get()));
  }
  GANGWAY_ASSIGN(const Owner owner, change());
  GANGWAY_ASSIGN(const StepRecord record, make_layer(owner, set_all_times));
  library_.remember_step(key, record);
  take(record);
  unpacked_ = layers.size();
  return false;
}

Result<StepRecord> BuildStage::make_layer(const Owner& owner, bool set_all_times) {
  GANGWAY_ASSIGN(TreeSnapshot after, take_snapshot(root_.get()));
  const TreeChanges changes = compare(*snapshot_, after);
  StepRecord record;
  record.created =
      render_rfc3339(settings_.epoch_s.value_or(static_cast<std::int64_t>(std::time(nullptr))));
  if (!changes.empty()) {
    GANGWAY_ASSIGN(ImageLibrary::NewBlob blob, library_.make_blob());
    const LayerRules rules{.uid = owner.uid,
                           .gid = owner.gid,
                           .latest_mtime_s = settings_.epoch_s,
                           .set_all_times = set_all_times};
    GANGWAY_ASSIGN(LayerWriter writer, LayerWriter::open(blob.fd.get(), settings_.compression));
    if (auto written = write_changes(root_.get(), after, changes, rules, writer); !written) {
      unlink(blob.path.c_str());
      return written.error();
    }
    GANGWAY_ASSIGN(const WrittenLayer layer, writer.finish());
    GANGWAY_TRY(library_.keep_blob(std::move(blob), layer.digest));
    record.layer = LayerBlob{layer.diff_id, layer.digest, layer.size, layer.compression};
  }
  snapshot_ = std::move(after);
  return record;
}

void BuildStage::take(const StepRecord& record) {
  image.created = std::max(image.created, record.created);
  if (!record.layer) return;
  layers.push_back(*record.layer);
  image.diff_ids.push_back(record.layer->diff_id);
}

void BuildStage::add_history(const std::string& text, bool empty_layer) {
  image.history.push_back(
      {.created = image.created, .created_by = text, .comment = "", .empty_layer = empty_layer});
}

}  // namespace gangway::containers::build
