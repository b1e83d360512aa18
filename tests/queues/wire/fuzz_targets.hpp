// What is done with the bytes of strangers: called by the libFuzzer programs with bytes that they
// find, and by a unit test with bytes by chance. A broken property is a CHECK.
#pragma once

#include <string_view>

namespace gangway::tests {

// The first bytes say where the rest is cut into reads. The frames do not depend on the cuts, and
// encode to the bytes they came from.
void fuzz_framing(std::string_view bytes);

// The first byte says which message the rest is. What is accepted comes back the same from a second
// round trip.
void fuzz_convert(std::string_view bytes);
inline constexpr int kConvertKinds = 8;

}  // namespace gangway::tests
