// The lines of a Dockerfile taken apart into instructions, before anybody asks what they mean.
//
// The grammar is BuildKit's (frontend/dockerfile/docs/reference.md and the behaviour of its
// parser): directives at the top, comments, continued lines with comments and blank lines inside,
// here-documents, flags in front of the arguments, JSON arrays where they are allowed. Names of
// instructions are not looked at beyond what the grammar needs: an instruction that does not exist
// keeps its words and is refused by dockerfile.hpp, with its line.
//
// Pure. Input may be anything; bounded by kMaxDockerfileBytes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers::build {

inline constexpr std::size_t kMaxDockerfileBytes = 1 << 20;

struct Heredoc {
  std::string name;
  std::string text;    // with its newlines; leading tabs are gone if the mark was "<<-"
  bool expand = true;  // false: the name was quoted, nothing in it is a variable
  friend bool operator==(const Heredoc&, const Heredoc&) = default;
};

struct InstructionLine {
  std::string name;                    // lower case: "copy"
  std::vector<std::string> flags;      // "--from=build", quotes taken off
  std::vector<std::string> arguments;  // as written, quotes and all. env and label: name, value,
                                       // and "=" or "" for how they were joined
  bool json = false;                   // the arguments were a JSON array
  std::vector<Heredoc> heredocs;
  std::shared_ptr<const InstructionLine> inner;  // what ONBUILD holds back
  std::string original;                          // the joined line
  int first_line = 0;                            // 1 is the first
  int last_line = 0;
};

struct DockerfileLines {
  char escape = '\\';
  std::string syntax;  // of the directive; "" if there was none
  std::vector<InstructionLine> instructions;
  std::vector<std::string> warnings;  // "Dockerfile:3: …"
};

// `name` is what messages call the file. Errors: Invalid, as "NAME:LINE: what", Exhausted.
[[nodiscard]] Result<DockerfileLines> parse_dockerfile_lines(std::string_view text,
                                                             std::string_view name);

// One instruction as its words in parentheses, quoted: for people and tests.
[[nodiscard]] std::string render_line(const InstructionLine& line);

}  // namespace gangway::containers::build
