// What is done with the bytes of strangers: called by the libFuzzer programs with bytes that they
// find, and by a unit test with bytes by chance. A broken property is a CHECK.
#pragma once

#include <string_view>

namespace gangway::tests {

// A layer's blob: decompressed, parsed and written into a directory in memory, beside which nothing
// may change.
void fuzz_layer(std::string_view blob);
// Any of an image's documents.
void fuzz_document(std::string_view text);

}  // namespace gangway::tests
