#!/bin/sh
# make-images.sh OUTDIR: makes the images of the examples and tests, from Debian packages alone.
#
#   busybox   one static program and its names
#   mpi       Debian's Open MPI run-time libraries, a shell, and our example programs in /opt; nothing
#             that starts ranks by itself (no mpirun, orted, prte, ssh): that is the scheduler's work
#   launchers  the libraries of mpi, and of MPICH, with the programs of both that start ranks (mpirun,
#             mpiexec.hydra) beside them: for tests of those. As NAME.tar alone
#
# Each comes as OUTDIR/NAME (OCI layout, gzip), NAME-zstd (OCI layout, zstd), NAME.tar
# (oci-archive, gzip) and NAME.docker.tar (docker-archive), all with the tag "latest".
#
# Debian 12. Packages come from the machine's own apt sources. Root, or a user who may have user
# namespaces with subordinate ids. Does nothing if OUTDIR has been made from the same inputs.
# Reproducible: files are dated SOURCE_DATE_EPOCH.
set -eu

[ $# -eq 1 ] || { echo "usage: make-images.sh OUTDIR" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
examples=$(dirname "$here")
mkdir -p "$1"
out=$(cd "$1" && pwd)
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1700000000}"
export LC_ALL=C TZ=UTC
umask 022

say() { echo "images: $*" >&2; }
die() { say "$*"; exit 1; }

missing=
for tool in mmdebstrap busybox mpicc tar gzip zstd sha256sum flock; do
  command -v "$tool" >/dev/null || missing="$missing $tool"
done
[ -z "$missing" ] || die "not installed:$missing (packages mmdebstrap busybox-static libopenmpi-dev tar gzip zstd coreutils util-linux)"

exec 9>"$out/.lock"
flock 9

# ---- is there anything to do? --------------------------------------------------------------------

inputs=$({ cat "$0" "$examples"/*/*.c "$examples"/*/*.h
           echo "$SOURCE_DATE_EPOCH"
           dpkg-query -W -f '${Package} ${Version}\n' busybox-static libc6 libmpich12 libopenmpi3 zlib1g 2>&1 || true
         } | sha256sum | cut -d' ' -f1)
launchers=
download_launchers() { (cd "$1" && apt-get -q download libmpich12 libslurm38 mpich openmpi-bin >/dev/null 2>&1); }
if [ "$(cat "$out/.made-from" 2>/dev/null || true)" = "$inputs" ]; then
  # Those that could not be downloaded when the others were made are tried again, without those.
  [ -e "$out/launchers.tar" ] || launchers=$(mktemp -d "$out/.work.XXXXXX")
  if [ -z "$launchers" ] || ! download_launchers "$launchers"; then
    [ -z "$launchers" ] || rm -rf "$launchers"
    say "up to date in $out"
    exit 0
  fi
  rm -rf "$launchers"
fi
rm -f "$out/.made-from"
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- OCI, by hand: blobs named by their digest, and three small JSON files ------------------------------

machine=$(dpkg --print-architecture)
case $machine in
  armhf) machine=arm ;;
  i386) machine=386 ;;
  ppc64el) machine=ppc64le ;;
esac
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

digest() { sha256sum "$1" | cut -d' ' -f1; }
size() { stat -c %s "$1"; }

# pack DIRECTORY TAR: its content as one layer, the same bytes for the same content.
pack() {
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=gnu \
    -C "$1" -cf "$2" .
}

# config ENTRIES TAR...: the image's config, on stdout.
config() {
  entries=$1
  shift
  printf '{"created":"%s","architecture":"%s","os":"linux","config":{%s},"rootfs":{"type":"layers","diff_ids":[' \
    "$created" "$machine" "$entries"
  comma=
  for layer in "$@"; do
    printf '%s"sha256:%s"' "$comma" "$(digest "$layer")"
    comma=,
  done
  printf ']}}'
}

# blob LAYOUT FILE: moves it in, prints its digest.
blob() {
  sum=$(digest "$2")
  mv "$2" "$1/blobs/sha256/$sum"
  echo "$sum"
}

# layout DIRECTORY gzip|zstd CONFIG TAR...: an OCI layout.
layout() {
  to=$1 how=$2 config=$3
  shift 3
  mkdir -p "$to/blobs/sha256"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$to/oci-layout"
  layers= comma=
  for layer in "$@"; do
    case $how in
      gzip) gzip -n -6 -c "$layer" >"$work/packed" ;;
      zstd) zstd -q -9 -T0 -c "$layer" >"$work/packed" ;;
    esac
    bytes=$(size "$work/packed")
    sum=$(blob "$to" "$work/packed")
    layers="$layers$comma{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+$how\",\"digest\":\"sha256:$sum\",\"size\":$bytes}"
    comma=,
  done
  cp "$config" "$work/config"
  config_bytes=$(size "$work/config")
  config_sum=$(blob "$to" "$work/config")
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' \
    "$config_sum" "$config_bytes" "$layers" >"$work/manifest"
  bytes=$(size "$work/manifest")
  sum=$(blob "$to" "$work/manifest")
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"platform":{"architecture":"%s","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}' \
    "$sum" "$bytes" "$machine" >"$to/index.json"
}

# docker_archive TAR NAME CONFIG LAYER...: what "docker save" writes.
docker_archive() {
  to=$1 name=$2 config=$3
  shift 3
  rm -rf "$work/docker"
  mkdir "$work/docker"
  config_name=$(digest "$config").json
  cp "$config" "$work/docker/$config_name"
  layers= comma=
  for layer in "$@"; do
    sum=$(digest "$layer")
    mkdir -p "$work/docker/$sum"
    ln "$layer" "$work/docker/$sum/layer.tar"
    layers="$layers$comma\"$sum/layer.tar\""
    comma=,
  done
  printf '[{"Config":"%s","RepoTags":["%s:latest"],"Layers":[%s]}]' \
    "$config_name" "$name" "$layers" >"$work/docker/manifest.json"
  pack "$work/docker" "$to"
}

# image NAME CONFIG-ENTRIES TAR...: all four forms, put in place at the end.
image() {
  name=$1 entries=$2
  shift 2
  config "$entries" "$@" >"$work/$name.config"
  layout "$work/new/$name" gzip "$work/$name.config" "$@"
  layout "$work/new/$name-zstd" zstd "$work/$name.config" "$@"
  pack "$work/new/$name" "$work/new/$name.tar"
  docker_archive "$work/new/$name.docker.tar" "$name" "$work/$name.config" "$@"
  for form in "$name" "$name-zstd" "$name.tar" "$name.docker.tar"; do
    rm -rf "${out:?}/$form"
    mv "$work/new/$form" "$out/$form"
  done
  say "$name: $(du -sk "$out/$name" | cut -f1) KiB packed, $# layer(s)"
}

# accounts ROOT: the few names every image has; the scheduler adds the job's user.
accounts() {
  mkdir -p "$1/etc"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}

mkdir "$work/new"

# ---- busybox -------------------------------------------------------------------------------------

root=$work/busybox
mkdir -p "$root/bin" "$root/dev" "$root/etc" "$root/proc" "$root/root" "$root/sys" "$root/tmp" "$root/var"
chmod 1777 "$root/tmp"
busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
for name in $(busybox --list); do
  [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
done
accounts "$root"
pack "$root" "$work/busybox.tar"
image busybox '"Env":["PATH=/bin"],"Cmd":["/bin/sh"]' "$work/busybox.tar"

# ---- mpi: Debian's packages, unpacked but not configured: a file system with libraries in it ------

# The files of apt's configuration that hold Debian's own sources.
sources=$(apt-get indextargets --format '$(ORIGIN)|$(SOURCESENTRY)' 'Created-By: Packages' |
  sed -n 's/^Debian|\(.*\):[0-9]*$/\1/p' | sort -u)
[ -n "$sources" ] || sources=$(ls /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
  /etc/apt/sources.list.d/*.sources 2>/dev/null)
[ -n "$sources" ] || die "apt has no package sources"
# How the machine reaches them: proxies, credentials, time-outs.
apt-config dump | grep -E '^Acquire::(http|https|Retries|Check-Valid-Until|Check-Date)[: ]' |
  grep -v ' "";$' >"$work/apt.conf" || true
# Nobody reads these in a job, or only a hwloc plugin for graphics cards or a converter wants them.
excluded="doc/* man/* info/* locale/* lintian/* bug/* X11/* perl5/* debconf/* pam* zoneinfo/* bash-completion/*"
libraries="libicu*.so* libxml2.so* libX*.so* libxcb*.so* libOpenCL.so* libdb-5*.so* gconv/* hwloc/* perl*/*"
set --
for pattern in $excluded; do set -- "$@" "--dpkgopt=path-exclude=/usr/share/$pattern"; done
for pattern in $libraries; do set -- "$@" "--dpkgopt=path-exclude=/usr/lib/*/$pattern"; done
say "mpi: unpacking Debian packages (half a minute)"
# shellcheck disable=SC2086 # file names of apt's have no blanks
mmdebstrap --quiet --variant=extract --format=tar --skip=output/dev --aptopt="$work/apt.conf" "$@" \
  --dpkgopt='path-exclude=/lib/*/security/*' --dpkgopt='path-exclude=/usr/bin/perl*' \
  --dpkgopt='path-exclude=/var/cache/*' --dpkgopt='path-exclude=/var/lib/*' \
  --include=base-files,bash,coreutils,dash,grep,hostname,libopenmpi3,openmpi-common,sed,zlib1g \
  "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/debian.tar" $sources </dev/null >&2 ||
  die "mmdebstrap failed; does 'apt-get update' work?"

say "mpi: compiling the programs"
root=$work/programs
mkdir -p "$root/opt/heat" "$root/opt/mpi_ring" "$root/etc/openmpi"
# The same bits on one rank and on many: no fused multiply-add.
flags="-O2 -Wall -ffp-contract=off"
for name in prepare render assemble check; do
  cc $flags -o "$root/opt/heat/heat_$name" "$examples/heat/heat_$name.c" -lz
done
mpicc $flags -o "$root/opt/heat/heat_solve" "$examples/heat/heat_solve.c"
mpicc $flags -o "$root/opt/mpi_ring/mpi_ring" "$examples/mpi_ring/mpi_ring.c"
accounts "$root"
# Debian ships these settings with mpirun: no search for fabrics that need more than is here.
cat >"$root/etc/openmpi/openmpi-mca-params.conf" <<'END'
btl_base_warn_component_unused = 0
mtl = ^ofi
btl = ^uct,openib,ofi
pml = ^ucx
osc = ^ucx,pt2pt
END
pack "$root" "$work/programs.tar"

# Ranks are started by the scheduler; an image that could do it another way would prove nothing.
for layer in "$work/debian.tar" "$work/programs.tar"; do
  tar -tf "$layer" >"$work/list"
  ! grep -E '/(mpirun|mpiexec|orterun|orted|prte|prted|prterun|ssh|sshd|rsh)(\.[a-z0-9]+)?$' "$work/list" >&2 ||
    die "the mpi image has a launcher in it"
done
if [ "$(id -u)" -eq 0 ]; then
  mkdir "$work/try"
  tar -C "$work/try" -xf "$work/debian.tar"
  tar -C "$work/try" -xf "$work/programs.tar"
  for program in "$work"/try/opt/*/*; do
    chroot "$work/try" /bin/sh -c 'for l in /lib64/ld-linux* /lib/ld-linux*; do [ ! -x "$l" ] || exec "$l" --list "$0"; done' \
      "/opt/${program#"$work/try/opt/"}" >"$work/list"
    ! grep 'not found' "$work/list" >&2 || die "the mpi image lacks libraries of ${program##*/}"
  done
fi

# ---- launchers: a layer of a few more packages --------------------------------------------------------

root=$work/launchers
mkdir -p "$root" "$work/packages"
if download_launchers "$work/packages"; then
  for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$root"; done
  rm -rf "$root/usr/share" "$root/usr/lib/mime" "$root/usr/include"
  ln -s mpirun.openmpi "$root/usr/bin/mpirun"
  accounts "$root"
  mkdir -p "$root/etc/openmpi"
  cp "$work/programs/etc/openmpi/openmpi-mca-params.conf" "$root/etc/openmpi/"
  pack "$root" "$work/launchers.tar"
  config '"Env":["PATH=/usr/local/bin:/usr/bin:/bin"],"Cmd":["/bin/bash"]' \
    "$work/debian.tar" "$work/launchers.tar" >"$work/launchers.config"
  layout "$work/new/launchers" gzip "$work/launchers.config" "$work/debian.tar" "$work/launchers.tar"
  pack "$work/new/launchers" "$out/launchers.tar"
  say "launchers: $(du -sk "$out/launchers.tar" | cut -f1) KiB packed"
else
  rm -f "$out/launchers.tar"  # of other inputs
  say "launchers: apt-get download does not answer; without them some tests skip; the next run tries again"
fi

image mpi '"Env":["PATH=/usr/local/bin:/usr/bin:/bin:/opt/heat:/opt/mpi_ring"],"Cmd":["/bin/bash"]' \
  "$work/debian.tar" "$work/programs.tar"
echo "$inputs" >"$out/.made-from"
say "done in $out"
