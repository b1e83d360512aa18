#include "fuzz_targets.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "queues/base/check.hpp"
#include "queues/wire/convert.hpp"
#include "queues/wire/framing.hpp"

namespace gangway::tests {
namespace {
struct Cut {
  std::vector<wire::Frame> frames;
  bool corrupt = false;
  friend bool operator==(const Cut&, const Cut&) = default;
};

// Small, so that few bytes reach the bound.
constexpr std::size_t kMaxPayload = 200;

// Takes every frame that is whole. False: the stream is broken.
bool drain(wire::FrameReader& reader, Cut& out) {
  while (true) {
    auto next = reader.next();
    if (!next) {
      CHECK(next.error().kind() == ErrorKind::Corrupt);
      CHECK(!reader.next());  // stays broken
      out.corrupt = true;
      return false;
    }
    if (!*next) return true;
    CHECK((*next)->payload.size() <= kMaxPayload);
    out.frames.push_back(**std::move(next));
  }
}

// Reads `bytes` in slices of the sizes in `slices`, in turn.
Cut cut(std::string_view bytes, std::string_view slices) {
  wire::FrameReader reader(kMaxPayload);
  Cut out;
  for (std::size_t turn = 0; !bytes.empty(); ++turn) {
    const std::size_t size = slices.empty()
                                 ? bytes.size()
                                 : 1 + static_cast<unsigned char>(slices[turn % slices.size()]);
    reader.feed(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
    if (!drain(reader, out)) break;
  }
  return out;
}

// Parses, converts there, back and there again, and compares the two messages.
template <typename Message, typename Back>
void check_round_trip(std::string_view bytes, Back back) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto value = back(message);
  if (!value) {
    CHECK(value.error().kind() == ErrorKind::Corrupt);
    CHECK(!value.error().message().empty());
    return;
  }
  Message once;
  wire::to_wire(*value, &once);
  const auto again = back(once);
  CHECK(again.has_value());
  Message twice;
  wire::to_wire(*again, &twice);
  CHECK(once.SerializeAsString() == twice.SerializeAsString());
}

// What everybody does with a spec right after it has come.
void use(const JobSpec& spec) {
  CHECK(spec.total_nodes() >= 1);
  CHECK(spec.total_tasks() >= spec.components.front().tasks);
  for (const auto& component : spec.components) {
    const Resources all = component.per_node() * component.nodes;
    CHECK(all.cores >= 1 && all.memory >= Bytes{});
  }
  static_cast<void>(validate(spec));
  const auto back = wire::decode_spec(wire::encode_spec(spec));
  CHECK(back && *back == spec);
}
}  // namespace

void fuzz_framing(std::string_view bytes) {
  const std::size_t plan = bytes.empty() ? 0 : static_cast<unsigned char>(bytes.front()) % 8;
  const std::string_view slices = bytes.substr(0, std::min(plan, bytes.size()));
  const std::string_view stream = bytes.substr(slices.size());
  const Cut whole = cut(stream, {});
  CHECK(whole == cut(stream, slices));
  CHECK(whole == cut(stream, std::string_view("\0", 1)));
  std::string encoded;
  for (const auto& frame : whole.frames) wire::encode_to(frame, encoded);
  CHECK(stream.starts_with(encoded));
}

void fuzz_convert(std::string_view bytes) {
  if (bytes.empty()) return;
  const int kind = static_cast<unsigned char>(bytes.front()) % kConvertKinds;
  bytes.remove_prefix(1);
  const auto plain = [](const auto& m) { return wire::from_wire(m); };
  switch (kind) {
    case 0:
      check_round_trip<wire::JobSpec>(bytes, plain);
      if (const auto spec = wire::decode_spec(bytes)) use(*spec);
      break;
    case 1: {
      const auto spec = std::make_shared<const JobSpec>();
      check_round_trip<wire::JobState>(
          bytes, [&](const wire::JobState& m) { return wire::from_wire(m, spec); });
      break;
    }
    case 2:
      check_round_trip<wire::WorkflowState>(bytes, plain);
      break;
    case 3:
      check_round_trip<wire::NodeState>(bytes, plain);
      break;
    case 4:
      check_round_trip<wire::Event>(bytes, plain);
      break;
    case 5:
      check_round_trip<wire::Allocation>(bytes, plain);
      break;
    case 6:
      check_round_trip<wire::Resources>(bytes, plain);
      break;
    default:
      check_round_trip<wire::Outcome>(bytes, plain);
      break;
  }
}

}  // namespace gangway::tests
