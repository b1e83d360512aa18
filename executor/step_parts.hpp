// StepParts: the parts of steps that run on this node, and what they and the same steps' parts on
// other nodes say to each other (StepPart has the rest).
//
// A part that is over is forgotten. What others say to one whose order has not come yet is kept for
// it, up to kMaxEarlyExchanges messages.
//
// One thread. `say` may be called from inside of any call.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "executor/step_part.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::executor {

inline constexpr std::size_t kMaxEarlyExchanges = 4096;
// Steps of our own, readers of files, are numbered from here: they are no ranks of the job's.
inline constexpr std::uint32_t kFirstInternalStep = 0xf0000000;

class StepParts final {
 public:
  using Say = std::function<void(std::uint32_t step, std::uint32_t place, wire::FromPart said)>;
  using TellPeer = std::function<void(std::uint32_t node_index, const wire::Peer&)>;

  // `say` to the step's origin; `tell_peer` to another node's StepParts.
  StepParts(StepPartWorld world, Say say, TellPeer tell_peer);
  StepParts(const StepParts&) = delete;
  StepParts& operator=(const StepParts&) = delete;

  // From the step's origin. `descriptors`: with the start, the client's.
  void order(std::uint32_t step, const wire::ToPart& message, StepDescriptors descriptors);
  // From the step's part on another node.
  void on_exchange(std::uint32_t from, std::uint32_t step, const std::string& bytes);
  void on_node_lost(std::uint32_t node_index);
  // To all ranks of the job's. False if there are none.
  bool signal(int number);
  void clear() { parts_.clear(); }

 private:
  struct Running {
    std::unique_ptr<StepPart> part;
    std::vector<std::uint32_t> nodes;  // of the allocation, by place in the step
  };
  struct Early {
    std::uint32_t step = 0;
    std::uint32_t from = 0;  // index of the node
    std::string bytes;
  };
  void start(std::uint32_t step, const wire::PartStart& start, StepDescriptors descriptors);
  void drop(std::uint32_t step);
  [[nodiscard]] std::vector<std::uint32_t> numbers() const;

  StepPartWorld world_;
  Say say_;
  TellPeer tell_peer_;
  std::map<std::uint32_t, Running> parts_;
  std::deque<Early> early_;
};

}  // namespace gangway::executor
