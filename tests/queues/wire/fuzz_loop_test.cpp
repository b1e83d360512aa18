// The fuzz targets with bytes by chance: good ones with some bytes changed. Finds what is near the
// surface with every run of the unit tests; libFuzzer goes deeper (preset fuzz).
#include <gtest/gtest.h>

#include "fuzz_targets.hpp"
#include "queues/wire/convert.hpp"
#include "queues/wire/framing.hpp"
#include "random_model.hpp"

namespace gangway::tests {
namespace {

void mutate(Rng& rng, std::string& bytes) {
  for (auto count = rng.between(0, 4); count > 0 && !bytes.empty(); --count) {
    const auto at =
        static_cast<std::size_t>(rng.between(0, static_cast<std::int64_t>(bytes.size()) - 1));
    switch (rng.between(0, 3)) {
      case 0:
        bytes[at] = static_cast<char>(rng.between(-128, 127));
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.between(0, 7)));
        break;
      case 2:
        bytes.erase(at, static_cast<std::size_t>(rng.between(1, 8)));
        break;
      default:
        bytes.insert(at, bytes.substr(0, static_cast<std::size_t>(rng.between(1, 16))));
    }
  }
}

template <typename Message, typename Value>
std::string bytes_of(const Value& value) {
  Message message;
  wire::to_wire(value, &message);
  return message.SerializeAsString();
}

std::string good_message(RandomModel& model, int kind) {
  switch (kind) {
    case 0:
      return bytes_of<wire::JobSpec>(model.job_spec());
    case 1:
      return bytes_of<wire::JobState>(model.job(std::make_shared<JobSpec>()));
    case 2:
      return bytes_of<wire::WorkflowState>(model.workflow());
    case 3:
      return bytes_of<wire::NodeState>(model.node());
    case 4:
      return bytes_of<wire::Event>(model.event());
    case 5:
      return bytes_of<wire::Allocation>(model.allocation());
    case 6:
      return bytes_of<wire::Resources>(model.resources());
    default:
      return bytes_of<wire::Outcome>(model.outcome());
  }
}

TEST(ConvertFuzz, SurvivesChangedBytes) {
  Rng rng(6);
  RandomModel model(rng);
  for (int i = 0; i < 4'000; ++i) {
    const int kind = i % kConvertKinds;
    std::string bytes = good_message(model, kind);
    mutate(rng, bytes);
    fuzz_convert(static_cast<char>(kind) + bytes);
  }
}

TEST(FramingFuzz, SurvivesChangedBytes) {
  Rng rng(7);
  RandomModel model(rng);
  for (int i = 0; i < 2'000; ++i) {
    std::string stream;
    for (auto count = rng.between(0, 5); count > 0; --count) {
      wire::encode_to({.type = wire::FrameType::Request,
                       .stream = static_cast<std::uint32_t>(rng.next()),
                       .payload = model.text()},
                      stream);
    }
    mutate(rng, stream);
    fuzz_framing(model.text() + stream);
    fuzz_framing('\0' + stream);
  }
}

}  // namespace
}  // namespace gangway::tests
