// Events are pushed to who follows them, and no event is lost or told twice by a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Follow : public OnCluster<Follow> {
 public:
  static ClusterOptions options() { return {.nodes = 1, .cores = 2}; }

 protected:
  std::string file(const std::string& name) { return content(cat(directory(), "/", name)); }
  // Writes what it is told to a file.
  Background follow(const std::string& option, const std::string& name) {
    Background follower = cluster().start_as_user(
        {"sh", "-c", cat("exec jqueue --json ", option, " >", name)}, directory());
    EXPECT_TRUE(becomes_true([&] { return file(name).starts_with("{\"next\":"); }));
    return follower;
  }
  static std::string ended(const std::string& id) {
    return cat("\"subject\":\"job\",\"id\":\"", id, "\",\"event\":\"Ended\"");
  }
  // "… 12 requests answered, 1 following"
  int requests() {
    const std::string out = user({"jctl", "ping"}).out;
    const std::size_t comma = out.find("reached, ");
    return comma == std::string::npos ? -1 : std::atoi(out.c_str() + comma + 9);
  }
};

TEST_F(Follow, TheEndOfAJobIsPushedAndNobodyAsks) {
  Background follower = follow("--follow", "events");
  const int before = requests();
  const std::string id = submit({"-o", "out", "--", "sh", "-c", "exit 3"});
  ASSERT_TRUE(becomes_true([&] { return file("events").find(ended(id)) != std::string::npos; }))
      << file("events");
  EXPECT_THAT(file("events"), HasSubstr("\"exit\":\"3:0\""));
  // The submission and our own question.
  EXPECT_EQ(requests(), before + 2);
  EXPECT_THAT(user({"jctl", "ping"}).out, HasSubstr(", 1 following\n"));
  ::kill(follower.pid(), SIGTERM);
  static_cast<void>(follower.finish());
}

TEST_F(Follow, AFollowerGoesOnWhereItWasWhenTheSchedulerIsBack) {
  Background follower = follow("--follow=1", "all");
  const std::string first = submit({"-o", "out", "--", "true"});
  ASSERT_TRUE(becomes_true([&] { return file("all").find(ended(first)) != std::string::npos; }));
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  const std::string second = submit({"-o", "out", "--", "true"});
  ASSERT_TRUE(becomes_true([&] { return file("all").find(ended(second)) != std::string::npos; }));
  ::kill(follower.pid(), SIGTERM);
  static_cast<void>(follower.finish());
  const std::string all = file("all");
  std::uint64_t expected = 1;
  for (const std::string_view line : split(all, '\n')) {
    if (line.empty() || line.starts_with("{\"next\":")) continue;
    // What happens to other users' accounts is not shown, so numbers may be missing, not repeated.
    ASSERT_THAT(line, StartsWith("{\"seq\":"));
    const auto seq = static_cast<std::uint64_t>(std::atoll(line.data() + 7));
    EXPECT_GE(seq, expected);
    expected = seq + 1;
  }
}

}  // namespace
}  // namespace gangway::e2e
