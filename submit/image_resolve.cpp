#include "submit/image_resolve.hpp"

#include <sys/wait.h>

#include <optional>

#include "queues/base/find_program.hpp"
#include "queues/base/text.hpp"
#include "submit/exit_code.hpp"
#include "submit/run_program.hpp"

namespace gangway::submit {

namespace {

ErrorKind kind_of_exit(int code) {
  switch (code) {
    case kExitUsage:
      return ErrorKind::Invalid;
    case kExitBadData:
      return ErrorKind::Corrupt;
    case kExitNoInput:
      return ErrorKind::NotFound;
    case kExitRefused:
      return ErrorKind::Denied;
    default:
      return ErrorKind::Internal;
  }
}

}  // namespace

Result<ImageSpec> parse_resolved(std::string_view answer) {
  ImageSpec image;
  std::optional<ImageKind> kind;
  for (const std::string_view line : split(answer, '\n')) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const std::string_view word = line.substr(0, blank);
    const std::string_view value = line.substr(blank + 1);
    if (word == "kind") {
      if (value == "oci-layout") kind = ImageKind::OciLayout;
      if (value == "oci-archive") kind = ImageKind::OciArchive;
      if (value == "docker-archive") kind = ImageKind::DockerArchive;
    } else if (word == "path") {
      image.path = value;
    } else if (word == "reference") {
      image.reference = value;
    } else if (word == "digest") {
      image.manifest_digest = value;
    }
  }
  if (!kind || image.path.empty() || image.manifest_digest.empty()) {
    return Error(ErrorKind::Internal, cat("jimage resolve answered \"", answer, "\""));
  }
  image.kind = *kind;
  return image;
}

Result<ImageSpec> resolve_image(const std::string& image) {
  const Result<std::string> program = find_program("jimage");
  // An incomplete installation is not the user's mistake.
  if (!program) return Error(ErrorKind::Internal, program.error().message());
  GANGWAY_ASSIGN(const RanProgram ran, run_program({*program, "resolve", "--", image}));
  const int status = ran.wait_status;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return parse_resolved(ran.out);
  std::string_view reason = trim(ran.err);
  if (reason.starts_with("jimage: ")) reason.remove_prefix(8);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (reason.empty()) {
    return Error(kind_of_exit(code), cat("image ", image, ": jimage ended with code ", code));
  }
  return Error(kind_of_exit(code), std::string(reason));
}

}  // namespace gangway::submit
