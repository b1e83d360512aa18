// Layers applied to a directory that lies beside things they must not touch.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <clocale>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "containers/layer_unpack.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/image_builder.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers {

using Layer = std::vector<Member>;

class LayerTest : public testing::Test {
 protected:
  LayerTest() {
    setlocale(LC_CTYPE, "C.UTF-8");
    // root/ is the image; outside/ is the node.
    for (const char* name : {"root", "outside", "outside/directory"}) {
      mkdir((place_ / name).c_str(), 0755);
    }
    write_file(place_ / "outside/victim", "untouched");
    write_file(place_ / "outside/directory/inner", "untouched");
    before_ = describe(place_ / "outside", /*with_times=*/true);
  }

  ~LayerTest() override {
    // Whatever a test does, this holds.
    EXPECT_EQ(describe(place_ / "outside", true), before_) << "something outside was changed";
    const auto siblings = describe(place_.path(), false);
    for (const auto& [name, what] : siblings) {
      EXPECT_TRUE(name.starts_with("root") || name.starts_with("outside")) << name;
    }
  }

  Result<void> apply_bytes(const std::string& tar, const std::string& blob) {
    Fd memory(memfd_create("layer", MFD_CLOEXEC));
    EXPECT_EQ(write(memory.get(), blob.data(), blob.size()), static_cast<ssize_t>(blob.size()));
    if (!writer_) {
      Fd root(open((place_ / "root").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      writer_ = std::make_unique<TreeWriter>(std::move(root), limits_, readable_by_all_);
    }
    return unpack_layer(
        {.fd = memory.get(), .offset = 0, .size = static_cast<std::int64_t>(blob.size())},
        Digest::of_hex(sha256_hex(tar)), limits_, *writer_);
  }
  // Empties the image.
  void start_anew() {
    writer_.reset();
    EXPECT_TRUE(remove_tree(place_ / "root"));
    mkdir((place_ / "root").c_str(), 0755);
  }
  Result<void> apply(const Layer& layer) {
    const std::string tar = make_tar(layer);
    return apply_bytes(tar, tar);
  }
  Result<void> apply_all(const std::vector<Layer>& layers) {
    for (const Layer& layer : layers) GANGWAY_TRY(apply(layer));
    return {};
  }

  // name -> "d 755", "f 644 contents", "l target".
  static std::map<std::string, std::string> describe(const std::string& directory,
                                                     bool with_times) {
    std::map<std::string, std::string> all;
    describe_into(directory, "", with_times, all);
    return all;
  }
  [[nodiscard]] std::map<std::string, std::string> tree() const {
    return describe(place_ / "root", false);
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, what] : tree()) out.push_back(name);
    return out;
  }
  [[nodiscard]] std::string in_root(const std::string& name) const {
    return place_ / ("root/" + name);
  }

  TemporaryDirectory place_{geteuid(), fast_directory()};
  UnpackLimits limits_;
  bool readable_by_all_ = false;
  std::unique_ptr<TreeWriter> writer_;

 private:
  static void describe_into(const std::string& directory,
                            const std::string& prefix,
                            bool with_times,
                            std::map<std::string, std::string>& all) {
    // Trees here are thousands deep: a list of what is left, not a recursion. Names in it end in
    // "/".
    std::vector<std::string> left = {""};
    while (!left.empty()) {
      const std::string below = std::move(left.back());
      left.pop_back();
      describe_one(directory, prefix, below, with_times, all, left);
    }
  }

  static void describe_one(const std::string& root,
                           const std::string& prefix,
                           const std::string& below,
                           bool with_times,
                           std::map<std::string, std::string>& all,
                           std::vector<std::string>& left) {
    DIR* stream = opendir((root + "/" + below).c_str());
    if (stream == nullptr) return;
    while (const dirent* entry = readdir(stream)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const std::string path = root + "/" + below + name;
      struct stat status {};
      lstat(path.c_str(), &status);
      char mode[16];
      std::snprintf(mode, sizeof mode, "%o", status.st_mode & 07777);
      std::string what;
      if (S_ISDIR(status.st_mode)) {
        what = cat("d ", mode);
      } else if (S_ISLNK(status.st_mode)) {
        char target[4096];
        const ssize_t length = readlink(path.c_str(), target, sizeof target);
        what = "l " + std::string(target, static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
      } else if (S_ISREG(status.st_mode)) {
        what = cat("f ", mode, " ", read_small_file(path).value_or("?"));
      } else {
        what = cat("other ", static_cast<int>(status.st_mode));
      }
      if (with_times) {
        what += cat(" mtime ", status.st_mtim.tv_sec, ".", status.st_mtim.tv_nsec, " links ",
                    static_cast<std::int64_t>(status.st_nlink), " owner ", status.st_uid);
        char xattrs[1024];
        what += cat(" xattrs ",
                    static_cast<std::int64_t>(llistxattr(path.c_str(), xattrs, sizeof xattrs)));
      }
      all[prefix + below + name] = what;
      if (S_ISDIR(status.st_mode)) left.push_back(below + name + "/");
    }
    closedir(stream);
  }

  std::map<std::string, std::string> before_;
};

}  // namespace gangway::containers
