// SourceFiles: what COPY and ADD take from: the build context, a stage's tree, an image's tree.
//
// Names are resolved below the root as if it were "/": ".." stops there, symlinks do not lead out.
// A source that is a symlink itself is followed, symlinks inside a copied directory are copied as
// they are. With ignore rules, what they exclude does not exist.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "containers/archive_reader.hpp"
#include "containers/build/glob.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct SourceItem {
  std::string below;  // relative to the matched name; "": it itself
  std::string path;   // relative to the root, for open()
  TarType type = TarType::File;
  mode_t mode = 0;
  std::int64_t size = 0;
  std::int64_t mtime_s = 0;
  long mtime_ns = 0;
  std::string link;  // of a symlink
};

struct SourceMatch {
  std::string name;               // last component of the source
  bool directory = false;         // then its contents are copied, not it
  std::vector<SourceItem> items;  // sorted, what holds before what is held
};

class SourceFiles {
 public:
  // Errors: those of opening a directory.
  [[nodiscard]] static Result<SourceFiles> open(const std::string& directory, IgnoreRules ignored);

  // What the pattern means, by name. Errors: NotFound (nothing, naming it), Invalid (a malformed
  // pattern), Exhausted.
  [[nodiscard]] Result<std::vector<SourceMatch>> match(const std::string& pattern,
                                                       const IgnoreRules& excludes) const;
  // Whether anything at all is left out.
  [[nodiscard]] bool is_filtered() const { return is_filtered_; }
  [[nodiscard]] Result<Fd> open_file(const SourceItem& item) const;
  // Names, kinds, modes and contents of the matches, hashed; not times.
  [[nodiscard]] Result<std::string> digest(const std::vector<SourceMatch>& matches) const;

 private:
  SourceFiles(Fd root, IgnoreRules ignored, bool filtered)
      : root_(std::move(root)), ignored_(std::move(ignored)), is_filtered_(filtered) {}
  Result<void> expand(const std::vector<std::string>& pattern,
                      std::size_t at,
                      const std::string& lexical,
                      const IgnoreRules& excludes,
                      std::vector<SourceMatch>& matches) const;
  Result<void> add_match(const std::string& lexical,
                         const IgnoreRules& excludes,
                         std::vector<SourceMatch>& matches) const;
  Result<void> walk(const std::string& path,
                    const std::string& lexical,
                    const std::string& below,
                    const IgnoreRules& excludes,
                    SourceMatch& match,
                    int depth) const;
  [[nodiscard]] Result<std::vector<std::string>> names_in(const std::string& path) const;

  Fd root_;
  IgnoreRules ignored_;
  bool is_filtered_ = false;
};

}  // namespace gangway::containers::build
