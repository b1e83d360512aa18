// Layers put together by chance out of the names and kinds that attacks are made of, and layers
// whose bytes were changed by chance. Nothing outside changes, whatever comes of them.
#include "queues/base/rng.hpp"
#include "tests/containers/fuzz_targets.hpp"
#include "tests/containers/layer_fixture.hpp"

namespace gangway::containers {
namespace {

using LayerByChance = LayerTest;

std::string any_name(Rng& rng) {
  static constexpr std::string_view kParts[] = {
      "a",      "b",         "l",     "m",     "..",           ".",     "",     "outside",
      "victim", "directory", ".wh.a", ".wh.l", ".wh..wh..opq", ".wh..", "root", "/"};
  std::string name;
  for (auto count = rng.between(1, 4); count > 0; --count) {
    name += kParts[rng.between(0, std::size(kParts) - 1)];
    if (count > 1) name += '/';
  }
  return name;
}

std::string any_target(Rng& rng) {
  static constexpr std::string_view kTargets[] = {"..",
                                                  "../..",
                                                  "../outside",
                                                  "../outside/victim",
                                                  "/",
                                                  "/outside",
                                                  "../outside/directory",
                                                  "a",
                                                  "b",
                                                  "l",
                                                  "m",
                                                  "../root",
                                                  ".",
                                                  "../../../../../../..",
                                                  "l/..",
                                                  "/proc/self/root"};
  return std::string(kTargets[rng.between(0, std::size(kTargets) - 1)]);
}

Member any_member(Rng& rng) {
  const std::string name = any_name(rng);
  switch (rng.between(0, 6)) {
    case 0:
    case 1:
      return symlink_to(name, any_target(rng));
    case 2:
      return hardlink_to(name, rng.chance(500) ? any_target(rng) : any_name(rng));
    case 3:
      return dir(name, static_cast<unsigned>(rng.between(0, 07777)));
    case 4:
      return {.name = name, .type = '6'};
    default:
      return file(name, "owned", static_cast<unsigned>(rng.between(0, 07777)));
  }
}

TEST_F(LayerByChance, StaysInsideWhateverItIs) {
  Rng rng(20261123);
  int accepted = 0;
  for (int round = 0; round < 200; ++round) {
    start_anew();
    for (auto layers = rng.between(1, 3); layers > 0; --layers) {
      Layer layer;
      // Most names by chance are refused, and end their layer: so few of them in each.
      for (auto count = rng.between(1, 5); count > 0; --count) layer.push_back(any_member(rng));
      if (apply(layer)) ++accepted;
    }
    ASSERT_EQ(read_small_file(place_ / "outside/victim").value_or(""), "untouched") << round;
  }
  EXPECT_GT(accepted, 20) << "the test has lost its teeth";
}

TEST_F(LayerByChance, ChangedBytesAreNeverMoreThanAnError) {
  Rng rng(5);
  const std::string tar = make_tar({dir("d/"), symlink_to("l", ".."), file("l/x", "y"),
                                    file("d/f", std::string(3000, 'f')), hardlink_to("h", "d/f")});
  for (int round = 0; round < 200; ++round) {
    std::string blob = round % 3 == 0 ? tar : round % 3 == 1 ? gzip(tar) : zstd(tar);
    for (auto count = rng.between(1, 4); count > 0; --count) {
      const auto at = static_cast<std::size_t>(rng.between(0, std::ssize(blob) - 1));
      blob[at] = static_cast<char>(rng.next());
    }
    tests::fuzz_layer(blob);
  }
}

TEST(DocumentByChance, ChangedBytesAreNeverMoreThanAnError) {
  Rng rng(6);
  const ImageTexts image = make_image({plain_layer({file("a")})});
  for (int round = 0; round < 3000; ++round) {
    std::string text = round % 3 == 0   ? image.manifest()
                       : round % 3 == 1 ? image.config()
                                        : image.index();
    for (auto count = rng.between(1, 6); count > 0; --count) {
      const auto at = static_cast<std::size_t>(rng.between(0, std::ssize(text) - 1));
      if (rng.chance(300)) {
        text.erase(at, static_cast<std::size_t>(rng.between(1, 20)));
      } else {
        text[at] = static_cast<char>(rng.next());
      }
      if (text.empty()) break;
    }
    tests::fuzz_document(text);
  }
}

}  // namespace
}  // namespace gangway::containers
