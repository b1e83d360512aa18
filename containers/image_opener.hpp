// Opening an image's files with the rights of the user who submitted it: a child with the user's
// ids does nothing but open what it is asked for, by name, and hands descriptors over. It parses
// nothing.
#pragma once

#include <memory>
#include <string>

#include "containers/image_source.hpp"
#include "containers/privileges.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

class ImageOpener final : public ImageFiles {
 public:
  // Errors: those of opening `path`: NotFound, Denied, Invalid (a directory is expected, or a
  // file).
  [[nodiscard]] static Result<std::unique_ptr<ImageOpener>> start(const Credentials& user,
                                                                  const std::string& path,
                                                                  bool directory);
  ~ImageOpener() override;

  // By name in the layout directory. Requires: started for a directory.
  [[nodiscard]] Result<Opened> open(const std::string& name) override;
  // The archive itself. Requires: started for a file.
  [[nodiscard]] Result<Fd> archive();

 private:
  ImageOpener() = default;
  Result<Opened> ask(const std::string& name);
  pid_t pid_ = -1;
  Fd socket_;
};

}  // namespace gangway::containers
