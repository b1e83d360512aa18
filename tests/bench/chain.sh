#!/bin/bash
# What one edge of a dependency chain adds: N jobs of /bin/true, each after the one before, submitted
# held and then let go. Needs a running cluster (GANGWAY_SOCKET) and our programs on the PATH.
#
#   tests/bench/chain.sh [N]
set -euo pipefail
n=${1:-100}
previous=$(jsubmit --parsable --hold -o /dev/null -- true)
first=$previous
for ((i = 1; i < n; i++)); do
  previous=$(jsubmit --parsable "--dependency=afterok:$previous" -o /dev/null -- true)
done
begin=$(date +%s%N)
jrelease "$first"
jwait "$previous"
end=$(date +%s%N)
echo "$n jobs: $(((end - begin) / 1000 / n)) us added by each"
