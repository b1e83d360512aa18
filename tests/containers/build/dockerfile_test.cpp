// What Dockerfiles mean, and what is refused with its line.
#include "containers/build/dockerfile.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/shared_data.hpp"

namespace gangway::containers::build {
namespace {

namespace fs = std::filesystem;

std::string error_of(std::string_view text) {
  const auto file = parse_dockerfile(text, "Dockerfile");
  return file ? "accepted" : file.error().message();
}

template <typename T>
T only(std::string_view line) {
  const auto file = parse_dockerfile("FROM scratch\n" + std::string(line), "Dockerfile");
  if (!file) {
    ADD_FAILURE() << file.error().message();
    return {};
  }
  const auto& instructions = file->stages[0].instructions;
  if (instructions.size() != 1 || !std::holds_alternative<T>(instructions[0].action)) {
    ADD_FAILURE() << line;
    return {};
  }
  return std::get<T>(instructions[0].action);
}

TEST(DockerfileCorpus, FilesOfServicesAreUnderstood) {
  const fs::path folder = test::shared_data("services/dockerfiles");
  if (!fs::exists(folder)) GTEST_SKIP() << "no services/ in the shared data";
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::ifstream stream(entry.path());
    std::ostringstream text;
    text << stream.rdbuf();
    const auto file = parse_dockerfile(text.str(), entry.path().filename().string());
    EXPECT_TRUE(file) << file.error().message();
    if (file) {
      EXPECT_TRUE(file->warnings.empty()) << file->warnings[0];
    }
    ++seen;
  }
  EXPECT_GE(seen, 7);
}

TEST(Dockerfile, AnUnknownInstructionIsNeverIgnored) {
  EXPECT_EQ(error_of("FROM a\nCOPPY a b"),
            "Dockerfile:2: no instruction is called COPPY; did you mean 'COPY'?");
  EXPECT_EQ(error_of("FROM a\nSUDO ls"), "Dockerfile:2: no instruction is called SUDO");
}

TEST(Dockerfile, ArgumentsGrownTogetherAreTakenApartInTheSuggestion) {
  EXPECT_EQ(error_of("FROM a\nWORKDIR /app\nCOPY package*.json./"),
            "Dockerfile:3: COPY needs a source and a destination; did you mean 'COPY package*.json "
            "./'?");
  EXPECT_EQ(error_of("FROM a\nCOPY package*.json."),
            "Dockerfile:2: COPY needs a source and a destination; did you mean 'COPY package*.json "
            ".'?");
  EXPECT_EQ(error_of("FROM a\nCOPY.."),
            "Dockerfile:2: no instruction is called COPY..; did you mean 'COPY . .'?");
  EXPECT_EQ(error_of("FROM a\nCMD[\"npm\"]"),
            "Dockerfile:2: no instruction is called CMD[\"npm\"]; did you mean 'CMD [\"npm\"]'?");
}

TEST(Dockerfile, AnUnknownFlagIsAnErrorWithASuggestion) {
  EXPECT_EQ(error_of("FROM a\nCOPY --form=x a b"),
            "Dockerfile:2: COPY has no flag --form; did you mean --from?");
  EXPECT_EQ(error_of("FROM a\nCMD --x [\"a\"]"), "Dockerfile:2: CMD has no flag --x");
  EXPECT_EQ(error_of("FROM a\nRUN --security=insecure a"),
            "Dockerfile:2: RUN --security=insecure: builds have no privileges to give");
}

TEST(Dockerfile, NothingButArgStandsBeforeFrom) {
  EXPECT_EQ(error_of("RUN a\nFROM b"), "Dockerfile:1: RUN before the first FROM");
  EXPECT_EQ(error_of("ARG a"), "Dockerfile: has no FROM");
  const auto file = parse_dockerfile("ARG V=1\nFROM a:$V AS Build\nFROM build", "Dockerfile");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->global_args.size(), 1U);
  EXPECT_EQ(file->stages[0].name, "build");
  EXPECT_EQ(file->stages[1].line, 3);
}

TEST(Dockerfile, StagesHaveNamesOfTheirOwn) {
  EXPECT_EQ(error_of("FROM a AS b\nFROM a AS B"),
            "Dockerfile:2: AS B: there is a stage of this name already");
  EXPECT_EQ(error_of("FROM a b"), "Dockerfile:1: FROM takes IMAGE, or IMAGE AS NAME");
}

TEST(Dockerfile, CommandsAreWordsOrALineForTheShell) {
  EXPECT_EQ(only<build::Run>("RUN [\"a\", \"b c\"]").command, (Command{{"a", "b c"}, false}));
  EXPECT_EQ(only<build::Run>("RUN a 'b c'").command, (Command{{"a 'b c'"}, true}));
  EXPECT_EQ(only<Cmd>("CMD []").command, (Command{{}, false}));
}

TEST(Dockerfile, MountsOfRunHaveTheirDefaults) {
  const auto mounts =
      only<build::Run>(
          "RUN --mount=type=cache,target=/root/.npm --mount=target=/src,from=build,rw "
          "--mount=type=secret,id=token a")
          .mounts;
  ASSERT_EQ(mounts.size(), 3U);
  EXPECT_EQ(mounts[0].kind, RunMount::Kind::Cache);
  EXPECT_EQ(mounts[0].id, "/root/.npm");
  EXPECT_FALSE(mounts[0].read_only);
  EXPECT_EQ(mounts[1].kind, RunMount::Kind::Bind);
  EXPECT_FALSE(mounts[1].read_only);
  EXPECT_EQ(mounts[2].target, "/run/secrets/token");
  EXPECT_TRUE(mounts[2].read_only);
  EXPECT_EQ(error_of("FROM a\nRUN --mount=type=ssh a"),
            "Dockerfile:2: RUN --mount=type=ssh: type=ssh: one of bind, cache, secret, tmpfs");
  EXPECT_EQ(error_of("FROM a\nRUN --mount=type=cache a"),
            "Dockerfile:2: RUN --mount=type=cache: needs a target");
}

TEST(Dockerfile, AddDoesNotFetch) {
  EXPECT_EQ(error_of("FROM a\nADD https://example.org/x /x"),
            "Dockerfile:2: ADD https://example.org/x: nothing is fetched from elsewhere; fetch it "
            "into the context, or in a RUN");
}

TEST(Dockerfile, HealthchecksHaveTimesOfGo) {
  const auto check = only<Healthcheck>("HEALTHCHECK --interval=1m30s --retries=3 CMD a b");
  EXPECT_EQ(check.interval, seconds(90));
  EXPECT_EQ(check.retries, 3);
  EXPECT_EQ(check.command, (Command{{"a b"}, true}));
  EXPECT_FALSE(only<Healthcheck>("HEALTHCHECK NONE").command);
  EXPECT_EQ(error_of("FROM a\nHEALTHCHECK --interval=x CMD a"),
            "Dockerfile:2: HEALTHCHECK --interval=x: not a time, as 30s");
  EXPECT_EQ(error_of("FROM a\nHEALTHCHECK CONNECT TCP 7000"),
            "Dockerfile:2: HEALTHCHECK takes CMD and a command, or NONE");
}

TEST(Dockerfile, OnBuildKeepsAnInstructionThatIsOne) {
  EXPECT_EQ(only<OnBuild>("ONBUILD COPY . /app").line, "COPY . /app");
  EXPECT_EQ(error_of("FROM a\nONBUILD FROM b"), "Dockerfile:2: ONBUILD FROM: not allowed");
  EXPECT_EQ(error_of("FROM a\nONBUILD COPPY a b"),
            "Dockerfile:2: no instruction is called COPPY; did you mean 'COPY'?");
  EXPECT_TRUE(parse_trigger("RUN a", "image x"));
  EXPECT_FALSE(parse_trigger("FROM a", "image x"));
}

TEST(Dockerfile, GoDurationsAreNumbersWithUnits) {
  EXPECT_EQ(parse_go_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_go_duration("2h45m"), minutes(165));
  EXPECT_EQ(parse_go_duration("0"), Duration{});
  EXPECT_EQ(parse_go_duration("5"), std::nullopt);
  EXPECT_EQ(parse_go_duration("-1s"), std::nullopt);
  EXPECT_EQ(parse_go_duration(""), std::nullopt);
}

}  // namespace
}  // namespace gangway::containers::build
