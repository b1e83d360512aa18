#!/bin/bash
# The figures of docs/performance.md that need nothing but a build: how long jsubmit takes, alone and
# with a scheduler that commits, and what an edge of a dependency chain adds. Prints; judges nothing.
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
