#!/usr/bin/env bash
# `make check`: what a program can check, the same on a laptop and in CI. Each failure prints the command that fixes it.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/install_packages.sh build test
failed=()
step() {
    local name=$1 started=$SECONDS
    shift
    if "$@"; then printf '==> %-8s ok (%d s)\n' "$name" $((SECONDS - started)); else
        printf '==> %-8s FAILED\n' "$name"
        failed+=("$name")
    fi
}
step format tools/format.sh
step layout tools/layout.sh
step scripts shellcheck -x .ci/run tools/*.sh images/*/*.sh shared/agents/*.sh shared/agents/*/*.sh
step links tools/links.sh
step tidy tools/tidy.sh
if [ ${#failed[@]} -gt 0 ]; then
    echo "make check failed: ${failed[*]}" >&2
    exit 1
fi
