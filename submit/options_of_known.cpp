// Options of sbatch that are known by name only: refused, or accepted with a warning.
#include <array>

#include "queues/base/text.hpp"
#include "submit/job_values.hpp"
#include "submit/option_setters.hpp"

namespace gangway::submit {

namespace {

using namespace option_setters;

constexpr auto kOptions = std::to_array<JobOption>({
    {{"container", 0, kValue, "BUNDLE"}, refuse},
    {{"container-id", 0, kValue, "ID"}, refuse},
    {{"export-file", 0, kValue, "FILE"}, refuse},
    {{"nodefile", 'F', kValue, "FILE"}, refuse},
    {{"uid", 0, kValue, "USER"}, refuse},
    {{"gid", 0, kValue, "GROUP"}, refuse},
    {{"acctg-freq", 0, kValue, "LIST"}, ignore},
    {{"batch", 0, kValue, "FEATURES"}, ignore},
    {{"bb", 0, kValue, "SPEC"}, ignore},
    {{"bbf", 0, kValue, "FILE"}, ignore},
    {{"cluster-constraint", 0, kValue, "LIST"}, ignore},
    {{"cpu-freq", 0, kValue, "KHZ"}, ignore},
    {{"delay-boot", 0, kValue, "MINUTES"}, ignore},
    {{"ear", 0, kValue, "on|off"}, ignore},
    {{"ear-policy", 0, kValue, "NAME"}, ignore},
    {{"ear-verbose", 0, kValue, "N"}, ignore},
    {{"extra", 0, kValue, "TEXT"}, ignore},
    {{"gpu-freq", 0, kValue, "LIST"}, ignore},
    {{"ignore-pbs", 0, kFlag, ""}, ignore},
    {{"mcs-label", 0, kValue, "LABEL"}, ignore},
    {{"power", 0, kMaybe, "FLAGS"}, ignore},
    {{"prefer", 0, kValue, "FEATURES"}, ignore},
    {{"profile", 0, kValue, "WHAT"}, ignore},
    {{"quotatype", 0, kValue, "TYPE"}, ignore},
    {{"reboot", 0, kFlag, ""}, ignore},
    {{"segment", 0, kValue, "N"}, ignore},
    {{"spread-job", 0, kFlag, ""}, ignore},
    {{"tres-bind", 0, kValue, "LIST"}, ignore},
    {{"tres-per-task", 0, kValue, "LIST"}, ignore},
    {{"use-min-nodes", 0, kFlag, ""}, ignore},
    {{"wckey", 0, kValue, "KEY"}, ignore},
});

}  // namespace

std::span<const JobOption> known_options() { return kOptions; }

}  // namespace gangway::submit
