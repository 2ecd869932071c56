#!/usr/bin/env bash
# `make bench`: every benchmark, each figure beside its floor, with median and spread; then how long a full build of the
# three programs takes. An argument filters by name (the build's is "full_build").
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
filter=${1:-}
fresh=
engine=
clean_up() {
    [ -z "$fresh" ] || rm -rf "$fresh"
    [ -z "$engine" ] || tools/docker_engine.sh stop
}
trap clean_up EXIT
tools/install_packages.sh build run docker

wanted() { [[ $1 == *"$filter"* ]]; }

# Of all that the three programs need but installed packages, by the compiler itself.
full_build() {
    fresh=$(mktemp -d)
    if ! cmake --preset release -B "$fresh" >"$fresh/log" 2>&1; then
        cat "$fresh/log" >&2
        return 1
    fi
    local before=$EPOCHREALTIME
    if ! CCACHE_DISABLE=1 ninja -C "$fresh" orchestratord orchestrator worker-wrapper >"$fresh/log" 2>&1; then
        tail -n 50 "$fresh/log" >&2
        return 1
    fi
    awk -v from="$before" -v to="$EPOCHREALTIME" -v cores="$(nproc)" \
        'BEGIN { printf "full_build  %.1f s  (orchestratord, orchestrator, worker-wrapper; no cache; %d cores)\n", to - from, cores }'
    rm -rf "$fresh"
    fresh=
}

[ "$(id -u)" -ne 0 ] || { tools/docker_engine.sh start && engine=started; }
tools/build.sh benches orchestratord orchestrator worker-wrapper
for program in build/benchmarks/*_bench; do
    wanted "$(basename "$program")" || continue
    echo "==> $(basename "$program")"
    "$program" --benchmark_repetitions=5 --benchmark_report_aggregates_only=true --benchmark_counters_tabular=true
done
if wanted full_build; then full_build; fi
echo "==> all benchmarks took $((SECONDS - started)) s"
