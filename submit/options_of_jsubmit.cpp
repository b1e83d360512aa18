// What jsubmit itself does.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "queues/base/text.hpp"
#include "submit/job_values.hpp"
#include "submit/option_setters.hpp"

namespace gangway::submit {

namespace {

using namespace option_setters;

Applied set_retry(Draft& draft, const Given& given) {
  const std::optional<Duration> window = parse_window(given.text());
  if (!window) return bad(given, "a time; for example 60s, or 0 to try once");
  draft.choices.retry = *window;
  return {};
}

Applied set_key(Draft& draft, const Given& given) {
  if (given.text().size() < 16 || given.text().size() > 64) {
    return bad(given, "a key: they have 16 to 64 characters");
  }
  return choose_text<&SubmitChoices::key>(draft, given);
}

Applied set_format(Draft& draft, const Given& given) {
  constexpr std::string_view kFormats[] = {"script",    "workflow", "dagman",
                                           "wfcommons", "k8s",      "compose"};
  if (std::ranges::find(kFormats, given.text()) == std::end(kFormats)) {
    return bad(given, "script, workflow, dagman, wfcommons, k8s or compose");
  }
  return choose_text<&SubmitChoices::format>(draft, given);
}

Applied add_parameter(Draft& draft, const Given& given) {
  const std::size_t equals = given.text().find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return bad(given, "a parameter; it is written NAME=VALUE");
  }
  draft.choices.parameters.emplace_back(given.text());
  return {};
}

Applied set_time_scale(Draft& draft, const Given& given) {
  char* end = nullptr;
  const std::string text(given.text());
  const double scale = std::strtod(text.c_str(), &end);
  const bool is_right = !text.empty() && *end == '\0' && scale >= 0 && scale <= 1e6;
  if (!is_right) return bad(given, "a factor; for example 0.01");
  draft.choices.time_scale = scale;
  return {};
}

Applied set_clusters(Draft& draft, const Given& given) {
  draft.choices.clusters.clear();
  for (const std::string_view name : split(given.text(), ',')) {
    if (name.empty()) return bad(given, "a list of clusters; it is written NAME,NAME");
    draft.choices.clusters.emplace_back(name);
  }
  return {};
}

constexpr auto kOptions = std::to_array<JobOption>({
    {{"wrap", 0, kValue, "COMMAND", "run this shell command as the script"},
     set_word<&Draft::wrap>},
    {{"parsable", 0, kFlag, "", "print the id alone"}, choose<&SubmitChoices::parsable>},
    {{"quiet", 'Q', kFlag, "", "no warnings"}, choose<&SubmitChoices::quiet>},
    {{"verbose", 'v', kFlag, "", "(accepted, without effect)"}, nothing},
    {{"wait", 'W', kFlag, "", "wait for the end, exit with the job's code"},
     choose<&SubmitChoices::wait>},
    {{"test-only", 0, kFlag, "", "check, say when it would start, submit nothing"},
     choose<&SubmitChoices::test_only>},
    {{"json", 0, kFlag, "", "with --test-only: the outlook as JSON"}, choose<&SubmitChoices::json>},
    {{"key", 0, kValue, "KEY", "a repeated key gives the same id again"}, set_key},
    {{"retry", 0, kValue, "TIME", "keep trying while the scheduler is away; default 60s"},
     set_retry},
    {{"format", 0, kValue, "script|workflow|dagman|wfcommons|k8s|compose",
      "what FILE is, whatever its name"},
     set_format},
    {{"param", 0, kValue, "NAME=VALUE", "a parameter of a workflow"}, add_parameter},
    {{"time-scale", 0, kValue, "FACTOR", "wfcommons: recorded run times times this"},
     set_time_scale},
    {{"socket", 0, kValue, "PATH", "the scheduler's socket"}, choose_text<&SubmitChoices::socket>},
    {{"help", 'h', kFlag, "", "this help"}, choose<&SubmitChoices::help>},
    {{"version", 'V', kFlag, "", "the version"}, choose<&SubmitChoices::version>},
    {{"list-options", 0, kFlag, "", "all options in a list"}, choose<&SubmitChoices::list_options>},
    {{"cluster", 0, kValue, "NAMES", "", "clusters"}, set_clusters},
    {{"clusters", 'M', kValue, "NAMES", "only if the scheduler's is one of these"}, set_clusters},
});

}  // namespace

std::span<const JobOption> jsubmit_options() { return kOptions; }

}  // namespace gangway::submit
