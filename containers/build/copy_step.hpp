// COPY and ADD: where what is copied comes to lie, and bringing it there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "containers/build/source_files.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct CopyJob {
  std::string tree;             // absolute path of the root it is copied into
  std::string destination;      // absolute, inside; ends in '/' if it must be a directory
  bool into_directory = false;  // several sources: the destination is one, whatever it ends in
  std::optional<mode_t> mode;   // --chmod
  bool unpack = false;          // ADD
};

struct InlineFile {
  std::string name;
  std::string text;
};

// Errors: Invalid (a directory onto a file), Unsupported (an archive of ADD that cannot be read),
// those of reading and writing.
Result<void> copy_into(const CopyJob& job,
                       const SourceFiles& files,
                       const std::vector<SourceMatch>& matches,
                       const std::vector<InlineFile>& inline_files);

// A copy of one match at `directory`/`name`: for mounts that may be written, or are filtered.
Result<void> copy_out(const SourceFiles& files,
                      const SourceMatch& match,
                      const std::string& directory,
                      const std::string& name);

}  // namespace gangway::containers::build
