#include "submit/program_wrap.hpp"

#include "queues/base/text.hpp"

namespace gangway::submit {

std::string quoted_word(std::string_view word) {
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string wrap_program(const std::string& pre,
                         const ProgramText& program,
                         const std::string& post) {
  constexpr std::string_view kEnd = "GANGWAY_END_OF_SCRIPT_6c1f";
  std::string out = "#!/bin/sh\n";
  if (!pre.empty()) out += cat("(\n", pre, "\n) || exit $?\n");
  if (program.script.empty()) {
    for (const std::string& word : program.argv) out += cat(quoted_word(word), " ");
    out += "\nJOB_EXIT_CODE=$?\n";
  } else {
    const std::string_view first =
        std::string_view(program.script).substr(2, program.script.find('\n') - 2);
    out += cat("gangway_script=$(mktemp) || exit 71\ncat > \"$gangway_script\" <<'", kEnd, "'\n",
               program.script, program.script.ends_with('\n') ? "" : "\n", kEnd, "\n", trim(first),
               " \"$gangway_script\" \"$@\"\nJOB_EXIT_CODE=$?\n", "rm -f \"$gangway_script\"\n");
  }
  if (post.empty()) return out + "exit $JOB_EXIT_CODE\n";
  return cat(out, "export JOB_EXIT_CODE\n(\n", post, "\n)\n");
}

}  // namespace gangway::submit
