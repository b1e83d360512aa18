#!/bin/bash
# A workflow of N jobs and about 2 N needs, submitted while another client submits a job every 5 ms:
# how long the whole command takes, and what the other client sees of it. Prints; judges nothing.
#
#   tests/bench/dag_load.sh [N]
#
# Needs a running cluster (GANGWAY_SOCKET) that starts nothing meanwhile (drained nodes) and our
# programs on the PATH.
set -euo pipefail
n=${1:-100000}
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
# Each job needs two of the two thousand before it, by a generator with a seed of its own.
awk -v n="$n" 'BEGIN {
  srand(1)
  print "version: 1\nname: large\njobs:"
  for (i = 0; i < n; i++) {
    needs = ""
    if (i >= 10) {
      a = i - 1 - int(rand() * (i < 2000 ? i : 2000))
      do b = i - 1 - int(rand() * (i < 2000 ? i : 2000)); while (b == a)
      needs = sprintf("j%06d, j%06d", a, b)
    }
    printf "  j%06d: {needs: [%s], command: [/bin/true, \"%d\"]}\n", i, needs, i
  }
}' > "$top/large.yaml"
mkfifo "$top/end"
load_bench pace --every-us 5000 < "$top/end" > "$top/others" &
exec 3> "$top/end"
sleep 1
begin=$EPOCHREALTIME
jsubmit --parsable "$top/large.yaml" > "$top/id"
end=$EPOCHREALTIME
exec 3>&-
wait
awk -v b="$begin" -v e="$end" -v n="$n" 'BEGIN { printf "a workflow of %d jobs: %.2f s\n", n, e - b }'
echo "others meanwhile: $(cat "$top/others")"
jcancel --quiet "$(cat "$top/id")"
