#!/usr/bin/env bash
# Checks (or with --write corrects) the format of every C++ file.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(--dry-run --Werror)
[ "${1:-}" = --write ] && mode=(-i)
git ls-files -co --exclude-standard '*.cpp' '*.hpp' | xargs -r -P 2 -n 40 clang-format-19 "${mode[@]}" || {
    echo "fix: make format" >&2
    exit 1
}
