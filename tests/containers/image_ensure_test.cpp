// The image helper on images made here: every kind of source, every way in which one can be wrong,
// several users and processes at once.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "containers/image_source.hpp"
#include "containers/image_store.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/again_as_user.hpp"
#include "tests/containers/image_builder.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers {
namespace {

constexpr uid_t kUser = 12345;

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class ImageEnsure : public testing::Test {
 protected:
  ImageEnsure() { chmod(place_.path().c_str(), 0755); }

  [[nodiscard]] std::vector<std::string> command(ImageSourceKind kind,
                                                 const std::string& path,
                                                 const std::string& digest,
                                                 uid_t uid) const {
    return {(GANGWAY_BINARY_DIR "/bin/jimage-unpack"),
            "ensure",
            "--store",
            place_ / "store",
            "--kind",
            std::string(to_string(kind)),
            "--path",
            path,
            "--digest",
            digest,
            "--uid",
            cat(uid),
            "--gid",
            cat(uid),
            "--groups",
            "",
            "--verbose"};
  }

  static pid_t spawn(const std::vector<std::string>& argv,
                     const std::string& out,
                     const std::string& err) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), 1);
    dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
    std::vector<char*> pointers;
    for (const std::string& argument : argv)
      pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    execv(pointers[0], pointers.data());
    _exit(127);
  }
  static int wait_for(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  Ran run(const std::vector<std::string>& argv) {
    const std::string out = place_ / cat("out", ++runs_);
    const std::string err = place_ / cat("err", runs_);
    Ran ran;
    ran.exit_code = wait_for(spawn(argv, out, err));
    ran.out = read_small_file(out).value_or("");
    ran.err = read_small_file(err).value_or("");
    return ran;
  }
  Ran ensure_layout(const ImageTexts& image, const std::function<void()>& tamper = {}) {
    const std::string path = place_ / cat("layout", ++layouts_);
    const Digest digest = write_oci_layout(path, image);
    layout_ = path;
    if (tamper) tamper();
    return run(command(ImageSourceKind::OciLayout, path, digest.text(), geteuid()));
  }

  static std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    DIR* stream = opendir(path.c_str());
    while (const dirent* entry = stream == nullptr ? nullptr : readdir(stream)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    if (stream != nullptr) closedir(stream);
    return names;
  }
  // Nothing looks finished, nothing is left behind.
  void expect_clean_store() const {
    EXPECT_TRUE(names_in(place_ / "store/trees/sha256").empty());
    EXPECT_TRUE(names_in(place_ / "store/tmp").empty());
  }
  [[nodiscard]] std::string blob_path(const std::string& bytes) const {
    return layout_ + "/blobs/sha256/" + sha256_hex(bytes);
  }

  TemporaryDirectory place_;
  std::string layout_;

 private:
  int runs_ = 0;
  int layouts_ = 0;
};

ImageTexts small_image() {
  return make_image({gzip_layer({dir("etc/"), file("etc/hello", "1")}),
                     zstd_layer({file("etc/hello", "2")}), plain_layer({file("last", "3")})},
                    R"("Env":["PATH=/bin","A=b\nc"],"Entrypoint":["/bin/e","x"],"Cmd":["c"])");
}

TEST_F(ImageEnsure, WholeImageHasEveryLayerThatItNames) {
  const std::string layout = place_ / "layout";
  write_oci_layout(layout, small_image());
  const BlobMemory memory(place_ / "memory");
  std::filesystem::create_directory(place_ / "memory");
  write_file(place_ / "memory/of-a-blob-long-gone", "");
  std::filesystem::last_write_time(
      place_ / "memory/of-a-blob-long-gone",
      std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 100));
  EXPECT_TRUE(resolve_whole_image(layout, memory));
  EXPECT_FALSE(std::filesystem::exists(place_ / "memory/of-a-blob-long-gone"));
  EXPECT_TRUE(resolve_whole_image(layout, memory));  // remembered
  std::string blob;
  for (const auto& entry : std::filesystem::directory_iterator(layout + "/blobs/sha256")) {
    const std::string text = read_small_file(entry.path(), 1 << 20).value_or("");
    if (text.starts_with("\x1f\x8b")) blob = entry.path();
  }
  ASSERT_NE(blob, "");
  const std::string bytes = *read_small_file(blob, 1 << 20);
  const auto write = [&](const std::string& text) { std::ofstream(blob) << text; };
  write(bytes.substr(0, bytes.size() - 1) + "?");
  EXPECT_THAT(resolve_whole_image(layout, memory).error().message(),
              ::testing::AllOf(::testing::HasSubstr("layer 1 of 3"),
                               ::testing::HasSubstr("another digest")));
  write(bytes + "?");
  EXPECT_THAT(resolve_whole_image(layout, memory).error().message(),
              ::testing::HasSubstr("bytes and not"));
  std::filesystem::remove(blob);
  EXPECT_EQ(resolve_whole_image(layout, memory).error().kind(), ErrorKind::NotFound);
}

TEST_F(ImageEnsure, EveryKindOfSourceGivesTheSameTree) {
  const ImageTexts image = small_image();
  const std::string layout = place_ / "layout";
  const std::string oci = place_ / "oci.tar";
  const std::string docker = place_ / "docker.tar";
  const std::vector<std::tuple<ImageSourceKind, std::string, Digest>> sources = {
      {ImageSourceKind::OciLayout, layout, write_oci_layout(layout, image)},
      {ImageSourceKind::OciArchive, oci, write_oci_archive(oci, image)},
      {ImageSourceKind::DockerArchive, docker, write_docker_archive(docker, image)}};
  for (const auto& [kind, path, digest] : sources) {
    const Result<ResolvedImage> resolved = resolve_image(path);
    ASSERT_TRUE(resolved) << resolved.error().message();
    EXPECT_EQ(resolved->kind, kind);
    EXPECT_EQ(resolved->digest, digest);
    // Twice: the second time from the store. The OCI archive has the layout's digest, so anew.
    if (kind == ImageSourceKind::OciArchive) {
      EXPECT_TRUE(remove_tree(place_ / "store"));
    }
    for (int i = 0; i < 2; ++i) {
      const Ran ran = run(command(kind, path, digest.text(), geteuid()));
      ASSERT_EQ(ran.exit_code, 0) << ran.err;
      EXPECT_EQ(ran.err.find("image_unpacked") != std::string::npos, i == 0) << ran.err;
      const Result<ImageReport> report = parse_image_report(ran.out);
      ASSERT_TRUE(report) << report.error().message();
      EXPECT_EQ(report->env, (std::vector<std::string>{"PATH=/bin", "A=b\nc"}));
      EXPECT_EQ(report->entrypoint, (std::vector<std::string>{"/bin/e", "x"}));
      EXPECT_EQ(report->cmd, (std::vector<std::string>{"c"}));
      EXPECT_EQ(read_small_file(report->tree + "/etc/hello").value_or(""), "2");
      EXPECT_EQ(read_small_file(report->tree + "/last").value_or(""), "3");
    }
  }
}

TEST_F(ImageEnsure, LayersOfDockerArchivesMayBeLinksToEachOther) {
  const ImageTexts image = make_image({plain_layer({file("a")}), plain_layer({file("a")})});
  const std::string config = image.config();
  write_file(place_ / "d.tar",
             make_tar({file("c.json", config), file("one/layer.tar", image.layers[0].blob),
                       symlink_to("two/layer.tar", "../one/layer.tar"),
                       file("manifest.json", R"([{"Config":"c.json","RepoTags":null,)"
                                             R"("Layers":["one/layer.tar","two/layer.tar"]}])")}));
  const Ran ran = run(
      command(ImageSourceKind::DockerArchive, place_ / "d.tar", sha256_text(config), geteuid()));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
}

TEST_F(ImageEnsure, WrongBlobsAreRefusedAndNothingIsLeft) {
  const ImageTexts image = small_image();
  const std::string layer = image.layers[0].blob;
  struct Case {
    const char* what;
    std::function<void()> tamper;
    int exit_code;
  };
  const std::vector<Case> cases = {
      {"a byte changed",
       [&] {
         std::string other = layer;
         other[other.size() / 2] = static_cast<char>(other[other.size() / 2] ^ 1);
         write_file(blob_path(layer), other);
       },
       65},
      {"shorter", [&] { write_file(blob_path(layer), layer.substr(1)); }, 65},
      {"longer", [&] { write_file(blob_path(layer), layer + "x"); }, 65},
      {"missing", [&] { unlink(blob_path(layer).c_str()); }, 66},
      {"a symlink",
       [&] {
         rename(blob_path(layer).c_str(), (layout_ + "/aside").c_str());
         EXPECT_EQ(symlink("../../aside", blob_path(layer).c_str()), 0);
       },
       65},
      {"a FIFO",
       [&] {
         unlink(blob_path(layer).c_str());
         mkfifo(blob_path(layer).c_str(), 0644);
       },
       65},
      {"a directory",
       [&] {
         unlink(blob_path(layer).c_str());
         mkdir(blob_path(layer).c_str(), 0755);
       },
       65},
      {"the manifest is a FIFO",
       [&] {
         unlink(blob_path(image.manifest()).c_str());
         mkfifo(blob_path(image.manifest()).c_str(), 0644);
       },
       65},
      {"the config is another", [&] { write_file(blob_path(image.config()), "{}"); }, 65},
  };
  for (const Case& wrong : cases) {
    const Ran ran = ensure_layout(image, wrong.tamper);
    EXPECT_EQ(ran.exit_code, wrong.exit_code) << wrong.what << ": " << ran.err;
    EXPECT_FALSE(ran.err.empty()) << wrong.what;
    expect_clean_store();
  }
}

TEST_F(ImageEnsure, WrongDiffIdsAreRefusedAndNothingIsLeft) {
  for (const bool swapped : {true, false}) {
    ImageTexts image = small_image();
    if (swapped) {
      std::swap(image.diff_ids[0], image.diff_ids[1]);
    } else {
      image.diff_ids.pop_back();
    }
    const Ran ran = ensure_layout(image);
    EXPECT_EQ(ran.exit_code, 65) << ran.err;
    expect_clean_store();
  }
}

TEST_F(ImageEnsure, HostileLayerIsRefusedInTheHelperToo) {
  const Ran ran = ensure_layout(make_image({gzip_layer({file("../../../../etc/gangway-evil")})}));
  EXPECT_EQ(ran.exit_code, 65) << ran.err;
  EXPECT_NE(ran.err.find("climbs"), std::string::npos) << ran.err;
  expect_clean_store();
}

TEST_F(ImageEnsure, BombIsRefusedForItsSizeAndNothingIsLeft) {
  const std::string path = place_ / "l";
  const ImageTexts image = make_image({gzip_layer({file("zeros", std::string(3 << 20, '\0'))})});
  std::vector<std::string> argv =
      command(ImageSourceKind::OciLayout, path, write_oci_layout(path, image).text(), geteuid());
  argv.insert(argv.end(), {"--max-bytes", "1000000"});
  const Ran ran = run(argv);
  EXPECT_EQ(ran.exit_code, 65) << ran.err;
  expect_clean_store();
}

TEST_F(ImageEnsure, ImageOfAnotherMachineIsRefused) {
  ImageTexts image = small_image();
  image.architecture = "s390x";
  const Ran ran = ensure_layout(image);
  EXPECT_EQ(ran.exit_code, 65);
  EXPECT_NE(ran.err.find("s390x"), std::string::npos) << ran.err;
}

TEST_F(ImageEnsure, MalformedDigestsNeverBecomePaths) {
  write_oci_layout(place_ / "l", small_image());
  for (const std::string& digest :
       {std::string("sha256:../../../etc/passwd"), std::string("../x"), std::string(""),
        "sha256:" + std::string(64, 'A'), "sha256:" + std::string(63, 'a'),
        "sha512:" + std::string(128, 'a')}) {
    const Ran ran = run(command(ImageSourceKind::OciLayout, place_ / "l", digest, geteuid()));
    EXPECT_EQ(ran.exit_code, 65) << digest << ran.err;
  }
}

TEST_F(ImageEnsure, SourceIsReadWithTheRightsOfTheUserAlsoWhenTheTreeIsThere) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const ImageTexts image = small_image();
  const std::vector<std::pair<ImageSourceKind, std::string>> sources = {
      {ImageSourceKind::OciLayout, place_ / "l"},
      {ImageSourceKind::OciArchive, place_ / "o.tar"},
      {ImageSourceKind::DockerArchive, place_ / "d.tar"}};
  for (const auto& [kind, path] : sources) {
    const Digest digest = kind == ImageSourceKind::OciLayout    ? write_oci_layout(path, image)
                          : kind == ImageSourceKind::OciArchive ? write_oci_archive(path, image)
                                                                : write_docker_archive(path, image);
    chmod(path.c_str(), 0700);
    EXPECT_EQ(run(command(kind, path, digest.text(), kUser)).exit_code, 77);
    EXPECT_EQ(run(command(kind, path, digest.text(), 0)).exit_code, 0);
    EXPECT_EQ(run(command(kind, path, digest.text(), kUser)).exit_code, 77);
    chmod(path.c_str(), 0755);
    EXPECT_EQ(run(command(kind, path, digest.text(), kUser)).exit_code, 0);
  }
}

TEST_F(ImageEnsure, WhoHasNotTheContentsOfAStoredImageIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const ImageTexts image = small_image();
  const std::string& secret = image.layers.back().blob;
  // All names and sizes are right; what is in the last layer is not.
  const auto forge = [&](const std::string& path) {
    std::string bytes = read_small_file(path, 1 << 20).value_or("");
    const std::size_t place = bytes.find(secret);
    ASSERT_NE(place, std::string::npos);
    write_file(path, bytes.replace(place, secret.size(), std::string(secret.size(), 'x')));
  };
  using Write = Digest (*)(const std::string&, const ImageTexts&);
  const std::vector<std::pair<ImageSourceKind, Write>> kinds = {
      {ImageSourceKind::OciLayout, write_oci_layout},
      {ImageSourceKind::OciArchive, write_oci_archive},
      {ImageSourceKind::DockerArchive, write_docker_archive}};
  for (const auto& [kind, write_image] : kinds) {
    EXPECT_TRUE(remove_tree(place_ / "store"));
    const std::string path = place_ / std::string(to_string(kind));
    const Digest digest = write_image(path, image);
    EXPECT_EQ(run(command(kind, path, digest.text(), 0)).exit_code, 0);
    forge(kind == ImageSourceKind::OciLayout ? cat(path, "/blobs/sha256/", sha256_hex(secret))
                                             : path);
    const Ran refused = run(command(kind, path, digest.text(), kUser));
    EXPECT_EQ(refused.exit_code, 65) << refused.err;
    EXPECT_EQ(refused.out, "");
    EXPECT_EQ(run(command(kind, path, digest.text(), 0)).exit_code, 0) << "had it before";
    write_image(path, image);
    for (int i = 0; i < 2; ++i) {
      const Ran admitted = run(command(kind, path, digest.text(), kUser));
      EXPECT_EQ(admitted.exit_code, 0) << admitted.err;
      EXPECT_EQ(admitted.err.find("image_unpacked"), std::string::npos) << admitted.err;
    }
    EXPECT_TRUE(names_in(place_ / "store/tmp").empty());
  }
}

TEST_F(ImageEnsure, TreeAndStoreAreNotReachableByOthers) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const Ran ran = ensure_layout(small_image());
  const Result<ImageReport> report = parse_image_report(ran.out);
  ASSERT_TRUE(report);
  struct stat status {};
  ASSERT_EQ(stat((place_ / "store").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
  ASSERT_EQ(stat((report->tree + "/last").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, report->owner_uid);
  EXPECT_NE(status.st_uid, 0U);
}

TEST_F(ImageEnsure, ManyProcessesAtOnceUnpackOnce) {
  const std::string path = place_ / "l";
  Rng rng(3);
  std::string noise;
  for (int i = 0; i < 500'000; ++i) noise += static_cast<char>(rng.next());
  const Digest digest = write_oci_layout(path, make_image({gzip_layer({file("f", noise)})}));
  constexpr int kAtOnce = 50;
  std::vector<pid_t> pids;
  for (int i = 0; i < kAtOnce; ++i) {
    pids.push_back(spawn(command(ImageSourceKind::OciLayout, path, digest.text(), geteuid()),
                         place_ / cat("out-", i), place_ / "errors"));
  }
  for (const pid_t pid : pids) EXPECT_EQ(wait_for(pid), 0);
  const std::string errors = read_small_file(place_ / "errors").value_or("");
  std::size_t count = 0;
  for (std::size_t at = errors.find("image_unpacked"); at != std::string::npos;
       at = errors.find("image_unpacked", at + 1)) {
    ++count;
  }
  EXPECT_EQ(count, 1U) << errors;
  const std::string first = read_small_file(place_ / "out-0").value_or("");
  for (int i = 0; i < kAtOnce; ++i)
    EXPECT_EQ(read_small_file(place_ / cat("out-", i)).value_or(""), first);
}

TEST_F(ImageEnsure, KilledUnpackLeavesNothingThatLooksFinishedAndIsClearedAway) {
  const std::string path = place_ / "l";
  std::vector<Member> members;
  for (int i = 0; i < 60; ++i) members.push_back(file(cat("f", i), std::string(1 << 20, 'k')));
  const Digest digest = write_oci_layout(path, make_image({plain_layer(members)}));
  const auto argv = command(ImageSourceKind::OciLayout, path, digest.text(), geteuid());
  const pid_t pid = spawn(argv, place_ / "out-k", place_ / "err-k");
  // In the middle: the staging tree has its first files.
  std::string staging;
  while (staging.empty() || names_in(staging).size() < 3) {
    const std::vector<std::string> names = names_in(place_ / "store/tmp");
    if (!names.empty()) staging = place_ / cat("store/tmp/", names.front(), "/rootfs");
    ASSERT_EQ(waitpid(pid, nullptr, WNOHANG), 0) << "ended before it could be killed";
  }
  kill(pid, SIGKILL);
  EXPECT_EQ(wait_for(pid), 128 + SIGKILL);
  EXPECT_TRUE(names_in(place_ / "store/trees/sha256").empty());
  const std::vector<std::string> verify = {GANGWAY_BINARY_DIR "/bin/jimage", "verify", "--store",
                                           place_ / "store"};
  EXPECT_EQ(run(verify).exit_code, 0);

  const Ran again = run(argv);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(names_in(place_ / "store/tmp").empty());
  const Result<ImageReport> report = parse_image_report(again.out);
  ASSERT_TRUE(report);
  EXPECT_EQ(names_in(report->tree).size(), 60U);
  const Ran verified = run(verify);
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_EQ(verified.out, cat("ok       ", digest.text(), "\n"));
}

TEST_F(ImageEnsure, TreeOfAnEarlierBootThatNeverReachedTheDiskIsMadeAnew) {
  const std::string path = place_ / "l";
  const Digest digest = write_oci_layout(path, small_image());
  const auto argv = command(ImageSourceKind::OciLayout, path, digest.text(), geteuid());
  ASSERT_EQ(run(argv).exit_code, 0);
  const std::string tree = place_ / ("store/trees/sha256/" + digest.hex());
  write_file(tree + "/boot", "another boot");
  EXPECT_EQ(run(argv).err.find("image_unpacked"), std::string::npos) << "it was durable";
  write_file(tree + "/boot", "another boot");
  unlink((tree + "/durable").c_str());
  EXPECT_NE(run(argv).err.find("image_unpacked"), std::string::npos);
}

TEST(ImageEnsureOfAUser, EndsTheSameForAnExecutorWithoutRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "the tests of ImageEnsure are that";
  // Less those that need root: what they would say makes this one count as skipped, whatever its
  // end.
  pass_again_as_user(
      "ImageEnsure.*-*ManyProcesses*:*SourceIsReadWithTheRightsOfTheUser*:"
      "*TreeAndStoreAreNotReachableByOthers*:*WhoHasNotTheContents*");
}

TEST_F(ImageEnsure, StoreThatOthersMayWriteIsRefused) {
  mkdir((place_ / "store").c_str(), 0700);
  chmod((place_ / "store").c_str(), 0777);
  const Ran ran = ensure_layout(small_image());
  EXPECT_EQ(ran.exit_code, 77) << ran.err;
}

TEST_F(ImageEnsure, RemovedImageIsGone) {
  const Ran ran = ensure_layout(small_image());
  ASSERT_EQ(ran.exit_code, 0);
  const Result<ImageStore> store = ImageStore::open(place_ / "store");
  ASSERT_TRUE(store);
  ASSERT_EQ(store->list().size(), 1U);
  EXPECT_TRUE(store->remove(store->list().front().key));
  EXPECT_TRUE(store->list().empty());
  expect_clean_store();
}

}  // namespace
}  // namespace gangway::containers
