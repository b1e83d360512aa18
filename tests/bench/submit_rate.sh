#!/bin/bash
# Four shells that submit in loops, in turns with the same loops of /bin/true and, where Slurm runs,
# of sbatch: accepted jobs a second, and how they compare. Prints; judges nothing.
#
#   tests/bench/submit_rate.sh [N]
#
# N: submissions of each shell and round. Needs a running cluster (GANGWAY_SOCKET) and our programs
# on the PATH; with SLURM_CONF set, sbatch is measured beside them. All jobs are held.
set -euo pipefail
n=${1:-250}
rounds=3
loops() { # loops COMMAND...: jobs a second of four loops of it
  local begin end i
  begin=$EPOCHREALTIME
  for i in 1 2 3 4; do
    (for ((k = 0; k < n; k++)); do "$@" > /dev/null || echo "$1 failed" >&2; done) &
  done
  wait
  end=$EPOCHREALTIME
  awk -v b="$begin" -v e="$end" -v n=$((4 * n)) 'BEGIN { printf "%.0f\n", n / (e - b) }'
}
median() { sort -n | sed -n $(((rounds + 1) / 2))p; }
for ((r = 0; r < rounds; r++)); do
  loops /bin/true >> "${t:=$(mktemp)}"
  loops jsubmit --parsable --hold -o /dev/null --wrap true >> "${j:=$(mktemp)}"
  if [ -n "${SLURM_CONF:-}" ]; then
    loops sbatch -Q -o /dev/null -e /dev/null --hold --wrap true >> "${s:=$(mktemp)}"
  fi
done
true_rate=$(median < "$t")
ours=$(median < "$j")
echo "/bin/true: $true_rate/s"
awk -v a="$ours" -v b="$true_rate" 'BEGIN { printf "jsubmit: %d/s, %.2f of /bin/true\n", a, a / b }'
if [ -n "${SLURM_CONF:-}" ]; then
  awk -v a="$(median < "$s")" -v b="$true_rate" -v c="$ours" \
    'BEGIN { printf "sbatch: %d/s, %.2f of /bin/true; jsubmit is %.1f times as fast\n", a, a / b, c / a }'
fi
rm -f "$t" "$j" ${s:+"$s"}
