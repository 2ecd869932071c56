#!/usr/bin/env bash
# clang-tidy on the C++ files of the change (against HEAD~1 and the working tree; in a shallow clone those of HEAD), at most
# 10 minutes, saying what was left out. --all: every file, without a limit.
set -euo pipefail
cd "$(dirname "$0")/.."

# A stray quote can switch a family off: the checks this project relies on must be on.
enabled=$(clang-tidy-19 --list-checks 2>/dev/null | tr -d ' ')
while read -r check; do
    grep -qxF "$check" <<<"$enabled" || { echo ".clang-tidy no longer enables $check" >&2; exit 1; }
done < <(sed -n '/^Checks:/,/^WarningsAsErrors/p' .clang-tidy | grep -oE '^ +[a-z][a-z-]+' | tr -d ' ')

if [ "${1:-}" = --all ]; then
    limit=86400
    files=$(git ls-files '*.cpp')
else
    limit=600
    if git rev-parse -q --verify HEAD~1 >/dev/null; then
        files=$( (git diff --name-only --diff-filter=AM HEAD~1; git ls-files -o --exclude-standard) | grep '\.cpp$' | sort -u || true)
    else
        files=$(git ls-files '*.cpp')
    fi
fi
[ -n "$files" ] || exit 0
[ -f build/build.ninja ] || cmake --preset release >/dev/null
# Precompiled headers of the build are read by clang-tidy as well: they must exist.
ninja -C build cmake/pch/all >/dev/null
log=$(mktemp)
trap 'rm -f "$log"' EXIT
deadline=$((SECONDS + limit))
left=()
running=0
status=0
for file in $files; do
    if [ "$SECONDS" -ge "$deadline" ]; then
        left+=("$file")
        continue
    fi
    if [ "$running" -ge 2 ]; then
        wait -n || status=1
        running=$((running - 1))
    fi
    clang-tidy-19 -p build --quiet "$file" >>"$log" 2>/dev/null &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || status=1
    running=$((running - 1))
done
[ ${#left[@]} -eq 0 ] || echo "clang-tidy: the time is up; ${#left[@]} files were not looked at: ${left[*]}"
if [ "$status" -ne 0 ]; then
    grep -E ': (error|warning):' "$log" | sort -u >&2
    exit 1
fi
