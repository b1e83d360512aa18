// Which of a node's devices a job gets: named resources that can be told apart.
//
// A kind is what stands before the colon: of {gpu: 4, gpu:a100: 2, gpu:h100: 2} the kind is gpu,
// and its devices are numbered type by type in the order of their names (0 and 1 are a100s, 2 and 3
// h100s), those without a type last. What is too many to be told apart (licences) has no numbers.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/model/allocation.hpp"
#include "queues/model/resources.hpp"

namespace gangway {

inline constexpr std::int32_t kMaxIndexedDevices = 256;  // of one kind on one node

// "gpu" of "gpu:a100" and of "gpu".
[[nodiscard]] std::string_view kind_of_resource(std::string_view name);
// Amounts of types count for their kind too, where the kind's own amount is smaller.
void add_kinds(Resources& resources);

// The type of each device of a kind on a node that has `capacity`; "" of one without. Empty if they
// have no numbers.
[[nodiscard]] std::vector<std::string> device_types(const Resources& capacity,
                                                    std::string_view kind);

// Gives numbers to what the share has of named resources: the lowest free ones of the types asked
// for, and where no type was asked for first those without one, then of the type of which the most
// is left. Its amounts become those of what it got, types included. `taken` are the shares of other
// jobs on the same node. false, and nothing changed: there are not enough (another job has taken
// the last of a type by its kind).
[[nodiscard]] bool give_devices(NodeShare& share,
                                const Resources& capacity,
                                const std::vector<const NodeShare*>& taken);

// "gpu:0,1;nic:0"; "" for none.
[[nodiscard]] std::string render_devices(const std::vector<DeviceShare>& devices);

}  // namespace gangway
