// ImageGetter: from an image's source to its tree, open and ready for a sandbox, without blocking
// the loop of the process that waits.
//
// Takes the short way (image_access.hpp) where it is open, else runs the image helper. A privileged
// process gets the tree as a mount in which the job's user owns everything; where this kernel or
// file system cannot do that, the variant of the tree that everybody may read is taken instead.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "containers/image_gc.hpp"
#include "containers/image_report.hpp"
#include "containers/privileges.hpp"
#include "containers/reactor.hpp"
#include "containers/runtime.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// Who finds out whether the user may read an image that is in the store already.
enum class AccessCheck {
  ByChild,   // a process that has the user's rights
  ByCaller,  // the caller, with what it makes of the image: check_access() in image_access.hpp
  ByHelper   // the image helper, which has the words for a refusal
};

struct ReadyImage {
  ImageReport report;
  bool access_checked = true;  // else that is the caller's
  Fd tree;  // a mount that is not attached anywhere; none for a rootless executor
  Fd pin;   // as long as it is open the image stays in the store
};

class ImageGetter {
 public:
  ImageGetter(Reactor& reactor, std::string helper, std::string store, GcPolicy bounds);
  ~ImageGetter();  // gives up
  ImageGetter(const ImageGetter&) = delete;
  ImageGetter& operator=(const ImageGetter&) = delete;

  // `done` is called once, in a later turn. After give_up() it is called with an error when the
  // last process is gone. Requires: a process with one thread.
  void start(ImageSource source,
             Credentials user,
             AccessCheck check,
             std::function<void(Result<ReadyImage>)> done);
  void give_up();

 private:
  struct Run;
  std::shared_ptr<Run> run_;
};

}  // namespace gangway::containers
