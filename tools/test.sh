#!/usr/bin/env bash
# `make test`: installs, builds, runs every test, prints how long each part took. The last line is ctest's summary.
# A first argument is passed on as `ctest -R PATTERN`.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
part=$SECONDS
took() { printf '==> %s took %d s\n' "$1" $((SECONDS - part)); part=$SECONDS; }
pattern=()
[ -z "${1:-}" ] || pattern=(-R "$1")

tools/install_packages.sh build run docker test
command -v npm >/dev/null || { apt-get install -y --no-install-recommends npm >/dev/null; }   # fetches the agents' pinned binaries
tools/schemathesis.sh
tools/copier.sh
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
    images/test-server/build.sh || true   # now, while nothing else wants the machine; the tests say what is wrong
fi
# Unit and service tests run once, under sanitizers; the others on the programs as they ship (`make soak`: all on those).
tools/build.sh --preset release orchestratord orchestrator worker-wrapper system_tests benches
took "the release build"
tools/build.sh --preset asan all
took "the sanitizer build"
TESTBIN=build/asan/testbin tools/docs.sh

log=$(mktemp)
# One run over both trees, so that its summary counts everything. A test that fails is run once more. One that passes then is
# named below as unstable: mend it, it is a bug in the test or worse.
mkdir -p build/every
printf 'subdirs("%s")\n' "$PWD/build/asan" "$PWD/build" >build/every/CTestTestfile.cmake
status=0
ctest --test-dir build/every -L '^(sanitized-(unit|service)|integration|e2e)$' -j "$(($(nproc) + 1))" --output-on-failure --no-tests=error \
    --repeat until-pass:2 "${pattern[@]}" 2>&1 | tee "$log" || status=$?
grep -oE 'Test +#[0-9]+: [^ ]+ .*\*\*\*(Failed|Timeout|Exception)' "$log" | awk '{print "==> unstable: " $3}' | sort -u || true
took "the tests"
printf '==> everything took %d s\n' $((SECONDS - started))
# The summary once more: it is what programs read.
grep -E '^[0-9]+% tests passed' "$log" | tail -n 1
rm -f "$log"
exit "$status"
