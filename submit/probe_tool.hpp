// What a shepherd runs in a replica's sandbox to ask a probe: `jrun --probe PORT [PATH]` connects
// to the port on the loopback address, and with a path asks for it by HTTP; 200 to 399 is a good
// answer. Its end is the answer; its time is the shepherd's matter.
#pragma once

#include <string>
#include <vector>

namespace gangway::submit {

// Exit code: 0 good, 1 not, 64 usage. Writes nothing: it may run for ever again and again.
[[nodiscard]] int run_probe(const std::vector<std::string>& words);

}  // namespace gangway::submit
