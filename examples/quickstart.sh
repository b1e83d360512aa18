#!/bin/bash
# From a fresh Debian 12 machine to a cluster that has done real work, in one command. As root:
#
#   ./examples/quickstart.sh
#
# It installs the Debian packages that are missing, builds Gangway and installs it to /opt/gangway,
# makes two container images from this machine's own package sources, starts a cluster of four nodes
# on this machine, and submits examples/heat as an ordinary user: who called sudo, or gangway-demo,
# which is made if it is not there. It removes nothing but what an earlier run of it has made, and can
# be run again at any time.
#
#   GANGWAY_PREFIX   where programs and images go        [/opt/gangway]
#   GANGWAY_JOBS     how many compilers at once          [one a core]
#   GANGWAY_BUILD    a build directory; it is configured if it is new   [build/release]
#   GANGWAY_CLUSTER  the cluster's directory             [/var/lib/gangway/one-machine]
#   GANGWAY_WORK     where the results go                [gangway-heat in the user's home]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
prefix=${GANGWAY_PREFIX:-/opt/gangway}
jobs=${GANGWAY_JOBS:-$(nproc)}
build=${GANGWAY_BUILD:-build/release}
cluster=${GANGWAY_CLUSTER:-/var/lib/gangway/one-machine}
images=$prefix/images
started=$SECONDS

step() { printf '\n== %s\n' "$*"; }
die() {
  echo "quickstart.sh: $*" >&2
  exit 1
}

((EUID == 0)) || die "run it as root: it installs packages and makes networks for the nodes"
cd "$root"

step "packages"
.ci/install-packages.sh build example

step "build, installed to $prefix"
if [[ -z ${GANGWAY_BUILD:-} || ! -e $build/build.ninja ]]; then
  cmake --preset release -B "$build" -DGANGWAY_TESTS=OFF --log-level=WARNING > /dev/null
fi
cmake --build "$build" --parallel "$jobs"
cmake --install "$build" --prefix "$prefix" > /dev/null
export PATH=$prefix/bin:$PATH

step "images"
examples/images/make-images.sh "$root/build/images"
# The clone may lie where only root can read; images are opened with the rights of the job's user.
install -d -m 0755 "$images"
for image in busybox.tar mpi.tar; do
  install -m 0644 "build/images/$image" "$images/.$image.new"
  mv "$images/.$image.new" "$images/$image"
done

step "what this kernel allows"
gangway doctor || die "this machine cannot run jobs; see above"

step "a cluster of four nodes"
gangway up --nodes 4 --dir "$cluster"
export GANGWAY_SOCKET=$cluster/jschedd.sock

user=${SUDO_USER:-gangway-demo}
[[ $user != root ]] || user=gangway-demo
if ! id "$user" > /dev/null 2>&1; then
  step "the user $user"
  useradd --create-home --shell /bin/bash --comment "Gangway's quickstart" "$user"
fi
home=$(getent passwd "$user" | cut -d: -f6)
work=${GANGWAY_WORK:-$home/gangway-heat}
as_user() {
  runuser -u "$user" -- env -C "$work" PATH="$PATH" GANGWAY_SOCKET="$GANGWAY_SOCKET" HOME="$home" "$@"
}

step "the heat equation, as $user in $work"
runuser -u "$user" -- mkdir -p "$work"
install -o "$user" -g "$(id -gn "$user")" -m 0644 examples/heat/workflow.yaml "$work/workflow.yaml"
sed -i "s|^\( *image:\).*|\1 $images/mpi.tar|" "$work/workflow.yaml"
workflow=$(as_user jsubmit --parsable workflow.yaml)
echo "submitted as $workflow"
as_user jwait --progress "$workflow"

down_where=
[[ -z ${GANGWAY_CLUSTER:-} ]] || down_where=" --dir $cluster"
step "results"
as_user cat check.txt
printf '\n  picture  %s\n  table    %s\n' "$work/heat.png" "$work/heat.txt"
cat << END

Done in $((SECONDS - started)) s. The cluster is still up:

  export PATH=$prefix/bin:\$PATH GANGWAY_SOCKET=$GANGWAY_SOCKET
  jnodes; jqueue --all; jsubmit -- hostname       (as $user or any other ordinary user)
  gangway down --purge$down_where                            (as root: stops it and leaves nothing)
END
