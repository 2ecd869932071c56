#!/usr/bin/env bash
# Checks (or with --write rewrites) the pages that are made from the code. Needs a build.
set -euo pipefail
cd "$(dirname "$0")/.."
made=$(mktemp)
trap 'rm -f "$made"' EXIT
build/bin/orchestratord settings >"$made"
if [ "${1:-}" = --write ]; then
    cp "$made" docs/configuration.md
elif ! cmp -s "$made" docs/configuration.md; then
    diff -u docs/configuration.md "$made" | head -n 20 >&2
    echo "docs/configuration.md is out of date; fix: make docs" >&2
    exit 1
fi
