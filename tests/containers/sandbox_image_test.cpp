// Sandboxes from images on the real kernel. The images are made here, from the machine's busybox.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "containers/image_ensure.hpp"
#include "containers/image_gc.hpp"
#include "containers/image_source.hpp"
#include "tests/containers/image_builder.hpp"
#include "tests/containers/image_sandbox_fixture.hpp"

namespace gangway::containers {
namespace {

INSTANTIATE_TEST_SUITE_P(Executor, ImageSandbox, testing::Bool(), executor_name);

TEST_P(ImageSandbox, ProgramSeesTheImageAndNotTheNode) {
  each({file("hello", "from the image\n")}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("cat /hello"), "from the image\n");
    EXPECT_EQ(sandbox.output_of("ls /usr /boot 2>&1 | wc -l"), "2\n");
  });
}

TEST_P(ImageSandbox, FilesOfTheImageMayBeChangedForTheSandboxAlone) {
  each({file("data", "old\n"), dir("opt/")}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("echo new > /data; cat /data; touch /opt/made; ls /opt"),
              "new\nmade\n");
    EXPECT_EQ(sandbox.output_of("rm /data; ls /data 2>&1 | wc -l"), "1\n");
  });
}

TEST_P(ImageSandbox, ConfigurationOfTheImageIsToldToTheCaller) {
  with_sandbox({}, {}, [](TestSandbox& sandbox) {
    const Result<SandboxReady> prepared = sandbox.prepare();
    ASSERT_TRUE(prepared) << prepared.error().message();
    const SandboxReady& ready = *prepared;
    EXPECT_EQ(ready.image_env, std::vector<std::string>{"PATH=/bin"});
    EXPECT_EQ(ready.image_entrypoint, std::vector<std::string>{"/e"});
    EXPECT_EQ(ready.image_cmd, std::vector<std::string>{"c"});
    EXPECT_TRUE(ready.waivers.empty());
  });
}

TEST_P(ImageSandbox, EverythingInTheImageIsTheUsers) {
  each({file("secret", "s", 0600)}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("stat -c '%u %a' /secret; cat /secret"), cat(kTestUid, " 600\ns"));
  });
}

TEST_P(ImageSandbox, TheStoredTreeIsNeverChanged) {
  each({file("data", "old")}, [](TestSandbox& sandbox) {
    sandbox.output_of("echo new > /data; rm -r /etc; chmod 777 /bin/busybox");
    sandbox.cleanup();
    mkdir(sandbox.request.directory.c_str(), 0700);
    ASSERT_TRUE(sandbox.prepare());
    EXPECT_EQ(sandbox.output_of("cat /data; ls -d /etc; stat -c %a /bin/busybox"),
              "old/etc\n755\n");
  });
}

TEST_P(ImageSandbox, WorkingDirectoryOfTheNodeIsSeenAtItsPlace) {
  each({}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("pwd; echo made > inside"), sandbox.home.path() + "\n");
    EXPECT_EQ(read_small_file(sandbox.home / "inside").value_or(""), "made\n");
    struct stat status {};
    ASSERT_EQ(stat((sandbox.home / "inside").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, kTestUid);
  });
}

TEST_P(ImageSandbox, TemporaryDirectoryIsPrivate) {
  each({}, [](TestSandbox& sandbox) {
    // Only the way to the working directory, which lies in the node's /tmp.
    EXPECT_EQ(sandbox.output_of("ls /tmp | wc -l; touch /tmp/mine; stat -c %a /tmp"), "1\n1777\n");
    EXPECT_NE(access("/tmp/mine", F_OK), 0);
  });
}

TEST_P(ImageSandbox, KernelInterfacesAreMaskedAndReadOnly) {
  each({}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("cat /proc/keys /proc/timer_list; ls /sys/firmware | wc -l"),
              "0\n");
    EXPECT_EQ(sandbox.output_of("for f in /proc/sys/kernel/hostname /proc/sysrq-trigger "
                                "/sys/kernel/mm/ksm/run /sys/fs/cgroup/x; do "
                                "(echo 1 > $f) 2>/dev/null && echo wrote $f; done; echo done"),
              "done\n");
  });
}

TEST_P(ImageSandbox, DevicesAreTheHarmlessOnes) {
  each({}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("echo x > /dev/null; cat /dev/null; ls /dev | sort"),
              "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n"
              "urandom\nzero\n");
    EXPECT_EQ(sandbox.output_of("mknod /dev/x c 1 3 2>&1 | wc -l; mknod /tmp/x b 8 0 2>&1 | wc -l"),
              "1\n1\n");
  });
}

TEST_P(ImageSandbox, UserIsKnownByName) {
  each({file("etc/group", "staff:x:50:\n")}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("id -un; id -gn; hostname; cat /etc/hostname; "
                                "grep -c node-under-test /etc/hosts"),
              "tester\ntester\nnode-under-test\nnode-under-test\n1\n");
  });
}

TEST_P(ImageSandbox, BindsAppearWhereTheyShouldAndAsTheyShould) {
  each(
      {symlink_to("data", "real/data"), dir("real/")},
      [](TestSandbox& sandbox) {
        EXPECT_EQ(sandbox.output_of("cat /real/data/f /new/deep/place/f /tmp/in/f"),
                  "bound\nbound\nbound\n");
        EXPECT_EQ(sandbox.output_of("(echo x > /new/deep/place/g) 2>/dev/null || echo read-only"),
                  "read-only\n");
        EXPECT_EQ(sandbox.output_of("echo y > /data/g; cat /tmp/in/g"), "y\n");
      },
      [](TestSandbox& sandbox) {
        const std::string source = sandbox.home / "source";
        mkdir(source.c_str(), 0755);
        write_test_file(source + "/f", "bound\n", 0644);
        if (geteuid() == 0) {
          ASSERT_EQ(chown(source.c_str(), kTestUid, kTestUid), 0);
        }
        // Through the image's own symlink, into places that are not there, and into /tmp.
        sandbox.request.binds = {{source, "/data", false},
                                 {source, "/new/deep/place", true},
                                 {source, "/tmp/in", false}};
      });
}

TEST_P(ImageSandbox, OddImagesCannotTurnTheSetupAgainstTheNode) {
  // What the image has in the place of things that are laid over it.
  each({{.name = "etc/passwd", .type = '6'},
        symlink_to("etc/hosts", "/../../../../../../etc/shadow"),
        symlink_to("etc/resolv.conf", "../run/none"),
        symlink_to("etc/group", "/proc/1/mem"),
        symlink_to("etc/hostname", "/etc/hostname"),
        file("home")},
       [](TestSandbox& sandbox) {
         EXPECT_EQ(sandbox.output_of("id -un; cat /etc/hostname; ls -l /etc/resolv.conf | wc -l"),
                   "tester\nnode-under-test\n1\n");
       });
}

TEST_P(ImageSandbox, LinksInPlaceOfKernelFileSystemsAreRefused) {
  for (const char* name : {"dev", "proc", "sys"}) {
    refused({symlink_to(name, "/etc")}, cat("the image has a symlink at /", name));
  }
}

TEST_P(ImageSandbox, FilesInPlaceOfMountPointsAreCovered) {
  each({file("dev"), file("proc"), {.name = "sys", .type = '6'}, symlink_to("tmp", "/etc")},
       [](TestSandbox& sandbox) {
         EXPECT_EQ(sandbox.output_of("ls -d /dev/null /proc/self /sys/kernel"),
                   "/dev/null\n/proc/self\n/sys/kernel\n");
       });
}

TEST_P(ImageSandbox, ProgramThatIsNoProgramDoesNotHang) {
  each({{.name = "bin/fifo", .type = '6', .mode = 0755}}, [](TestSandbox& sandbox) {
    const ProgramEnd end = sandbox.run(sandbox.program({"/bin/fifo"}));
    EXPECT_FALSE(end.started);
  });
}

TEST_P(ImageSandbox, MissingImageFailsPrepareWithItsName) {
  refused({}, "no-such-image",
          [](TestSandbox& sandbox) { sandbox.request.image->path = "/tmp/no-such-image"; });
}

TEST_P(ImageSandbox, SecondSandboxTakesTheShortWay) {
  each({}, [](TestSandbox& sandbox) {
    sandbox.cleanup();
    mkdir(sandbox.request.directory.c_str(), 0700);
    // Without a helper nothing but the short way is left.
    sandbox.settings.image_helper = "/no/such/helper";
    ASSERT_TRUE(sandbox.prepare());
    EXPECT_EQ(sandbox.output_of("echo in"), "in\n");
  });
}

TEST_P(ImageSandbox, TheHelpersLastLineIsTheReasonHowMuchItEverSaysBefore) {
  refused({}, "the reason", [](TestSandbox& sandbox) {
    sandbox.settings.image_helper = sandbox.home / "helper";
    write_test_file(
        sandbox.settings.image_helper,
        "#!/bin/sh\nawk 'BEGIN { for (i = 0; i < 9999; ++i) print \"a line of a log\" }' "
        ">&2\necho the reason >&2\nexit 1\n",
        0755);
  });
}

TEST_P(ImageSandbox, CleanupWhileTheImageIsFetchedGivesUpInOrder) {
  with_sandbox({}, {}, [](TestSandbox& sandbox) {
    sandbox.runtime.emplace(sandbox.reactor, sandbox.settings);
    std::vector<std::string> order;
    sandbox.runtime->prepare(sandbox.request, [&](Result<SandboxReady> result) {
      order.push_back(result ? "prepared" : "given up");
    });
    sandbox.cleanup();
    EXPECT_EQ(order, std::vector<std::string>{"given up"});
    EXPECT_EQ(sandbox.reactor.children(), 0U);
  });
}

TEST_P(ImageSandbox, OtherDigestFailsPrepare) {
  refused({}, std::string(64, 'a'), [](TestSandbox& sandbox) {
    sandbox.request.image->manifest_digest = "sha256:" + std::string(64, 'a');
  });
}

TEST_P(ImageSandbox, BindOntoKernelFileSystemsIsRefused) {
  for (const char* destination : {"/proc/self", "/dev/null", "/sys", "/", "relative", "/a/../b"}) {
    refused({}, "bind", [&](TestSandbox& sandbox) {
      sandbox.request.binds = {{"/tmp", destination, false}};
    });
  }
}

TEST_P(ImageSandbox, ImageStaysInTheStoreUntilTheSandboxIsGone) {
  each({file("hello", "here\n")}, [](TestSandbox& sandbox) {
    const ImageStore store = ImageStore::at(sandbox.settings.image_store);
    const GcPolicy nothing{.unused_for = Duration{}, .quota = Bytes{0}};
    const Time later = SystemClock().now().wall + hours(1);
    EXPECT_THAT(collect_garbage(store, nothing, later)->removed, testing::IsEmpty());
    EXPECT_EQ(sandbox.output_of("cat /hello"), "here\n");
    sandbox.cleanup();
    // The helper, too, may hold it for a moment, until it is safely on the disk.
    EXPECT_TRUE(sandbox.reactor.run_until(
        [&] { return collect_garbage(store, nothing, later)->removed.size() == 1; },
        /*outside=*/true));
  });
}

TEST_P(ImageSandbox, NewImagesMakeRoomForThemselves) {
  const ImageTexts old = make_image({plain_layer({file("old", std::string(4096, 'o'))})});
  with_sandbox(
      {}, [](TestSandbox& sandbox) { sandbox.settings.image_bounds.quota = Bytes{4096}; },
      [&](TestSandbox& sandbox) {
        const Result<ImageStore> store = ImageStore::open(sandbox.settings.image_store);
        ASSERT_TRUE(store) << store.error().message();
        const std::string path = sandbox.home / "old";
        const Digest digest = write_oci_layout(path, old);
        const EnsureRequest request{.kind = ImageSourceKind::OciLayout,
                                    .path = path,
                                    .digest = digest,
                                    .user = {geteuid(), getegid(), {}}};
        ASSERT_TRUE(ensure_image(*store, request));
        const Result<SandboxReady> ready = sandbox.prepare();
        ASSERT_TRUE(ready) << ready.error().message();
        // The helper does it after its report.
        EXPECT_TRUE(
            sandbox.reactor.run_until([&] { return store->list().size() == 1; }, /*outside=*/true));
        EXPECT_FALSE(store->find({digest, false}));
        EXPECT_EQ(sandbox.output_of("echo in"), "in\n");
      });
}

TEST(RootImageSandbox, StoredImageIsNotForThoseWhoCannotReadItsSource) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  if (busybox_members().empty()) GTEST_SKIP() << "this machine has no busybox";
  TestSandbox owner;
  const std::string path = owner.home / "image";
  const Digest digest = write_oci_layout(path, make_image({gzip_layer(busybox_members())}));
  owner.request.image = {ImageSourceKind::OciLayout, path, digest.text()};
  ASSERT_TRUE(owner.prepare());
  EXPECT_EQ(owner.output_of("echo in"), "in\n");
  chmod(owner.home.path().c_str(), 0700);
  TestSandbox other(kTestUid + 1);
  other.settings.image_store = owner.settings.image_store;
  other.request.image = owner.request.image;
  const Result<SandboxReady> ready = other.prepare();
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().kind(), ErrorKind::Denied) << ready.error().message();
}

}  // namespace
}  // namespace gangway::containers
