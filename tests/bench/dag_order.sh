#!/bin/bash
# Makespans of workflows in the order of the longest path beside the plain order, as a table.
#
#   tests/bench/dag_order.sh FOLDER [NODESxCORES...]
#
# FOLDER has files of WfCommons (*.json, *.json.gz) and Pegasus (*.xml, *.dax); sizes of the machine
# default to 1x4 2x4 4x4 8x4. `jsim` is taken from PATH, else from build/ci/bin. Simulated time: the
# machine that this runs on does not matter.
set -euo pipefail
if (($# < 1)); then
  echo "usage: $0 FOLDER [NODESxCORES...]" >&2
  exit 64
fi
folder=$1
shift
sizes=("$@")
((${#sizes[@]})) || sizes=(1x4 2x4 4x4 8x4)
jsim=$(command -v jsim || true)
jsim=${jsim:-$(dirname "${BASH_SOURCE[0]}")/../../build/ci/bin/jsim}

printf '| workflow | tasks | critical path, s |'
for size in "${sizes[@]}"; do printf ' %s |' "$size"; done
printf '\n|---|---|---|'
for size in "${sizes[@]}"; do printf -- '---|'; done
printf '\n'
for file in "$folder"/*.json "$folder"/*.json.gz "$folder"/*.xml "$folder"/*.dax; do
  [[ -e $file ]] || continue
  line=
  for size in "${sizes[@]}"; do
    # workflow, user, tasks, core hours, critical path, makespan plain, makespan by paths
    read -r name _ tasks _ path plain paths < <(
      "$jsim" --quiet --workflow "$file" --nodes "${size%x*}" --cores "${size#*x}" \
        --dag-order plain --dag-order critical-path |
        awk '/^workflow +user/ { getline; print; exit }'
    )
    [[ -n $line ]] || line="| ${name%%.*} | $tasks | $path |"
    line+=$(awk -v a="$plain" -v b="$paths" 'BEGIN {
      change = sprintf("%+.1f %%", (a > 0 ? (b - a) / a * 100 : 0))
      if (change ~ /^[-+]0.0 /) change = "0"
      printf " %s → %s (%s) |", a, b, change
    }')
  done
  echo "$line"
done
