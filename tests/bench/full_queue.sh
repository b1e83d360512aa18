#!/bin/bash
# A queue in which N jobs wait: how fast they came, what a submission and the list of a user's own
# jobs take then, what memory they need, and how long a restart takes until it answers. Prints;
# judges nothing.
#
#   tests/bench/full_queue.sh [N]
#
# Makes a cluster of its own, of one drained node; root. Our programs on the PATH.
set -euo pipefail
n=${1:-1000000}
top=$(mktemp -d)
chmod 755 "$top"
again=
trap '[ -z "$again" ] || kill "$again"
      gangway down --dir "$top/cluster" --purge > /dev/null; rm -rf "$top"' EXIT
gangway up --nodes 1 --dir "$top/cluster" --allow-root-jobs > /dev/null
export GANGWAY_SOCKET=$top/cluster/jschedd.sock
jctl node n01 --drain --reason benchmark > /dev/null
scheduler() { # its process: the one that listens
  pgrep -f "^[^ ]*jschedd --config $top/cluster/" | head -1
}
memory() { awk '/^VmRSS/ { printf "%d\n", $2 * 1024 }' "/proc/$(scheduler)/status"; }
before=$(memory)
load_bench flood --ready --jobs "$n"
after=$(memory)
awk -v a="$before" -v b="$after" -v n="$n" \
  'BEGIN { printf "memory: %.0f MB, %.0f bytes for each of %d waiting jobs\n", b / 1e6, (b - a) / n, n }'
cd "$top"
echo "a submission every 5 ms, as $n wait:"
load_bench pace --ready --jobs 2000
for ((i = 0; i < 10; i++)); do
  setpriv --reuid 65534 --regid 65534 --clear-groups jsubmit --parsable --hold -o /dev/null -- true > /dev/null
done
echo "jqueue of a user with ten jobs among them:"
name=$(getent passwd 65534 | cut -d: -f1)
startup_bench --rounds 100 --socket "$GANGWAY_SOCKET" "$(command -v jqueue)" --user "$name"
kill -9 "$(scheduler)"
while [ -n "$(scheduler)" ]; do sleep 0.05; done
begin=$EPOCHREALTIME
# Outside the cluster's own network, which a scheduler started by hand is not in.
sed 's/^\( *listen:\).*/\1 127.0.0.1:0/' "$top/cluster/gangway.yaml" > "$top/again.yaml"
jschedd --config "$top/again.yaml" > "$top/log" 2>&1 < /dev/null &
again=$!
until jctl ping > /dev/null 2>&1; do
  kill -0 "$again"
  sleep 0.02
done
end=$EPOCHREALTIME
awk -v b="$begin" -v e="$end" -v n="$n" 'BEGIN { printf "a restart with %d jobs answers after %.2f s\n", n, e - b }'
echo "memory then: $(awk '/^VmRSS/ { printf "%.0f MB\n", $2 / 1e3 }' "/proc/$again/status")"
kill "$again"
wait "$again" || true
again=
