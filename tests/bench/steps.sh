#!/bin/bash
# What a step costs: N runs of "jrun true" one after the other in one allocation, and N in four loops at
# once with cores of their own. Needs a running cluster (GANGWAY_SOCKET) and our programs on the PATH. With
# SLURM=1 and Slurm set up (../shared/bench/slurm) the same with srun, in turns in the same run.
#
#   tests/bench/steps.sh [N]
set -euo pipefail
n=${1:-1000}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
chmod 777 "$directory"
cd "$directory"

cat > sequential.sh <<'EOF'
#!/bin/bash
run=$1 n=$2
begin=$(date +%s%N)
for ((i = 0; i < n; i++)); do $run -n 1 -N 1 true; done
end=$(date +%s%N)
echo "$run, one after the other: $n steps, $(((end - begin) / 1000 / n)) us each, $((n * 1000000000 / (end - begin)))/s"
EOF
cat > parallel.sh <<'EOF'
#!/bin/bash
run=$1 n=$2
begin=$(date +%s%N)
for loop in 1 2 3 4; do
  (for ((i = 0; i < n / 4; i++)); do $run -n 1 -N 1 -c 1 --exact true; done) &
done
wait
end=$(date +%s%N)
echo "$run, four loops: $n steps, $(((end - begin) / 1000 / n)) us each, $((n * 1000000000 / (end - begin)))/s"
EOF
chmod 755 sequential.sh parallel.sh
for script in sequential.sh parallel.sh; do
  jsubmit --wait -Q -n 4 -t 10m -o "$directory/out" "$directory/$script" jrun "$n" > submitted
  cat out
  if [ "${SLURM:-}" = 1 ]; then
    salloc -Q -n 4 "$directory/$script" srun "$((n / 4))"
  fi
done
