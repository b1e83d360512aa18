// Sandboxes from an image of the machine's busybox and what a test adds, for both executors.
#pragma once

#include "tests/containers/image_builder.hpp"
#include "tests/containers/sandbox_fixture.hpp"

namespace gangway::containers {

class ImageSandbox : public BothExecutors {
 protected:
  using Change = std::function<void(TestSandbox&)>;
  using Body = std::function<void(TestSandbox&)>;

  // In an image of busybox and `more`.
  void each(const std::vector<Member>& more, const Body& body, const Change& change = {}) {
    with_sandbox(more, change, [&](TestSandbox& sandbox) {
      const Result<SandboxReady> ready = sandbox.prepare();
      ASSERT_TRUE(ready) << ready.error().message();
      body(sandbox);
    });
  }
  // That prepare fails.
  void refused(const std::vector<Member>& more,
               const std::string& message,
               const Change& change = {}) {
    with_sandbox(more, change, [&](TestSandbox& sandbox) {
      const Result<SandboxReady> ready = sandbox.prepare();
      ASSERT_FALSE(ready);
      EXPECT_NE(ready.error().message().find(message), std::string::npos)
          << ready.error().message();
    });
  }

  void with_sandbox(
      const std::vector<Member>& more,
      const Change& change,
      const Body& body,
      const std::string& config = R"("Env":["PATH=/bin"],"Entrypoint":["/e"],"Cmd":["c"])") {
    if (busybox_members().empty()) {
      GTEST_SKIP() << "this machine has no busybox to make an image from";
    }
    static const LayerBytes busybox = gzip_layer(busybox_members());
    const ImageTexts image = make_image({busybox, zstd_layer(more)}, config);
    for_executor([&] {
      TestSandbox sandbox;
      const std::string path = sandbox.home / "image";
      const Digest digest = write_oci_layout(path, image);
      sandbox.request.image = {ImageSourceKind::OciLayout, path, digest.text()};
      if (change) change(sandbox);
      body(sandbox);
    });
  }
};

}  // namespace gangway::containers
