#!/usr/bin/env bash
# `make soak`: what is too long for `make test`. MINUTES (default 10) of each fuzz target, whose finds that reach new code are
# added to fuzz/corpus (commit them), EXAMPLES (default 500) of schemathesis for each operation of the API, then the fault tests repeated ROUNDS
# (default 10) times, IDLE_WORKERS (default 500) sandbox workers at once, and the soak tests with their large figures.
# SOAK_SEED=N repeats the moments of a failed run.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${MINUTES:-10}
rounds=${ROUNDS:-10}
tools/install_packages.sh build run docker test
tools/build.sh --preset fuzz fuzzers
for target in build/fuzz/fuzzers/*_fuzz; do
    name=$(basename "$target")
    mkdir -p "build/fuzz/corpus/$name" "fuzz/corpus/$name"
    echo "==> $name for $minutes minutes"
    "$target" -max_total_time=$((minutes * 60)) -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" "fuzz/corpus/$name"
    "$target" -set_cover_merge=1 -use_counters=0 "fuzz/corpus/$name" "build/fuzz/corpus/$name" 2>&1 | tail -n 1
done
tools/build.sh --preset release all
tools/schemathesis.sh
echo "==> schemathesis, ${EXAMPLES:-500} examples for each operation"
SOAK_EXAMPLES=${EXAMPLES:-500} build/testbin/codegen_api_integrationtest --gtest_filter='Schemathesis*'
[ "$(id -u)" -ne 0 ] || { tools/docker_engine.sh start && trap 'tools/docker_engine.sh stop' EXIT; }
echo "==> ${IDLE_WORKERS:-500} idle workers"
CODEGEN_IDLE_WORKERS=${IDLE_WORKERS:-500} ctest --test-dir build -R IdleWorkers -V --no-tests=error
echo "==> fault tests, $rounds rounds"
ctest --test-dir build -L '^(service|integration)$' -j 2 --repeat until-fail:"$rounds" --output-on-failure --no-tests=error
echo "==> soak"
export SOAK_CYCLES=${SOAK_CYCLES:-200} SOAK_WORKERS=${SOAK_WORKERS:-50} SOAK_TASKS=${SOAK_TASKS:-100} SOAK_KILLS=${SOAK_KILLS:-20}
build/testbin/codegen_system_tests_integrationtest --gtest_filter='*Soak*'
SOAK_MESSAGES=${SOAK_MESSAGES:-1000000} build/testbin/codegen_redis_servicetest --gtest_filter='*Soak*'
