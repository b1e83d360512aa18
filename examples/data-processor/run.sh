#!/bin/bash
# The whole example at once, as an ordinary user of a running cluster of three nodes or more: base
# image, npm install, image, three replicas behind one address, and an answer of each.
#
#   ./run.sh
#
# What is there already is used as it is. After a change of server.js run it again: only the last step
# of the image is made anew, and the replicas are replaced one after the other. They write their output
# to files in the directory in which this is called.
#
#   GANGWAY_SOCKET   the cluster's scheduler, as for all programs
#   GANGWAY_ADDRESS  where the service is reached      [http://127.0.0.1]
set -euo pipefail
example=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
address=${GANGWAY_ADDRESS:-http://127.0.0.1}

step() { printf '\n== %s\n' "$*"; }
die() {
  echo "run.sh: $*" >&2
  exit 1
}
for program in jimage jsubmit jctl curl; do
  command -v "$program" > /dev/null || die "$program is not in PATH"
done
jctl ping > /dev/null

step "the base image: Debian's node, called node:14-alpine"
if jimage resolve node:14-alpine > /dev/null 2>&1; then
  echo "is there already"
else
  jimage bootstrap debian:bookworm --include nodejs,npm --tag node:14-alpine
fi

step "the image, with express from npm's registry"
lent=()
for path in /etc/npmrc /etc/ssl/certs; do
  [[ ! -e $path ]] || lent+=(-v "$path:$path:ro")
done
jimage build "${lent[@]}" -t data-processor "$example"

step "three replicas, and one address for them"
{
  cat "$example/deployment.yaml"
  echo ---
  cat "$example/service.yaml"
} | jsubmit --format k8s

step "who answers at $address"
declare -A answered=()
for ((try = 1; try <= 240 && ${#answered[@]} < 3; ++try)); do
  # {"service":"data-processor","host":"n02","pid":3}
  answer=$(curl --silent --max-time 5 "$address/" || true)
  if [[ $answer =~ \"service\":\"data-processor\",\"host\":\"([^\"]+)\" ]]; then
    host=${BASH_REMATCH[1]}
    [[ -n ${answered[$host]:-} ]] || echo "$answer"
    answered[$host]=yes
  else
    sleep 0.5
  fi
done
jctl service show data-processor
((${#answered[@]} >= 3)) ||
  die "${#answered[@]} of 3 replicas have answered at $address; jwhy JOB says why one waits"

cat << END

All three have answered. It goes on until it is taken away:

  curl $address/
  curl -H 'content-type: application/json' -d '[1, 2, 6]' $address/stats
  jctl service delete data-processor
END
