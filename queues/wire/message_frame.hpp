// A message in a frame of its type. Pure.
#pragma once

#include <google/protobuf/message_lite.h>

#include "queues/wire/framing.hpp"

namespace gangway::wire {

[[nodiscard]] inline Frame make_frame(FrameType type,
                                      const google::protobuf::MessageLite& message,
                                      std::uint32_t stream = 0) {
  return {.type = type, .stream = stream, .payload = message.SerializeAsString()};
}

}  // namespace gangway::wire
