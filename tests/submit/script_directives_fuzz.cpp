// Any text is a script or is refused; what is accepted makes a valid spec that survives the wire.
#include <cstddef>
#include <cstdint>
#include <string>

#include "queues/base/check.hpp"
#include "queues/wire/convert.hpp"
#include "submit/jobspec_parse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace submit = gangway::submit;
  const submit::ProgramText program{
      .script = std::string(reinterpret_cast<const char*>(data), size),
      .argv = {"one", "two"},
      .default_name = "job.sh"};
  const submit::Surroundings around{
      .directory = "/tmp", .environment = {"HOME=/root"}, .umask = 022, .now = {}};
  const auto parsed = submit::parse_job({}, program, "job.sh", around);
  if (!parsed) {
    CHECK(!parsed.error().message().empty());
    return 0;
  }
  CHECK(gangway::validate(parsed->spec));
  const auto again = gangway::wire::decode_spec(gangway::wire::encode_spec(parsed->spec));
  CHECK(again && *again == parsed->spec);
  return 0;
}
