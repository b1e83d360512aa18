#include <cstddef>
#include <cstdint>

#include "tests/containers/fuzz_targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gangway::tests::fuzz_layer({reinterpret_cast<const char*>(data), size});
  return 0;
}
