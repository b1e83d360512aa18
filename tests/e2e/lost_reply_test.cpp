// The scheduler has committed and answered, and the answer is lost: the same submission again gives
// the same id.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/socket_proxy.hpp"

namespace gangway::e2e {
namespace {

class LostReply : public OnCluster<LostReply> {
 public:
  static ClusterOptions options() { return {.nodes = 1}; }
};

TEST_F(LostReply, JsubmitAsksAgainAndGetsTheSameId) {
  const std::string socket = directory() + "/proxy.sock";
  const SocketProxy proxy(socket, cluster().layout().socket(), 1);
  const Ran ran = user({"jsubmit", "--parsable", "--socket", socket, "--wrap", "echo x >> ran"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(proxy.replies_lost(), 1);
  EXPECT_EQ(proxy.connections(), 2);
  ASSERT_EQ(user({"jwait", std::string(trim(ran.out))}).exit_code, 0);
  // The next id tells that no second job was made in between.
  const std::string next = submit({"--", "true"});
  EXPECT_EQ(parse_integer<int>(next).value_or(0),
            parse_integer<int>(trim(ran.out)).value_or(0) + 1);
  EXPECT_EQ(content(directory() + "/ran"), "x\n");
}

TEST_F(LostReply, AKeyGivenTwiceIsOneJob) {
  const std::vector<std::string> words{"jsubmit",          "--parsable", "--key",
                                       "one-and-only-key", "--",         "true"};
  const Ran first = user(words);
  const Ran second = user(words);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.out, second.out);
}

}  // namespace
}  // namespace gangway::e2e
