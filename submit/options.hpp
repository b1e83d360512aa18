// Options in the manner of getopt_long(3), read from a table: for command lines, for the directives
// of a script and for variables of the environment alike.
//
// "--name=value", "--name value", "-nvalue", "-n value", clusters of flags "-hv", unambiguous
// abbreviations of long names, "--" ends the options. Unlike getopt_long it keeps no state, says
// which names an unknown one resembles, and where it was given.
//
// Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::submit {

enum class Takes {
  Nothing,
  Value,
  OptionalValue,  // only glued: --name=value, -nvalue
};

struct OptionName {
  std::string_view name;  // without dashes
  char letter = 0;        // 0: none
  Takes takes = Takes::Nothing;
  std::string_view value_name = {};  // for people: "N", "FILE"
  std::string_view meaning = {};     // for people: one clause
  std::string_view same_as = {};     // the name that this one is another spelling of; empty: itself

  [[nodiscard]] constexpr std::string_view canonical() const {
    return same_as.empty() ? name : same_as;
  }
};

// Where an option was given. Line 0: not in a file; then `file` is what to call it, and empty for
// the command line.
struct Place {
  std::string file;
  int line = 0;
};
// "job.sh:3: ", "SBATCH_TIMELIMIT in the environment: ", "".
[[nodiscard]] std::string prefix_of(const Place& place);

struct GivenOption {
  std::size_t index = 0;  // into the table
  std::string spelled;    // as given, with its dashes: "--node", "-N"
  std::optional<std::string> value;
  Place place;
  std::size_t component = 0;  // of the gang: so many ":" stood before it
  // `value`, or "" if it has none.
  [[nodiscard]] std::string_view text() const {
    return value ? std::string_view(*value) : std::string_view();
  }
};

struct ParsedOptions {
  std::vector<GivenOption> options;   // in the order given
  std::vector<std::string> operands;  // in the order given
  std::size_t components = 1;         // parts of a command line, see parse_command_line()
  bool saw_dashes = false;            // a "--" was there; `operands_before_dashes` came before it
  std::size_t operands_before_dashes = 0;
};

enum class Operands {
  Anywhere,      // between and after the options
  EndTheOptions  // the first operand ends the options: what follows belongs to a command
};

// Errors: Invalid, one line with the place, the option and what would be right.
[[nodiscard]] Result<ParsedOptions> parse_options(std::span<const OptionName> table,
                                                  std::span<const std::string> words,
                                                  Operands operands,
                                                  const Place& place = {});

// A command line whose options may be parted by ":" words, each part for one component of a gang;
// what stands behind the last one's options are the operands.
[[nodiscard]] Result<ParsedOptions> parse_command_line(std::span<const OptionName> table,
                                                       std::span<const std::string> words);

// "<place>option --nodes: <what>", an Invalid error.
[[nodiscard]] Error option_error(const GivenOption& given, std::string_view what);

}  // namespace gangway::submit
