// Images from Dockerfiles, made by an ordinary user and run as jobs by their names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Builds : public OnCluster<Builds> {
 public:
  static ClusterOptions options() { return {.nodes = 1}; }

 protected:
  void SetUp() override {
    OnCluster::SetUp();
    busybox_ = find_image("busybox.tar");
    if (busybox_.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  }
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  void write(const std::string& name, const std::string& text) {
    write_as_user(cluster(), directory() + "/" + name, text);
  }
  std::string busybox_;
};

TEST_F(Builds, AnImageOfADockerfileRunsByItsName) {
  ASSERT_EQ(user({"jimage", "tag", busybox_, "busybox"}).exit_code, 0);
  write("words", "from the context");
  write("Dockerfile",
        "FROM busybox AS first\nARG WHO\nWORKDIR /made\nCOPY words ./\n"
        "RUN echo \"hello $WHO\" > said && id -u >> said\n"
        "FROM busybox\nCOPY --from=first /made /made\nENV GREETING=yes\nWORKDIR /made\n"
        "CMD [\"sh\", \"-c\", \"cat words said; echo $GREETING; pwd\"]\n");
  const Ran built = user({"jimage", "build", "-t", "app", "--build-arg", "WHO=world", "."});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.out, HasSubstr("name app:latest\n"));
  // Once more, with nothing remembered: not one bit differs.
  const Ran again = cluster().as_user({"sh", "-c",
                                       "SOURCE_DATE_EPOCH=1700000000 jimage build "
                                       "--no-cache -q --build-arg WHO=world . && "
                                       "SOURCE_DATE_EPOCH=1700000000 jimage build --no-cache -q "
                                       "--build-arg WHO=world ."},
                                      directory());
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const auto lines = split(again.out, '\n');
  ASSERT_GE(lines.size(), 2U);
  EXPECT_EQ(lines[0], lines[1]);

  const Ran ran = user({"jsubmit", "--wait", "--image", "app", "-o", "out", "--"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  EXPECT_EQ(file("out"), "from the contexthello world\n0\nyes\n/made\n");
  EXPECT_EQ(user({"jsubmit", "--image", "apple", "--", "true"}).exit_code, 66);
}

TEST_F(Builds, ASlipInADockerfileIsRefusedWithItsLineAndWhatWasMeant) {
  write("typo",
        "FROM node:14-alpine\nWORKDIR /app\nCOPY package*.json./\nRUN npm install\nCOPY..\n");
  const Ran glued = user({"jimage", "build", "-f", "typo", "."});
  EXPECT_EQ(glued.exit_code, 65);
  EXPECT_EQ(glued.err,
            "jimage: typo:3: COPY needs a source and a destination; did you mean 'COPY "
            "package*.json ./'?\n");
  write("typo", "FROM node:14-alpine\nCOPY..\n");
  EXPECT_THAT(user({"jimage", "build", "-f", "typo", "."}).err,
              HasSubstr("typo:2: no instruction is called COPY..; did you mean 'COPY . .'?"));
}

}  // namespace
}  // namespace gangway::e2e
