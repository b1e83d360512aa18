// What is done with the bytes of ranks: called by libFuzzer with bytes that it finds, and by a unit
// test with bytes by chance. A broken property is a CHECK.
#pragma once

#include <string_view>

namespace gangway::tests {

// Commands of two ranks; a byte below two at the beginning of a piece says which of them goes on.
// However the bytes are cut into reads, the same is said.
void fuzz_pmi(std::string_view bytes);

}  // namespace gangway::tests
