#!/bin/bash
# Images and sandboxes beside what others do, in one run: unpacking beside umoci and the limits of the
# machine, a sandbox from request to end beside a bare launcher of the same operations, bubblewrap and
# crun. Prints; judges nothing. Root; a tool that is not installed is passed over and said so.
#
#   tests/bench/containers.sh build/release/bin IMAGES [ROUNDS]
#
# IMAGES has OCI layouts mpi (gzip) and mpi-zstd, as examples/images/make-images.sh makes them, or
# oci/mpi and oci-zstd/mpi. A fresh journaled ext4 on a loop device, the page cache warm. On a busy
# machine "chrt -f 1" in front of it all takes the neighbours out of the figures.
set -euo pipefail
bin=$(cd "$1" && pwd)
images=$(cd "$2" && pwd)
rounds=${3:-3}
export PATH=$bin:$PATH
work=$(mktemp -d)
chmod 755 "$work"
mkdir "$work/fs"
truncate -s 6G "$work/image"
mkfs.ext4 -q -F "$work/image"
mount -o loop "$work/image" "$work/fs"
trap 'cd /; umount -l "$work/fs"; rm -rf "$work"' EXIT
have() { command -v "$1" > /dev/null || { echo "($1 is not installed)"; return 1; }; }
# seconds COMMAND...: the least of the rounds, wall and processor
seconds() {
  local least=999999 cpu=0 i start end t
  for ((i = 0; i < rounds; i++)); do
    rm -rf "$work/fs/d"
    mkdir "$work/fs/d"
    sync -f "$work/fs"
    start=$EPOCHREALTIME
    t=$( { TIMEFORMAT='%U %S'; time "$@" > /dev/null 2>&1; } 2>&1 )
    end=$EPOCHREALTIME
    read -r least cpu < <(awk -v m="$least" -v c="$cpu" -v s="$start" -v e="$end" -v t="$t" \
      'BEGIN { split(t, a, " "); w = e - s; if (w < m) { m = w; c = a[1] + a[2] } print m, c }')
  done
  printf '%s %s\n' "$least" "$cpu"
}
row() { local name=$1; shift; read -r wall cpu < <(seconds "$@"); printf '%-44s %7.3f s  cpu %.2f s\n' "$name" "$wall" "$cpu"; }
# layout OWN-NAME OTHER-NAME: a copy that every user may read; umoci makes its layouts private
layout() {
  for p in "$images/$1" "$images/$2"; do
    [ -d "$p" ] || continue
    [ -d "$work/$1" ] || { cp -r "$p" "$work/$1"; chmod -R a+rX "$work/$1"; }
    echo "$work/$1"
    return
  done
}
layers() { # the blobs of the only manifest of a layout, base first
  local m; m=$(grep -o 'sha256:[0-9a-f]*' "$1/index.json" | head -1 | cut -d: -f2)
  tr -d ' \n' < "$1/blobs/sha256/$m" | sed 's/.*"layers"://' | grep -o 'sha256:[0-9a-f]*' | cut -d: -f2 | sed "s|^|$1/blobs/sha256/|"
}
import() { jimage import --no-sync --store "$work/fs/d/store" "$1"; }
for kind in gzip zstd; do
  if [ $kind = gzip ]; then l=$(layout mpi oci/mpi); decode='gzip -dc'; have igzip && decode='igzip -dc'; else l=$(layout mpi-zstd oci-zstd/mpi); decode='zstd -dcq'; fi
  mapfile -t blobs < <(layers "$l")
  plain=$work/plain; rm -f "$plain".*; i=0
  for b in "${blobs[@]}"; do $decode < "$b" > "$plain.$i"; i=$((i + 1)); done
  echo "== $kind: $(cat "${blobs[@]}" | wc -c) bytes, unpacked $(cat "$plain".* | wc -c)"
  row "limit: $decode" bash -c "for f in ${blobs[*]}; do $decode < \$f > /dev/null; done"
  decoding=$wall
  row "limit: SHA-256 of blobs and contents" openssl dgst -sha256 "${blobs[@]}" "$plain".*
  hashing=$wall
  row "limit: write (tar -x of plain layers)" bash -c "for f in $plain.*; do tar -xf \$f -C $work/fs/d; done"
  writing=$wall
  row "jimage import" import "$l"
  awk -v t="$wall" -v d="$decoding" -v h="$hashing" -v w="$writing" 'BEGIN {
    l = (d + h + w) / 2; if (d > l) l = d; if (w > l) l = w
    printf "  %.2f times max(decompress, write, (decompress + SHA-256 + write) / 2) = %.3f s\n", t / l, l }'
  ours=$wall
  row "jimage import, with the publication's sync" jimage import --store "$work/fs/d/store" "$l"
  if [ $kind = gzip ] && have umoci; then row "umoci unpack" umoci unpack --image "$l:$(grep -o '"org.opencontainers.image.ref.name": *"[^"]*"' "$l/index.json" | head -1 | sed 's/.*"\([^"]*\)"$/\1/')" "$work/fs/d/bundle"
    awk -v u="$wall" -v o="$ours" 'BEGIN { printf "  umoci takes %.2f times as long as jimage import\n", u / o }'
  fi
done
echo "== start to end of /bin/true"
store=$work/fs/store
image=$(layout mpi oci/mpi)
imported=$(jimage import --store "$store" "$image")
digest=$(sed -n 's/^digest //p' <<< "$imported")
root=$(sed -n 's/^tree //p' <<< "$imported")
sandbox_bench --rounds 100 "$image" "$digest" "$store"
if have bwrap; then
  mkdir -p "$root/dev"  # it makes no place for what it mounts, and images need not have one
  sandbox_bench --rounds 100 --network "$image" "$digest" "$store" \
    bwrap --bind "$root" / --proc /proc --dev /dev --unshare-all /bin/true | tail -6
fi
if have crun; then
  mkdir "$work/bundle"
  (cd "$work/bundle" && crun spec && sed -i -e 's/"terminal": true/"terminal": false/' \
    -e 's|"sh"|"/bin/true"|' -e "s|\"path\": \"rootfs\"|\"path\": \"$root\"|" config.json)
  sandbox_bench --rounds 50 --network "$image" "$digest" "$store" \
    sh -c "exec unshare -m sh -c 'umount /sys/fs/cgroup/unified 2> /dev/null; exec crun --cgroup-manager=disabled run -b $work/bundle bench'" | tail -6
fi
