#!/bin/bash
# Runs clang-tidy, with the checks of .clang-tidy, over every source file; ends with 1 if it finds
# anything.
#
#   .ci/tidy.sh                       everything; about half an hour on 2 cores
#   .ci/tidy.sh queues submit/client.cpp   folders and files, relative to the root
#
# Compile commands and generated sources are those of the preset ci. GANGWAY_TIDY_JOBS sets how many
# files are looked at side by side.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v clang-tidy > /dev/null; then
  echo ".ci/tidy.sh: clang-tidy is not installed (Debian package clang-tidy)" >&2
  exit 69
fi
if (($# == 0)); then
  set -- queues scheduler executor containers submit tests
fi

# Messages and system call filters are generated; nothing else needs to be built.
cmake --preset ci --log-level=WARNING > /dev/null
cmake --build build/ci --target gangway_proto gangway_containers gangway_images > /dev/null

check() {  # file
  local found
  # What is left on stderr when all is well is the count of warnings in others' headers.
  if ! found=$(clang-tidy -p build/ci --quiet "$1" 2> /dev/null); then
    printf '%s\n' "${found:-$1: clang-tidy failed without a word}"
    return 1
  fi
}
export -f check

find "$@" -name '*.cpp' -print0 | sort -z |
  xargs -0 -r -n 1 -P "${GANGWAY_TIDY_JOBS:-$(nproc)}" bash -c 'check "$1"' tidy
