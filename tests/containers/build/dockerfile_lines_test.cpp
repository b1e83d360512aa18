// The grammar of Dockerfiles, beside the results that BuildKit gives for the same files.
#include "containers/build/dockerfile_lines.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "queues/base/text.hpp"
#include "tests/shared_data.hpp"

namespace gangway::containers::build {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

std::string render_all(std::string_view text) {
  const auto lines = parse_dockerfile_lines(text, "Dockerfile");
  if (!lines) return lines.error().message();
  std::string out;
  for (const InstructionLine& line : lines->instructions) {
    out += (out.empty() ? "" : "\n") + render_line(line);
  }
  return out;
}

TEST(DockerfileCorpus, EveryFileOfBuildKitParsesToItsResult) {
  const fs::path folder = test::shared_data("dockerfile-parser/testfiles");
  if (!fs::exists(folder)) GTEST_SKIP() << "no dockerfile-parser/ in the shared data";
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string expected(trim(read_file(entry.path() / "result")));
    EXPECT_EQ(render_all(read_file(entry.path() / "Dockerfile")), expected) << entry.path();
    ++seen;
  }
  EXPECT_GE(seen, 30);
}

TEST(DockerfileCorpus, LinesAreThoseOfTheFile) {
  const fs::path file = test::shared_data("dockerfile-parser/testfile-line/Dockerfile");
  if (!fs::exists(file)) GTEST_SKIP() << "no dockerfile-parser/ in the shared data";
  const auto lines = parse_dockerfile_lines(read_file(file), "Dockerfile");
  ASSERT_TRUE(lines) << lines.error().message();
  // BuildKit's own numbers for this file.
  const std::vector<std::pair<int, int>> expected = {{5, 5}, {11, 12}, {17, 31}};
  std::vector<std::pair<int, int>> found;
  for (const auto& line : lines->instructions) found.emplace_back(line.first_line, line.last_line);
  EXPECT_EQ(found, expected);
}

TEST(DockerfileLines, ContinuedLinesMayHaveCommentsAndBlanksInside) {
  EXPECT_EQ(render_all("RUN a \\\n# why\n\n  b\nRUN c"), "(run \"a   b\")\n(run \"c\")");
}

TEST(DockerfileLines, TwoEscapesAtTheEndAreOneThatIsMeant) {
  EXPECT_EQ(render_all("ENV A b\\\\\nENV C d"),
            "(env \"A\" \"b\\\\\\\\\" \"\")\n(env \"C\" \"d\" \"\")");
}

TEST(DockerfileLines, DirectivesStandBeforeEverythingElse) {
  EXPECT_EQ(render_all("# escape=`\nFROM a `\n AS b"), "(from \"a\" \"AS\" \"b\")");
  EXPECT_EQ(render_all("# a comment\n# escape=`\nRUN a `\nRUN b"), "(run \"a `\")\n(run \"b\")");
  EXPECT_EQ(render_all("# escape=`\n# escape=\\\nFROM a"),
            "Dockerfile:2: the directive escape is there twice");
  EXPECT_EQ(render_all("# escape=x\nFROM a"),
            "Dockerfile:1: escape=x: only \\ and ` can continue lines");
}

TEST(DockerfileLines, HereDocumentsEndAtTheirName) {
  const auto lines = parse_dockerfile_lines(
      "RUN <<EOF\necho $a\nEOF\nCOPY <<-'one' <<two /to/\n\tfirst\n\tone\nsecond\ntwo\nRUN b", "D");
  ASSERT_TRUE(lines) << lines.error().message();
  ASSERT_EQ(lines->instructions.size(), 3U);
  EXPECT_EQ(lines->instructions[0].heredocs, (std::vector<Heredoc>{{"EOF", "echo $a\n", true}}));
  EXPECT_EQ(lines->instructions[1].heredocs,
            (std::vector<Heredoc>{{"one", "first\n", false}, {"two", "second\n", true}}));
  EXPECT_EQ(lines->instructions[1].last_line, 8);
  EXPECT_TRUE(lines->instructions[2].heredocs.empty());
}

TEST(DockerfileLines, AHereStringBelongsToTheShell) {
  EXPECT_EQ(render_all("RUN cat <<<word\nRUN b"), "(run \"cat <<<word\")\n(run \"b\")");
}

TEST(DockerfileLines, AHereDocumentThatNeverEndsIsAnErrorAtItsLine) {
  EXPECT_EQ(render_all("FROM a\nRUN <<EOF\nx"),
            "Dockerfile:2: the here-document ends without a line EOF");
}

TEST(DockerfileLines, ArraysOfOtherThingsThanStringsAreErrors) {
  EXPECT_EQ(render_all("CMD [1]"), "Dockerfile:1: CMD: a JSON array here holds strings only");
  EXPECT_EQ(render_all("CMD [\"a\", {\"b\": [null]}]"),
            "Dockerfile:1: CMD: a JSON array here holds strings only");
}

TEST(DockerfileLines, AnArrayWithWrongQuotesIsTakenAsItStandsWithAWarning) {
  const auto lines = parse_dockerfile_lines("CMD [\xe2\x80\x9cnpm\xe2\x80\x9d]", "D");
  ASSERT_TRUE(lines);
  EXPECT_FALSE(lines->instructions[0].json);
  ASSERT_EQ(lines->warnings.size(), 1U);
  EXPECT_NE(lines->warnings[0].find("D:1: CMD"), std::string::npos);
}

TEST(DockerfileLines, AnEmptyFileIsAnError) {
  EXPECT_EQ(render_all("# only a comment\n\n"), "Dockerfile: has no instructions");
}

TEST(DockerfileLines, WindowsLineEndsAndByteOrderMarksAreNoPartOfTheText) {
  EXPECT_EQ(render_all("\xef\xbb\xbf"
                       "FROM a\r\nRUN b \\\r\n c\r\n"),
            "(from \"a\")\n(run \"b  c\")");
}

}  // namespace
}  // namespace gangway::containers::build
