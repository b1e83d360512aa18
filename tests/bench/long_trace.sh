#!/bin/bash
# A made-up log of 250,000 jobs on 1,152 processors, replayed by jsim under EASY: most jobs are small
# and short, a few fill the machine, limits are two to ten times what is used, and the load is about
# nine tenths. The same numbers each time.
#
#   tests/bench/long_trace.sh BIN [JOBS [PROCESSORS]]
set -euo pipefail
bin=${1:?the folder with jsim}
jobs=${2:-250000}
processors=${3:-1152}
log=$(mktemp "${TMPDIR:-/tmp}/long_trace.XXXXXX.swf")
trap 'rm -f "$log"' EXIT
awk -v jobs="$jobs" -v all="$processors" 'BEGIN {
  state = 20260101
  print "; MaxNodes: " all
  print "; MaxProcs: " all
  for (i = 1; i <= jobs; ++i) {
    size = int(2 ^ (drawn() * drawn() * log(all) / log(2)))
    run = int(60 * 2 ^ (drawn() * 10)) + int(drawn() * 60)
    limit = int(run * (2 + drawn() * 8) / 60 + 1) * 60
    print i, int(at), -1, run, size, -1, -1, size, limit, -1, 1, int(drawn() * 100), 1, -1, 1, -1, -1, -1
    at += size * run / all / 0.9
  }
}
function drawn() {  # Park and Miller, 1988
  state = (state * 16807) % 2147483647
  return state / 2147483647
}' > "$log"
time "$bin/jsim" --trace "$log" --policy easy
