#include "queues/model/devices.hpp"

#include <gtest/gtest.h>

namespace gangway {
namespace {

Resources named(std::vector<std::pair<std::string, std::int64_t>> amounts) {
  Resources r;
  for (const auto& [name, amount] : amounts) r.set_named(name, amount);
  return r;
}
NodeShare share(std::vector<std::pair<std::string, std::int64_t>> amounts) {
  NodeShare s;
  s.resources = named(std::move(amounts));
  return s;
}
const Resources kMixed = named({{"gpu", 5}, {"gpu:a100", 2}, {"gpu:h100", 2}});

TEST(Devices, TypesCountForTheirKind) {
  Resources r = named({{"gpu:a100", 2}, {"gpu:h100", 1}, {"nic", 1}});
  add_kinds(r);
  EXPECT_EQ(r.amount_of("gpu"), 3);
  EXPECT_EQ(r.amount_of("nic"), 1);
}

TEST(Devices, AreNumberedTypeByType) {
  EXPECT_EQ(device_types(kMixed, "gpu"),
            (std::vector<std::string>{"gpu:a100", "gpu:a100", "gpu:h100", "gpu:h100", ""}));
  EXPECT_TRUE(device_types(named({{"licence", 1000}}), "licence").empty());
}

TEST(Devices, ATypedRequestGetsItsTypeAndAnyGetsWhatIsLeastMissed) {
  NodeShare typed = share({{"gpu", 1}, {"gpu:h100", 1}});
  ASSERT_TRUE(give_devices(typed, kMixed, {}));
  EXPECT_EQ(render_devices(typed.devices), "gpu:2");
  NodeShare any = share({{"gpu", 2}});
  ASSERT_TRUE(give_devices(any, kMixed, {&typed}));
  // The one without a type, then of the type of which more is left; it counts as that.
  EXPECT_EQ(render_devices(any.devices), "gpu:0,4");
  EXPECT_EQ(any.resources, named({{"gpu", 2}, {"gpu:a100", 1}}));
}

TEST(Devices, NoneIsGivenTwiceAndWhatIsGoneIsRefused) {
  NodeShare first = share({{"gpu", 2}, {"gpu:a100", 2}});
  ASSERT_TRUE(give_devices(first, kMixed, {}));
  NodeShare second = share({{"gpu", 1}, {"gpu:a100", 1}});
  EXPECT_FALSE(give_devices(second, kMixed, {&first}));
  EXPECT_TRUE(second.devices.empty());
  NodeShare rest = share({{"gpu", 3}});
  ASSERT_TRUE(give_devices(rest, kMixed, {&first}));
  EXPECT_EQ(render_devices(rest.devices), "gpu:2,3,4");
  NodeShare one_more = share({{"gpu", 1}});
  EXPECT_FALSE(give_devices(one_more, kMixed, {&first, &rest}));
}

}  // namespace
}  // namespace gangway
