#include "submit/service_build.hpp"

#include <sys/wait.h>

#include <map>

#include "queues/base/find_program.hpp"
#include "queues/base/text.hpp"
#include "submit/run_program.hpp"

namespace gangway::submit {

std::vector<std::string> build_words(const ServiceSpec& spec) {
  const ReplicaTemplate::Build& build = *spec.replica.build;
  const bool is_absolute = build.dockerfile.starts_with('/');
  std::vector<std::string> words = {
      "build", "-q",
      "-t",    spec.replica.image.empty() ? spec.name : spec.replica.image,
      "-f",    is_absolute ? build.dockerfile : cat(build.context, "/", build.dockerfile)};
  if (!build.target.empty()) words.insert(words.end(), {"--target", build.target});
  for (const auto& [name, value] : build.args) {
    words.insert(words.end(), {"--build-arg", cat(name, "=", value)});
  }
  words.push_back(build.context);
  return words;
}

Result<void> build_images(std::vector<ServiceSpec>& services) {
  std::map<std::vector<std::string>, std::string> built;
  for (ServiceSpec& spec : services) {
    if (!spec.replica.build) continue;
    std::vector<std::string> words = build_words(spec);
    const std::string name = words[3];
    // The name is of no matter for what comes out.
    std::vector<std::string> same = words;
    same[3].clear();
    const auto [known, is_new] = built.try_emplace(same, name);
    if (is_new) {
      GANGWAY_ASSIGN(const std::string program, find_program("jimage"));
      words.insert(words.begin(), program);
      GANGWAY_ASSIGN(const RanProgram ran, run_program(words));
      if (!WIFEXITED(ran.wait_status) || WEXITSTATUS(ran.wait_status) != 0) {
        std::string_view why = trim(ran.err);
        why = why.substr(why.rfind('\n') + 1);
        if (why.starts_with("jimage: ")) why.remove_prefix(8);
        return Error(ErrorKind::Invalid, cat("service ", spec.name, ": build: ", why));
      }
    }
    spec.replica.image = known->second;
    spec.replica.build.reset();
  }
  return {};
}

}  // namespace gangway::submit
