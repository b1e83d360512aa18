// ImageFetch: one run of the image helper, seen from the process that waits for it without
// blocking.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "containers/image_gc.hpp"
#include "containers/image_report.hpp"
#include "containers/privileges.hpp"
#include "containers/runtime.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

struct ImageFetchRequest {
  std::string helper;  // path of jimage-unpack
  std::string store;
  ImageSource source;
  Credentials user;  // who asks; the source is opened with these rights
  bool readable_by_all = false;
  GcPolicy bounds;  // of the store; kept to after a new image has come
};

// The helper's command line. Pure.
[[nodiscard]] std::vector<std::string> image_helper_argv(const ImageFetchRequest& request);

class ImageFetch {
 public:
  [[nodiscard]] static Result<ImageFetch> start(const ImageFetchRequest& request);

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int output() const { return output_.get(); }
  [[nodiscard]] int errors() const { return errors_.get(); }
  // Takes what there is; true when nothing more of interest will come.
  bool read_output();
  // The same of its stderr, of which only the end is kept: it is never held up by what it says.
  bool read_errors();
  // The whole report has come.
  [[nodiscard]] bool complete() const;
  [[nodiscard]] Result<ImageReport> report() const { return parse_image_report(text_); }
  // Why it ended without a report: its last line on stderr, its kind from the exit code.
  [[nodiscard]] Error failure(int wait_status);

  // Kept here for the owner.
  void set_watch(std::uint64_t watch) { watch_ = watch; }
  [[nodiscard]] std::uint64_t watch() const { return watch_; }
  void set_error_watch(std::uint64_t watch) { error_watch_ = watch; }
  [[nodiscard]] std::uint64_t error_watch() const { return error_watch_; }
  void set_exited() { exited_ = true; }
  [[nodiscard]] bool exited() const { return exited_; }

 private:
  pid_t pid_ = -1;
  Fd output_;
  Fd errors_;
  std::string text_;
  std::string last_words_;
  std::uint64_t watch_ = 0;
  std::uint64_t error_watch_ = 0;
  bool exited_ = false;
};

}  // namespace gangway::containers
