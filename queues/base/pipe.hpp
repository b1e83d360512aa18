// A pipe whose ends are owned, closed on exec.
#pragma once

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway {

struct Pipe {
  Fd read;
  Fd write;
};

// Errors: Exhausted (no descriptors are left).
[[nodiscard]] Result<Pipe> make_pipe();

}  // namespace gangway
