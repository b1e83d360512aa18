#include <cstddef>
#include <cstdint>
#include <string>

#include "submit/workflow_parse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace submit = gangway::submit;
  const submit::WorkflowInput input{
      .text = std::string(reinterpret_cast<const char*>(data), size),
      .file = "w.yaml",
      .directory = "/tmp",
      .command_line = {},
      .around = {.directory = "/tmp", .environment = {}, .umask = 022, .now = {}},
      .read_script = [](const std::string&) -> gangway::Result<std::string> {
        return gangway::Error(gangway::ErrorKind::NotFound, "no files here");
      }};
  static_cast<void>(submit::parse_workflow(input));
  return 0;
}
