#!/usr/bin/env bash
# Every relative link in the documentation leads to a file; every `make x` and tools/x it names exists.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
for page in $(git ls-files -co --exclude-standard '*.md'); do
    directory=$(dirname "$page")
    while read -r link; do
        link=${link%%#*}
        [ -z "$link" ] || [ -e "$directory/$link" ] || { echo "$page links to $link, which does not exist" >&2; bad=1; }
    done < <(grep -oE '\]\([^)]+\)' "$page" | sed -E 's/^\]\(//; s/\)$//' | grep -vE '^(https?:|mailto:)' || true)
    while read -r goal; do
        grep -qE "^$goal:" Makefile || { echo "$page names \`make $goal\`, which the Makefile does not have" >&2; bad=1; }
    done < <(grep -oE '`make [a-z]+' "$page" | sed 's/`make //' | sort -u || true)
    while read -r tool; do
        [ -e "$tool" ] || { echo "$page names $tool, which does not exist" >&2; bad=1; }
    done < <(grep -oE '\btools/[a-z_]+\.(sh|txt|py)' "$page" | sort -u || true)
done
exit $bad
