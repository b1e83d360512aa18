// BuildStage: a stage of a Dockerfile while it is built: what is known of its image so far, and its
// tree, which exists on disk only from the first step on that is not remembered from before.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "containers/build/image_library.hpp"
#include "containers/build/image_settings.hpp"
#include "containers/build/tree_snapshot.hpp"
#include "containers/build/word_expand.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct StepSettings {
  std::optional<std::int64_t> epoch_s;  // SOURCE_DATE_EPOCH
  Compression compression = Compression::Zstd;
  bool use_cache = true;
};

class BuildStage {
 public:
  BuildStage(const ImageLibrary& library, StepSettings settings, std::string directory);

  ImageSettings image;
  std::vector<LayerBlob> layers;
  Variables args;  // declared by ARG so far
  std::vector<std::string> shell{"/bin/sh", "-c"};

  // ARGs with what ENV says over them: what words are expanded with.
  [[nodiscard]] Variables variables() const;
  // The digest of all layers so far: equal for equal contents.
  [[nodiscard]] std::string content() const;
  // The directory of the tree, unpacked now if it is not there. Errors: of unpacking.
  [[nodiscard]] Result<std::string> tree();

  // Carries `change` out on the tree and makes a layer of what it changed; or takes the layer from
  // an earlier build if there was the same step (`description` holds all that it depends on, beside
  // the tree). Value: whether it was remembered.
  struct Owner {
    std::int64_t uid = 0;
    std::int64_t gid = 0;
  };
  [[nodiscard]] Result<bool> step(const std::string& description,
                                  bool set_all_times,
                                  const std::function<Result<Owner>()>& change);
  void add_history(const std::string& text, bool empty_layer);

 private:
  Result<StepRecord> make_layer(const Owner& owner, bool set_all_times);
  void take(const StepRecord& record);

  const ImageLibrary& library_;
  StepSettings settings_;
  std::string directory_;
  std::size_t unpacked_ = 0;  // layers in the tree
  bool has_tree_ = false;
  Fd root_;
  std::optional<TreeSnapshot> snapshot_;  // of the tree as it is
};

// What an image says of itself where the Dockerfile's user is looked up. Errors: Invalid (no such
// user), naming it.
struct TreeUser {
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::string home;
};
// `text`: "name", "uid", "name:group", …; "" is root.
[[nodiscard]] Result<TreeUser> find_tree_user(const std::string& tree, const std::string& text);

}  // namespace gangway::containers::build
