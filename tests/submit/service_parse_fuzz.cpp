// Any text is read as a manifest and as a Compose file: with errors perhaps, but in bounded time.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "submit/service_parse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(gangway::submit::parse_k8s(text));
  static_cast<void>(gangway::submit::parse_compose(text, "/d", {{"A", "b"}}));
  return 0;
}
