// The directives of a job script: "#JOB --nodes=2" lines, as words with their line.
//
// "#JOB" is native, "#SBATCH" and "#PBS" are understood. A directive stands at the start of its
// line, followed by a blank. They end at the first line that is neither empty nor a comment, as
// with Slurm: what a script prints or runs later is never taken for one. A line may hold several
// options; words are split as a shell does it (quotes of both kinds, backslash), and a "#" at the
// start of a word begins a comment. A quote that is never closed is an ordinary character, with a
// warning.
//
// If a script has #JOB or #SBATCH lines its #PBS lines are not used: it is written for both
// systems, and saying everything twice would contradict itself.
//
// Pure; fuzzed: any text gives an answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gangway::submit {

enum class Dialect { Native, Sbatch, Pbs };

struct Directive {
  Dialect dialect = Dialect::Native;
  int line = 0;  // from 1
  std::vector<std::string> words;
  friend bool operator==(const Directive&, const Directive&) = default;
};

struct ScriptWarning {
  int line = 0;
  std::string message;
  friend bool operator==(const ScriptWarning&, const ScriptWarning&) = default;
};

struct ScriptDirectives {
  std::vector<Directive> directives;  // in the order of the file, empty ones left out
  std::vector<ScriptWarning> warnings;
};

[[nodiscard]] ScriptDirectives parse_directives(std::string_view script);

}  // namespace gangway::submit
