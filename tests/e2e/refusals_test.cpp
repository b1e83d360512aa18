// Bad input: one clear line on stderr, the documented exit code, nothing queued.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Refusals : public OnCluster<Refusals> {
 public:
  static ClusterOptions options() { return {.nodes = 2, .cores = 2}; }

 protected:
  void expect_refused(const std::vector<std::string>& argv, int code, const std::string& word) {
    const Ran ran = user(argv);
    EXPECT_EQ(ran.exit_code, code) << join(argv, " ") << ": " << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(word));
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
  }
};

TEST_F(Refusals, MissingImage) {
  expect_refused({"jsubmit", "--image", "/no/such/image.tar", "--", "true"}, 66,
                 "/no/such/image.tar");
}

TEST_F(Refusals, EmptyScript) {
  write_as_user(cluster(), directory() + "/empty.sh", "");
  expect_refused({"jsubmit", "empty.sh"}, 65, "empty.sh");
}

TEST_F(Refusals, MissingScript) { expect_refused({"jsubmit", "none.sh"}, 66, "none.sh"); }

TEST_F(Refusals, MoreNodesThanExist) {
  expect_refused({"jsubmit", "-N", "3", "--", "true"}, 65, "3 nodes");
}

TEST_F(Refusals, MoreCoresThanANodeHas) {
  expect_refused({"jsubmit", "-c", "64", "--", "true"}, 65, "64");
}

TEST_F(Refusals, UnknownOption) {
  expect_refused({"jsubmit", "--nodse=2", "--", "true"}, 64, "--nodse");
}

TEST_F(Refusals, UnknownQueue) {
  expect_refused({"jsubmit", "-p", "nowhere", "--", "true"}, 65, "nowhere");
}

TEST_F(Refusals, NothingListensAtTheSocket) {
  expect_refused({"jsubmit", "--retry", "0", "--socket", "/no/such/socket", "--", "true"}, 69,
                 "/no/such/socket");
}

TEST_F(Refusals, AnUnknownJob) { expect_refused({"jcancel", "4711"}, 66, "4711"); }

// A blob whose bytes are not those its name promises.
TEST_F(Refusals, WrongDigest) {
  const std::string busybox = find_image("busybox.tar");
  if (busybox.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  const Ran made = user({"sh", "-ec",
                         "mkdir bad && cd bad && tar xf " + busybox +
                             " && "
                             "blob=$(ls -S blobs/sha256/* | head -1) && chmod u+w $blob && "
                             "printf X | dd of=$blob bs=1 seek=100 conv=notrunc 2>/dev/null"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const Ran ran =
      user({"jsubmit", "--wait", "--image", directory() + "/bad", "--", "touch", "ran"});
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_THAT(ran.err, HasSubstr("digest"));
  EXPECT_EQ(content(directory() + "/ran"), "");
  EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
}

}  // namespace
}  // namespace gangway::e2e
