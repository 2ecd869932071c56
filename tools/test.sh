#!/usr/bin/env bash
# `make test`: installs, builds, runs every test, prints how long each part took. The last line is ctest's summary.
# A first argument is passed on as `ctest -R PATTERN` to both runs.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
part=$SECONDS
took() { printf '==> %s took %d s\n' "$1" $((SECONDS - part)); part=$SECONDS; }
pattern=()
[ -z "${1:-}" ] || pattern=(-R "$1")

tools/install_packages.sh build run docker test
command -v npm >/dev/null || { apt-get install -y --no-install-recommends npm >/dev/null; }   # fetches the agents' pinned binaries
took "installing packages"
if [ "$(id -u)" -eq 0 ]; then
    tools/docker_engine.sh start
    # Images that the tests make serve all of them; what was not there before goes at the end.
    images_before=$(docker image ls -aq | sort -u)
    # shellcheck disable=SC2317   # called by the trap
    clean_up() {
        comm -13 <(echo "$images_before") <(docker image ls -aq | sort -u) | xargs -r docker image rm -f >/dev/null 2>&1 || true
        tools/docker_engine.sh stop
    }
    trap clean_up EXIT
fi
tools/build.sh --preset release all
tools/docs.sh
took "the release build"
tools/build.sh --preset asan all
took "the sanitizer build"

echo "==> unit and service tests under AddressSanitizer and UndefinedBehaviorSanitizer"
ctest --test-dir build/asan -L '^(unit|service)$' -j 4 --output-on-failure --no-tests=error "${pattern[@]}"
took "the sanitizer run"
echo "==> every test on the release build"
# What is measured or limited by time runs alone: integration and e2e tests are marked RUN_SERIAL where they must be.
status=0
log=$(mktemp)
ctest --test-dir build -j 3 --output-on-failure --no-tests=error "${pattern[@]}" 2>&1 | tee "$log" || status=$?
took "the release run"
printf '==> everything took %d s\n' $((SECONDS - started))
# The summary once more: it is what programs read.
grep -E '^[0-9]+% tests passed' "$log" | tail -n 1
rm -f "$log"
exit "$status"
