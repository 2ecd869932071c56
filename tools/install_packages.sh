#!/usr/bin/env bash
# Installs the Debian packages of the named sets (tools/packages.txt) that are missing; touches nothing when none is.
# usage: tools/install_packages.sh SET...     sets: build run docker test
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=()
for set_name in "$@"; do
    while read -r member package; do
        [ "$member" = "$set_name" ] && wanted+=("$package")
    done < <(grep -v '^#' tools/packages.txt)
done

# One dpkg-query for all: a check that finds nothing to do takes milliseconds.
installed=$(dpkg-query -W -f '${Package} ${Status}\n' "${wanted[@]}" 2>/dev/null | awk '$4 == "installed" {print $1}' || true)
missing=()
for package in "${wanted[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null && ! { [ -t 0 ] && command -v sudo >/dev/null; }; then
        echo "These Debian packages are missing: ${missing[*]}" >&2
        echo "Install them as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "==> installing ${#missing[@]} Debian packages: ${missing[*]}"
# redis-server and docker.io must not start daemons of their own: this project starts private ones.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made_policy=yes
fi
status=0
{
    "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
} >"$log" 2>&1 || status=$?
[ "$made_policy" = yes ] && "${as_root[@]}" rm -f "$policy"
if [ "$status" -ne 0 ]; then
    tail -n 20 "$log" >&2
    echo "apt-get failed; the lines above say why" >&2
    exit "$status"
fi
