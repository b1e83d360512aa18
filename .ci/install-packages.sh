#!/bin/bash
# Installs the Debian packages of the named groups (build, test, example) that are not there yet.
# Does nothing if none is missing; never removes a package; asks nothing.
#
#   .ci/install-packages.sh build test
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

missing=()
while read -r name groups; do
  wanted=no
  for group in "$@"; do
    [[ " $groups " == *" $group "* ]] && wanted=yes
  done
  [[ $wanted == yes ]] || continue
  if [[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" != installed ]]; then
    missing+=("$name")
  fi
done < <(sed 's/#.*//' "$here/packages.txt" | grep -v '^[[:space:]]*$')

if ((${#missing[@]} == 0)); then
  exit 0
fi
if ! command -v apt-get > /dev/null; then
  echo "install-packages.sh: this is not a Debian machine; missing: ${missing[*]}" >&2
  exit 69
fi
if ((EUID != 0)); then
  echo "install-packages.sh: packages are missing; as root: apt-get install ${missing[*]}" >&2
  exit 77
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# Package lists of another day may name versions that the mirror no longer has.
apt-get update -q
apt-get install -y -q --no-install-recommends --no-remove "${missing[@]}"
# We run a HAProxy of our own; Debian's service, which listens nowhere as installed, is not wanted.
if [[ " ${missing[*]} " == *" haproxy "* ]]; then
  rm -f /etc/systemd/system/multi-user.target.wants/haproxy.service
  if [[ -d /run/systemd/system ]]; then systemctl stop haproxy.service || true; fi
fi
