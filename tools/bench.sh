#!/usr/bin/env bash
# `make bench`: every benchmark, each figure beside its floor, with median and spread. An argument filters by name.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
tools/install_packages.sh build run docker
[ "$(id -u)" -ne 0 ] || { tools/docker_engine.sh start && trap 'tools/docker_engine.sh stop' EXIT; }
tools/build.sh benches orchestratord orchestrator worker-wrapper
for program in build/benchmarks/*_bench; do
    case $(basename "$program") in *"${1:-}"*) ;; *) continue ;; esac
    echo "==> $(basename "$program")"
    "$program" --benchmark_repetitions=5 --benchmark_report_aggregates_only=true --benchmark_counters_tabular=true
done
echo "==> all benchmarks took $((SECONDS - started)) s"
