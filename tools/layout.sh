#!/usr/bin/env bash
# The rules of the tree (CONTRIBUTING.md, "Layout"): arrows point one way, names say something, files stay small.
# shellcheck disable=SC2086,SC2046,SC2013   # the lists of files are meant to be split
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
complain() {
    echo "$1" >&2
    bad=1
}
files=$(git ls-files -co --exclude-standard '*.cpp' '*.hpp')

# Which folder may include which: shared never services, a service never another service, packages only shared.
while IFS=: read -r file _ include; do
    target=${include#*\"}
    target=${target%\"*}
    case $file in
        *test.cpp | *_bench.cpp | *_fixture.?pp | */tests/* | tests/* | bench/*) continue ;;
        shared/*) case $target in services/* | packages/* | apps/*) complain "$file includes $target: shared must not know who uses it" ;; esac ;;
        packages/*) case $target in services/* | apps/*) complain "$file includes $target: a package uses shared/ only" ;; esac
            case $target in packages/*) [ "$(cut -d/ -f2 <<<"$file")" = "$(cut -d/ -f2 <<<"$target")" ] || complain "$file includes $target of another package" ;; esac ;;
        services/*) case $target in apps/* | packages/*) complain "$file includes $target: a service uses shared/ only" ;; esac
            case $target in services/*) [ "$(cut -d/ -f2 <<<"$file")" = "$(cut -d/ -f2 <<<"$target")" ] || complain "$file includes $target: services talk through streams and the API" ;; esac ;;
    esac
    case $file in shared/contracts/*) case $target in shared/contracts/* | shared/json/* | shared/base/*) ;; *) complain "$file includes $target: contracts depend on nothing but json and base" ;; esac ;; esac
done < <(grep -nE '^#include "' $files /dev/null | grep -E '"(shared|services|packages|apps)/')

# Names that say nothing.
if vague=$(git ls-files -co --exclude-standard | grep -E '(^|/)(utils?|common|misc|helpers?)(\.|/|$)'); then complain "name the thing: $vague"; fi

# Size: a longer file is a sign that two things live in it.
for file in $files; do
    lines=$(wc -l <"$file")
    case $file in
        *test.cpp) limit=1000 ;;
        *.hpp) limit=250 ;;
        *) limit=500 ;;
    esac
    [ "$lines" -le "$limit" ] || complain "$file has $lines lines, limit $limit: split it"
done

# Rules of the style that a line can break.
if found=$(grep -nE '\b(TODO|FIXME|XXX)\b' $files); then complain "a promise instead of the work: $found"; fi
if found=$(grep -nE 'asio::detached|, detached\)' $files | grep -vE '^shared/async/|_bench.cpp:'); then complain "use async::Scope instead of detached: $found"; fi
if found=$(grep -nE 'GTEST_SKIP|DISABLED_|this_thread::sleep_for\(std::chrono::(seconds|minutes)' $(grep -E 'test\.cpp$' <<<"$files") /dev/null); then complain "tests neither skip nor sleep: $found"; fi
for header in $(grep -E '\.hpp$' <<<"$files"); do
    grep -q '^#pragma once' "$header" || complain "$header: #pragma once is missing"
done
exit $bad
