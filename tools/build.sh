#!/usr/bin/env bash
# Builds targets of a preset, configuring first where needed. Prints only progress and errors.
# usage: tools/build.sh [--preset NAME] [TARGET...]     default: release, the three programs
set -euo pipefail
cd "$(dirname "$0")/.."
preset=release
if [ "${1:-}" = --preset ]; then
    preset=$2
    shift 2
fi
targets=("$@")
[ ${#targets[@]} -eq 0 ] && targets=(orchestratord orchestrator worker-wrapper)
tools/install_packages.sh build
directory=build
[ "$preset" = release ] || directory=build/$preset
if [ ! -f "$directory/build.ninja" ]; then
    echo "==> configuring ($preset)"
    log=$(mktemp)
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
fi
if [ ! -w "$directory" ]; then
    echo "==> $directory is not writable for you: using the programs that are there"
    exit 0
fi
# Nothing to do: say nothing.
NINJA_STATUS='[%f/%t, %es] ' stdbuf -oL ninja -C "$directory" "${targets[@]}" 2>&1 | awk -v preset="$preset" '
    /^ninja: (Entering directory|no work to do)/ || /Re-checking globbed/ || /Re-running CMake/ || /^-- / { next }
    !said { print "==> building (" preset "): the first build takes some minutes"; said = 1 }
    { print; fflush() }'
