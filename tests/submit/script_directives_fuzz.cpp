#include <cstddef>
#include <cstdint>
#include <string>

#include "submit/jobspec_parse.hpp"
#include "submit/script_directives.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  gangway::submit::JobDraft draft;
  draft.source = gangway::submit::OptionSource::Script;
  static_cast<void>(gangway::submit::apply_script(draft, text, "job.sh"));
  return 0;
}
