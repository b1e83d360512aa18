#!/bin/bash
# The figures of docs/performance.md that need nothing but a build: how long jsubmit takes, alone and
# with a scheduler that commits, how many submissions a second are taken, what an edge of a dependency
# chain adds, and what a full queue costs. Prints; judges nothing. With SLURM_CONF set sbatch is
# measured beside jsubmit.
#
#   tests/bench/run.sh build/release/bin
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "$1" && pwd)
export PATH=$bin:$PATH
echo "jsubmit, answered at once:"
startup_bench --rounds 200 "$bin/jsubmit" --parsable -- true

top=$(mktemp -d)
chmod 755 "$top"
trap 'gangway down --dir "$top/cluster" --purge > /dev/null; rmdir "$top"' EXIT
gangway up --nodes 1 --dir "$top/cluster" --allow-root-jobs > /dev/null
export GANGWAY_SOCKET=$top/cluster/jschedd.sock
cd "$top"
echo "jsubmit, answered by a scheduler after its commit:"
startup_bench --rounds 200 --socket "$GANGWAY_SOCKET" "$bin/jsubmit" \
  --parsable --hold -o /dev/null -- true
jcancel --me --quiet
echo "a chain:"
"$here/chain.sh" 100
echo "four shells that submit in loops:"
"$here/submit_rate.sh" 250
jcancel --me --quiet
jctl node n01 --drain --reason benchmark > /dev/null
echo "four clients that keep their connections, one job again and again, then no two alike:"
load_bench flood --jobs 100000
load_bench flood --jobs 20000 --distinct
echo "an array of 100,000:"
time jsubmit --parsable --hold --array=0-99999 -o /dev/null --wrap true
"$here/dag_load.sh" 10000
"$here/full_queue.sh" 1000000
