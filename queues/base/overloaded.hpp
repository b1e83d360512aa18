// overloaded{lambdas...}: one visitor out of several, for std::visit.
//
// A pair of state and event that no lambda names is a compile error, or falls to the one that takes
// `const auto&`.
#pragma once

namespace gangway {

template <typename... Functions>
struct overloaded : Functions... {  // NOLINT: customary name, used like a function
  using Functions::operator()...;
};
template <typename... Functions>
overloaded(Functions...) -> overloaded<Functions...>;

}  // namespace gangway
