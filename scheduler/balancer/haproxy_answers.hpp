// What HAProxy's master and its workers answer, out of their text.
//
// Pure. Source: HAProxy's management guide, version 2.6: "show proc", "show stat".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace gangway::balancer {

// The processes of a master. Old workers finish what they had when the file was read again.
struct Processes {
  std::int32_t master = 0;
  std::optional<std::int32_t> worker;
  std::vector<std::int32_t> old_workers;
  friend bool operator==(const Processes&, const Processes&) = default;
};
// Of "show proc". nullopt: the text is none of that kind.
[[nodiscard]] std::optional<Processes> parse_processes(std::string_view answer);

// Of "show stat": how much goes through each replica or waits for it, in all pools together.
[[nodiscard]] std::map<std::uint64_t, std::int64_t> parse_in_flight(std::string_view answer);

}  // namespace gangway::balancer
