#!/bin/bash
# Installs what is missing, builds, and runs every test through ctest: unit, sim, e2e.
#
#   tests/run.sh          at most 15 minutes on 2 cores
#   tests/run.sh --all    and the long ones: clang-tidy, sanitizers, fuzzers, seeds by the hundred,
#                         benchmarks; some hours
#   tests/run.sh -R name  further arguments go to ctest
#
# Run it as root to have missing Debian packages installed and the tests of network namespaces run;
# as an ordinary user it runs what an ordinary user can, and says what it skips. What it makes is below
# build/, but for those packages and for what tests keep in /tmp while they run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

all=no
ctest_args=()
for argument in "$@"; do
  case $argument in
    --all) all=yes ;;
    *) ctest_args+=("$argument") ;;
  esac
done
jobs=$(nproc)

say() { printf '\n== %s\n' "$*"; }

say "packages"
"$root/.ci/install-packages.sh" build test
[[ $all == no ]] || "$root/.ci/install-packages.sh" lint

build() {  # preset, further arguments of the build
  local preset=$1
  shift
  say "build ($preset)"
  cmake --preset "$preset" --log-level=WARNING
  cmake --build "build/$preset" --parallel "$jobs" "$@"
}

run_tests() {  # preset, further arguments of ctest
  local preset=$1
  shift
  say "tests ($preset)"
  ctest --test-dir "build/$preset" --parallel "$jobs" --output-on-failure "$@"
}

build ci
if [[ -x examples/images/make-images.sh ]]; then
  say "images for the tests"
  examples/images/make-images.sh build/images
fi

if [[ $all == yes ]]; then
  failed=()
  export GANGWAY_LONG_TESTS=1
  run_tests ci --no-tests=error "${ctest_args[@]}" || failed+=(ci)
  say "clang-tidy"
  .ci/tidy.sh || failed+=(clang-tidy)
  # With real daemons as well; the quickstart would only do the same once more.
  build asan
  run_tests asan -E '^e2e\.quickstart$' "${ctest_args[@]}" || failed+=(asan)
  # Only these have threads (CONTRIBUTING.md).
  build tsan
  run_tests tsan -L 'unit|sim' "${ctest_args[@]}" || failed+=(tsan)
  build fuzz --target fuzzers
  for fuzzer in build/fuzz/bin/*_fuzz; do
    say "a minute of ${fuzzer##*/}"
    "$fuzzer" -max_total_time=60 -verbosity=0 -artifact_prefix=build/fuzz/ || failed+=("$fuzzer")
  done
  say "400 seeds of the simulated cluster"
  build/ci/bin/sim_main --seed=1000 --count=400 || failed+=(seeds)
  say "benchmarks"
  tests/bench/run.sh build/ci/bin || failed+=(benchmarks)
  if ((${#failed[@]})); then
    echo "tests/run.sh: failed: ${failed[*]}" >&2
    exit 1
  fi
else
  # ctest's own last lines are the last lines.
  run_tests ci --no-tests=error "${ctest_args[@]}"
fi
