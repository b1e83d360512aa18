// Builds from beginning to end: real sandboxes, a library of their own. The images begin from
// scratch and a static busybox, so nothing else is needed.
#include "containers/build/builder.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "containers/build/image_export.hpp"
#include "containers/build/image_import.hpp"
#include "containers/image_source.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers::build {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ImageBuild : public testing::Test {
 protected:
  static void SetUpTestSuite() { std::setlocale(LC_CTYPE, "C.UTF-8"); }
  void SetUp() override {
    for (const char* path : {"/usr/bin/busybox", "/bin/busybox"}) {
      if (busybox_.empty() && fs::exists(path)) busybox_ = path;
    }
    if (busybox_.empty()) GTEST_SKIP() << "no busybox on this machine";
    context_ = directory_ / "context";
    fs::create_directories(context_);
    fs::copy_file(busybox_, context_ + "/busybox");
    auto library = ImageLibrary::open(directory_ / "library");
    ASSERT_TRUE(library) << library.error().message();
    library_.emplace(*std::move(library));
    request_.context = context_;
    request_.epoch_s = 1'700'000'000;
  }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(context_ + "/" + name).parent_path());
    std::ofstream(context_ + "/" + name) << text;
  }

  // "+<digest>", or the error. What happens is in output_, remembered_.
  std::string build(const std::string& text) {
    request_.text = text;
    output_.clear();
    remembered_ = 0;
    warnings_.clear();
    const BuildProgress progress{
        .warning = [&](std::string_view line) { warnings_.emplace_back(line); },
        .step_begins = [](std::string_view, std::string_view) {},
        .output = [&](std::string_view piece) { output_ += piece; },
        .step_ends = [&](bool remembered) { remembered_ += remembered ? 1 : 0; }};
    const auto built = build_image(*library_, request_, progress);
    if (!built) return built.error().message();
    const auto loaded = load_image(*library_, built->digest);
    if (!loaded) return loaded.error().message();
    image_ = *loaded;
    return "+" + built->digest.text();
  }

  // The names in the newest layer, with what is asked of each.
  std::vector<std::string> newest_layer() {
    std::vector<std::string> names;
    const LayerBlob& layer = image_.layers.back();
    const Fd fd(open(library_->blob_path(layer.digest).c_str(), O_RDONLY | O_CLOEXEC));
    auto stream = Decompressor::open({.fd = fd.get(), .offset = 0, .size = layer.size});
    EXPECT_TRUE(stream);
    auto tar = TarReader::open([&] { return stream->next(); });
    EXPECT_TRUE(tar);
    while (true) {
      const auto entry = tar->next();
      EXPECT_TRUE(entry);
      if (!entry || *entry == nullptr) return names;
      const TarEntry& e = **entry;
      std::string line =
          cat(e.path, e.type == TarType::Directory && !e.path.ends_with('/') ? "/" : "");
      if (e.uid != 0 || e.gid != 0) line += cat(" ", e.uid, ":", e.gid);
      if (!e.link.empty()) line += " -> " + e.link;
      EXPECT_LE(e.mtime_s, 1'700'000'000) << e.path;
      names.push_back(line);
    }
  }

  std::string base_ = "FROM scratch\nCOPY busybox /bin/sh\nENV PATH=/bin\n";
  std::string busybox_;
  TemporaryDirectory directory_;
  std::string context_;
  std::optional<ImageLibrary> library_;
  BuildRequest request_;
  LoadedImage image_;
  std::string output_;
  std::vector<std::string> warnings_;
  int remembered_ = 0;
};

TEST_F(ImageBuild, AnImageIsMadeOfItsStepsAndSettings) {
  write("package.json", "{}");
  write("src/a", "a");
  const std::string digest =
      build(base_ +
            "ARG NAME=world\nWORKDIR /app\nWORKDIR sub\nCOPY package*.json ./\nCOPY src /src\n"
            "RUN echo \"hello $NAME\" > hello; pwd\nLABEL a=b c=\"d $NAME\"\nEXPOSE 80 90-91/udp\n"
            "ENTRYPOINT [\"sh\"]\nCMD [\"-c\", \"cat hello\"]\nSTOPSIGNAL SIGINT\n"
            "HEALTHCHECK --interval=5s CMD true\nVOLUME /data\nUSER 12\n");
  ASSERT_THAT(digest, HasSubstr("+sha256:"));
  EXPECT_EQ(output_, "/app/sub\n");
  const ImageSettings& settings = image_.settings;
  EXPECT_THAT(settings.env, ElementsAre("PATH=/bin"));
  EXPECT_EQ(settings.workdir, "/app/sub");
  EXPECT_THAT(settings.entrypoint, ElementsAre("sh"));
  EXPECT_THAT(settings.cmd, ElementsAre("-c", "cat hello"));
  EXPECT_EQ(settings.labels.at("c"), "d world");
  EXPECT_THAT(settings.exposed_ports, ElementsAre("80/tcp", "90/udp", "91/udp"));
  EXPECT_EQ(settings.health->interval, seconds(5));
  EXPECT_EQ(settings.user, "12");
  EXPECT_EQ(settings.created, "2023-11-14T22:13:20Z");
  EXPECT_EQ(image_.layers.size(), 6U);
  EXPECT_THAT(newest_layer(), ElementsAre("app/sub/hello"));
}

TEST_F(ImageBuild, TheSameInputGivesTheSameDigest) {
  write("a", "a");
  const std::string text = base_ +
                           "WORKDIR /w/x\nCOPY a /p/a\nRUN echo b > /b; echo c > /c; ln /b /b2; ln "
                           "-s c /s; mkdir -m 700 /d\n";
  const std::string first = build(text);
  ASSERT_THAT(first, HasSubstr("+sha256:"));
  // Another time, another inode order, another umask, nothing remembered.
  fs::last_write_time(context_ + "/a", fs::file_time_type::clock::now() - std::chrono::hours(9));
  request_.use_cache = false;
  umask(077);
  EXPECT_EQ(build(text), first);
  EXPECT_EQ(remembered_, 0);
}

TEST_F(ImageBuild, StepsAreRememberedUntilWhatTheyReadChanges) {
  write("a", "a");
  write("b", "b");
  const std::string text =
      base_ + "ARG V\nCOPY a /a\nRUN cat /a\nCOPY b /b\nRUN echo \"$V\" > /v\nLABEL x=1\n";
  ASSERT_THAT(build(text), HasSubstr("+"));
  EXPECT_EQ(remembered_, 0);
  ASSERT_THAT(build(text), HasSubstr("+"));
  EXPECT_EQ(remembered_, 5);
  // Neither times nor settings count; contents, modes and arguments do.
  fs::last_write_time(context_ + "/b", fs::file_time_type::clock::now());
  ASSERT_THAT(build(text + "LABEL y=1\nENV Z=2\n"), HasSubstr("+"));
  EXPECT_EQ(remembered_, 5);
  write("b", "c");
  ASSERT_THAT(build(text), HasSubstr("+"));
  EXPECT_EQ(remembered_, 3);
  request_.build_args = {{"V", "2"}};
  ASSERT_THAT(build(text), HasSubstr("+"));
  EXPECT_EQ(remembered_, 3);
  EXPECT_EQ(output_, "a");  // "RUN cat /a" has V in its environment
}

TEST_F(ImageBuild, WhatIsRemovedIsHiddenAndWhatIsReplacedIsThere) {
  ASSERT_THAT(build(base_ + "RUN mkdir -p /d/e /f && touch /d/e/x /d/y /f/z /d-x\n"
                            "RUN rm -r /d /f/z && mkdir /f/z && echo 1 > /f/z/n && rm /d-x\n"),
              HasSubstr("+"));
  EXPECT_THAT(newest_layer(), ElementsAre(".wh.d", ".wh.d-x", "f/z/", "f/z/n"));
}

TEST_F(ImageBuild, ACommandThatFailsEndsTheBuildWithItsLine) {
  EXPECT_EQ(build(base_ + "RUN echo no; exit 3\n"),
            "Dockerfile:4: RUN echo no; exit 3: ended with code 3");
  EXPECT_EQ(output_, "no\n");
  EXPECT_EQ(build(base_ + "RUN [\"/none\"]\n"),
            "Dockerfile:4: RUN [\"/none\"]: cannot run /none: No such file or directory");
  EXPECT_TRUE(fs::is_empty(library_->path() + "/build/work")) << "something was left behind";
}

TEST_F(ImageBuild, RootInsideIsTheCallerOutsideAndChangesOfOwnersSeemToSucceed) {
  ASSERT_THAT(
      build(base_ + "RUN id -u; touch /x; chown 5:6 /x && chmod 600 /x; mknod /n c 1 3; "
                    "chmod 0 /x; cat /x; hostname; touch /sys/x 2>/dev/null || echo kept\n"),
      HasSubstr("+"));
  EXPECT_EQ(output_, "0\nbuild\nkept\n");
  EXPECT_THAT(newest_layer(), ElementsAre("x"));
  ASSERT_THAT(build(base_ + "USER 1000:1001\nRUN id -u; id -g; touch /mine\n"), HasSubstr("+"));
  EXPECT_EQ(output_, "1000\n1001\n");
  EXPECT_THAT(newest_layer(), ElementsAre("mine 1000:1001"));
}

TEST_F(ImageBuild, NothingOfTheMachineIsSeenButItsNetwork) {
  ASSERT_THAT(build(base_ + "RUN ls /; ls /dev >/dev/null; test ! -e " + context_ + "\n"),
              HasSubstr("+"));
  EXPECT_EQ(output_, "bin\ndev\netc\nproc\nsys\n");
  EXPECT_EQ(image_.layers.size(), 1U) << "mount points stayed behind";
}

TEST_F(ImageBuild, CopyPlacesSourcesAsDockerDoes) {
  write("one", "1");
  write("two", "2");
  write("dir/in", "3");
  symlink("in", (context_ + "/dir/link").c_str());
  symlink("dir/in", (context_ + "/top").c_str());
  const auto layer_of = [&](const std::string& line) {
    const std::string built = build(base_ + line + "\n");
    return built.starts_with('+') ? join(newest_layer(), " ") : built;
  };
  EXPECT_EQ(layer_of("COPY one /a/b"), "a/ a/b");
  EXPECT_EQ(layer_of("COPY one /a/b/"), "a/ a/b/ a/b/one");
  EXPECT_EQ(layer_of("COPY one two /a/"), "a/ a/one a/two");
  EXPECT_EQ(layer_of("COPY one two /a"),
            "Dockerfile:4: several sources need a directory as destination, with a '/' at its end: "
            "/a/");
  EXPECT_EQ(layer_of("COPY dir /a"), "a/ a/in a/link -> in");
  EXPECT_EQ(layer_of("COPY top /t"), "t");
  EXPECT_EQ(layer_of("COPY ../../one /t"), "t");
  EXPECT_EQ(layer_of("COPY one /bin"), "bin/one");
  EXPECT_EQ(layer_of("COPY --chown=5:6 --chmod=600 one /a/"), "a/ 5:6 a/one 5:6");
  EXPECT_EQ(layer_of("COPY dir /bin/sh"),
            "Dockerfile:4: /bin/sh: a directory cannot replace a file");
  EXPECT_EQ(layer_of("COPY <<EOF /x\nhome is $PATH\nEOF"), "x");
  EXPECT_EQ(layer_of("COPY --exclude=in dir /a"), "a/ a/link -> in");
}

TEST_F(ImageBuild, ASourceThatIsNotThereIsNamedWithWhatMayBeMeant) {
  write("package.json", "{}");
  EXPECT_THAT(build(base_ + "COPY package*. json ./\n"),
              HasSubstr("Dockerfile:4: package*.: nothing of that name in the context"));
  EXPECT_THAT(build(base_ + "COPY package*. json ./\n"), HasSubstr("did you mean package*.json?"));
  write(".dockerignore", "package.json\n");
  EXPECT_THAT(build(base_ + "COPY package.json ./\n"),
              HasSubstr("(.dockerignore leaves files out)"));
}

TEST_F(ImageBuild, IgnoredFilesAreNoPartOfTheContext) {
  write(".dockerignore", "*\n!keep\n!dir/keep\n");
  write("keep", "1");
  write("dir/keep", "1");
  write("dir/drop", "1");
  write("other/drop", "1");
  ASSERT_THAT(build("FROM scratch\nCOPY . /\n"), HasSubstr("+"));
  EXPECT_THAT(newest_layer(), ElementsAre("dir/", "dir/keep", "keep"));
}

TEST_F(ImageBuild, AddUnpacksWhatIsAnArchiveByItsContents) {
  write("dir/in", "3");
  write("not.tar", "plain");
  ASSERT_EQ(std::system(cat("tar -C ", context_, " -czf ", context_, "/odd.name dir").c_str()), 0);
  ASSERT_THAT(build(base_ + "ADD odd.name not.tar /a/\n"), HasSubstr("+"));
  EXPECT_THAT(newest_layer(), ElementsAre("a/", "a/dir/", "a/dir/in", "a/not.tar"));
}

TEST_F(ImageBuild, StagesGiveToEachOtherAndUnusedOnesAreNotBuilt) {
  ASSERT_THAT(build(base_ + "RUN echo 1 > /one\nFROM scratch AS never\nCOPY none /\n"
                            "FROM scratch\nCOPY --from=0 /one /from\nLABEL a=b\nFROM 2\n"),
              HasSubstr("no image 2 in"));
  ASSERT_THAT(build("FROM scratch AS base\nCOPY busybox /bin/sh\nENV PATH=/bin\n"
                    "RUN echo 1 > /one\nFROM scratch AS never\nCOPY none /\n"
                    "FROM base AS last\nCOPY --from=base /one /from\n"),
              HasSubstr("+"));
  EXPECT_THAT(newest_layer(), ElementsAre("from"));
  EXPECT_EQ(image_.layers.size(), 3U);
}

TEST_F(ImageBuild, ImagesOfTheLibraryAreBegunFromWithTheirTriggers) {
  request_.names = {"base:latest"};
  ASSERT_THAT(build(base_ + "ONBUILD RUN echo built > /trigger\nENTRYPOINT [\"a\"]\nCMD [\"b\"]\n"),
              HasSubstr("+"));
  request_.names = {};
  ASSERT_THAT(build("FROM base\n"), HasSubstr("+"));
  EXPECT_THAT(newest_layer(), ElementsAre("trigger"));
  EXPECT_TRUE(image_.settings.on_build.empty());
  ASSERT_THAT(build("FROM docker.io/library/base:latest\nENTRYPOINT [\"c\"]\n"), HasSubstr("+"));
  EXPECT_TRUE(image_.settings.cmd.empty()) << "it was meant for the other entry point";
  EXPECT_THAT(build("FROM bse\n"), HasSubstr("Dockerfile:1: no image bse in "));
  EXPECT_THAT(build("FROM bse\n"), HasSubstr("; did you mean base:latest?"));
}

TEST_F(ImageBuild, MountsOfRunLeaveNothingInTheImage) {
  write("dir/in", "3");
  std::ofstream(directory_ / "secret") << "hush";
  request_.secrets = {{"s", {directory_ / "secret", ""}}};
  const std::string text =
      base_ +
      "RUN --mount=type=cache,target=/cache --mount=type=secret,id=s --mount=source=dir,target=/m "
      "--mount=type=tmpfs,target=/t cat /run/secrets/s; ls /m /cache; echo 1 > /cache/kept; echo > "
      "/t/x\n";
  ASSERT_THAT(build(text), HasSubstr("+"));
  EXPECT_EQ(output_, "hush/cache:\n\n/m:\nin\n");
  EXPECT_EQ(image_.layers.size(), 1U);
  request_.use_cache = false;
  ASSERT_THAT(build(text), HasSubstr("+"));
  EXPECT_EQ(output_, "hush/cache:\nkept\n\n/m:\nin\n");
  request_.secrets.clear();
  EXPECT_EQ(build(base_ + "RUN --mount=type=secret,id=s,required true\n"),
            "Dockerfile:4: the secret s is not given (--secret id=s,src=FILE)");
}

TEST_F(ImageBuild, HereDocumentsAreTheShellsTextOrScriptsOfTheirOwn) {
  ASSERT_THAT(build(base_ + "RUN <<EOF\necho one\necho two\nEOF\n"
                            "RUN <<EOF\n#!/bin/sh -e\necho \"$0\" | grep -c script\nEOF\n"
                            "RUN cat <<A && cat <<-B\n1\nA\n\t2\nB\n"),
              HasSubstr("+"));
  EXPECT_EQ(output_, "one\ntwo\n1\n1\n2\n");
}

TEST_F(ImageBuild, ArgumentsNobodyAsksForAreToldOf) {
  request_.build_args = {{"NONE", "1"}, {"http_proxy", "x"}};
  ASSERT_THAT(build(base_ + "RUN echo $http_proxy\n"), HasSubstr("+"));
  EXPECT_THAT(warnings_, ElementsAre("--build-arg NONE: no ARG of Dockerfile is called so"));
  EXPECT_EQ(output_, "x\n");
}

TEST_F(ImageBuild, AnExportedImageIsAnImageForJobs) {
  request_.text = base_ + "CMD [\"sh\"]\n";
  const auto built = build_image(*library_, request_,
                                 {.warning = [](std::string_view) {},
                                  .step_begins = [](std::string_view, std::string_view) {},
                                  .output = [](std::string_view) {},
                                  .step_ends = [](bool) {}});
  ASSERT_TRUE(built) << built.error().message();
  for (const std::string name : {"out.tar", "out"}) {
    const std::string path = directory_ / name;
    ASSERT_TRUE(export_image(*library_, *built, {.output = path}));
    const auto resolved = resolve_whole_image(path, BlobMemory(""));
    ASSERT_TRUE(resolved) << resolved.error().message();
    EXPECT_EQ(resolved->digest, built->digest);
  }
  fs::create_directories(directory_ / "precious/things");
  EXPECT_FALSE(export_image(*library_, *built, {.output = directory_ / "precious"}));
  EXPECT_TRUE(fs::exists(directory_ / "precious/things"));
}

TEST_F(ImageBuild, PruningKeepsWhatHasAName) {
  request_.names = {"kept:1"};
  ASSERT_THAT(build(base_), HasSubstr("+"));
  request_.names = {};
  ASSERT_THAT(build(base_ + "RUN echo 1 > /x\n"), HasSubstr("+"));
  const auto pruned = library_->prune();
  ASSERT_TRUE(pruned) << pruned.error().message();
  EXPECT_EQ(pruned->blobs, 3);  // a layer, a config, a manifest
  const auto kept = library_->find("kept:1");
  ASSERT_TRUE(kept && *kept);
  EXPECT_TRUE(load_image(*library_, (*kept)->digest));
}

TEST_F(ImageBuild, PruningRemovesWhatAKilledBuildLeftAndWaitsForOneUnderWay) {
  {
    const auto blob = library_->make_blob();
    ASSERT_TRUE(blob);
    EXPECT_EQ(library_->prune().error().kind(), ErrorKind::Conflict);
  }  // its writer is gone, and had no time to remove it
  EXPECT_TRUE(library_->prune());
}

TEST_F(ImageBuild, AFileOlderThanImagesKnowIsCopied) {
  write("old", "x");
  const timespec times[] = {{-86400, 5}, {-86400, 5}};
  ASSERT_EQ(utimensat(AT_FDCWD, (context_ + "/old").c_str(), times, 0), 0);
  EXPECT_THAT(build(base_ + "COPY old /\nRUN touch -d @-86400 /older\n"), HasSubstr("+"));
}

TEST(ImageNames, AreThoseOfDocker) {
  EXPECT_EQ(*normalise_image_name("node"), "node:latest");
  EXPECT_EQ(*normalise_image_name("docker.io/library/node:14-alpine"), "node:14-alpine");
  EXPECT_EQ(*normalise_image_name("host:5000/a/b"), "host:5000/a/b:latest");
  for (const char* name : {"", "Node", "a:", "/a", "a//b", "../a", "a:b/c d", "-a"}) {
    EXPECT_FALSE(normalise_image_name(name)) << name;
  }
}

TEST(ImageTimes, AreWrittenAsTheSpecificationWantsThem) {
  EXPECT_EQ(render_rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(render_rfc3339(1709210096), "2024-02-29T12:34:56Z");
  EXPECT_EQ(render_rfc3339(-1), "1969-12-31T23:59:59Z");
}

}  // namespace
}  // namespace gangway::containers::build
