#include <cstddef>
#include <cstdint>

#include "tests/executor/pmi_fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gangway::tests::fuzz_pmi({reinterpret_cast<const char*>(data), size});
  return 0;
}
