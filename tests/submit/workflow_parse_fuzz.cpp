// Any text is a workflow or has errors with lines; what is accepted survives the wire.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "queues/base/check.hpp"
#include "queues/wire/convert.hpp"
#include "submit/workflow_parse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace submit = gangway::submit;
  const submit::WorkflowInput input{
      .text = std::string(reinterpret_cast<const char*>(data), size),
      .file = "w.yaml",
      .directory = "/tmp",
      .command_line = {},
      .around = {.directory = "/tmp", .environment = {}, .umask = 022, .now = {}},
      .read_script = [](const std::string& path) -> gangway::Result<std::string> {
        if (path == "/tmp/a.sh") return std::string("#!/bin/sh\n#JOB --nodes=2\ntrue\n");
        return gangway::Error(gangway::ErrorKind::NotFound, "no files here");
      }};
  const submit::WorkflowFile file = submit::parse_workflow(input);
  const auto lines = static_cast<int>(std::count(input.text.begin(), input.text.end(), '\n')) + 1;
  for (const submit::WorkflowError& error : file.errors) {
    CHECK(error.line >= 0 && error.line <= lines + 1);
    CHECK(!error.message.empty());
  }
  if (!file.errors.empty()) return 0;
  for (const submit::WorkflowJob& job : file.jobs) {
    CHECK(gangway::validate(job.spec));
    const auto again = gangway::wire::decode_spec(gangway::wire::encode_spec(job.spec));
    CHECK(again && *again == job.spec);
  }
  return 0;
}
