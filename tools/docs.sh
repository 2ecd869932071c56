#!/usr/bin/env bash
# Checks (or with --write rewrites) what is made from the code: the settings page and the contracts that other programs read
# (shared/contracts/schemas). Needs a build. --write refuses changes that would break those programs, unless BREAKS_CONTRACT=1;
# BIN: where the programs are [build/bin]; TESTBIN: where codegen_contracts_test is [$BIN/../testbin].
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${BIN:-build/bin}
testbin=${TESTBIN:-$bin/../testbin}
schemas=shared/contracts/schemas
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$bin/orchestratord" settings >"$made/configuration.md"
"$bin/orchestratord" openapi >"$made/openapi.json"
bad=0
keep() {
    local new=$1 committed=$2
    cmp -s "$new" "$committed" && return
    if [ "${write:-}" = 1 ]; then cp "$new" "$committed"; else
        diff -u "$committed" "$new" | head -n 20 >&2
        echo "$committed is out of date; fix: make docs" >&2
        bad=1
    fi
}
[ "${1:-}" != --write ] || write=1
keep "$made/configuration.md" docs/configuration.md
"$bin/orchestrator" contracts export --json --directory "$made/all" >/dev/null
cp "$made/openapi.json" "$made/all/openapi.json"   # of the routes; the command's own copy is made of the committed one
if [ "${write:-}" = 1 ] && [ "${BREAKS_CONTRACT:-}" != 1 ] && ! "$bin/orchestrator" contracts compare "$schemas" "$made/all" --text; then
    echo "not written: programs that were made for $schemas could not speak with this version; if that must be: BREAKS_CONTRACT=1" >&2
    exit 1
fi
while read -r file; do
    mkdir -p "$(dirname "$schemas/$file")"
    keep "$made/all/$file" "$schemas/$file"
done < <(cd "$made/all" && find . -name '*.json' | sort | cut -c3-)
# A change that breaks other programs can also be committed with its schemas: so these are held to the commit before.
if [ "${write:-}" != 1 ] && git rev-parse -q --verify "HEAD~1:$schemas" >/dev/null; then
    mkdir "$made/before"
    git archive HEAD~1 "$schemas" | tar -x -C "$made/before"
    if ! git log -1 --format=%B | grep -q '^Breaks-contract: ' &&
        ! "$bin/orchestrator" contracts compare --text "$made/before/$schemas" "$schemas" >"$made/answer" 2>&1; then
        cat "$made/answer" >&2
        echo "extend contracts by optional fields; if nobody can depend on it yet, say why in a line 'Breaks-contract: ...' of the commit message" >&2
        bad=1
    fi
    # So are the samples: what was one is still read without loss.
    golden=shared/contracts/golden
    git archive HEAD~1 "$golden" | tar -x -C "$made/before"
    if ! git log -1 --format=%B | grep -q '^Breaks-contract: ' &&
        ! CODEGEN_EARLIER_GOLDEN=$made/before/$golden "$testbin/codegen_contracts_test" \
            --gtest_filter=Golden.ReadsEarlierSamples --gtest_brief=1 >"$made/answer" 2>&1; then
        cat "$made/answer" >&2
        echo "a sample of the commit before is not read any more; build codegen_contracts_test if it is missing" >&2
        bad=1
    fi
fi
exit $bad
