// jimage's commands about making images and about the user's library: build, bootstrap, tag, untag,
// images, prune. Their options, their progress on the terminal, their answers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers::build {

[[nodiscard]] bool is_build_command(std::string_view command);
// For jimage --help.
[[nodiscard]] std::string_view build_commands_help();
[[nodiscard]] std::string_view build_options_help();

// Prints its answer. Errors: Invalid with `is_usage` (a wrong command line), and the command's own.
struct CommandFailure {
  Error error;
  bool is_usage = false;
};
[[nodiscard]] std::optional<CommandFailure> run_build_command(
    const std::string& command, const std::vector<std::string>& arguments);

// What an image's name means in the user's library: "PATH:NAME" for resolve_image(); "" if no image
// there is called so.
[[nodiscard]] std::string find_in_library(const std::string& name);

}  // namespace gangway::containers::build
