#!/bin/sh
# Makes a look-alike of debian:<release>-slim from Debian packages, for machines that reach no container registry.
#   build.sh RELEASE OUT.tar [PACKAGE,... [lists]]     packages beside ca-certificates; with `lists` apt's lists stay in it
# Uses the host's own archives when the host is of that release, and its apt proxies and time settings always.
set -eu
release=$1
out=$2
packages=ca-certificates${3:+,$3}
lists=${4:-}
partial=${out%.tar}.partial.tar   # mmdebstrap goes by the ending
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing: apt-get install mmdebstrap" >&2; exit 1; }

# Proxies and validity settings of the host's apt, as "Acquire::http::Proxy \"...\";" lines.
options=$(mktemp)
trap 'rm -f "$options" "$partial"' EXIT
apt-config dump 2>/dev/null | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date) ' >"$options" || true

host_release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
set --
if [ "$host_release" = "$release" ]; then
    # "deb URI suite component", without archives that need a password.
    # shellcheck disable=SC2016   # apt's own placeholders
    sources=$(apt-get indextargets --format '$(ORIGIN) $(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT)' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "Packages" && $3 !~ /@/ { print "deb " $3 " " $4 " " $5 }' | sort -u)
    if [ -n "$sources" ]; then set -- "$sources"; fi
fi

echo "making a Debian $release root with mmdebstrap (about 20 s)"
if [ "$lists" = lists ]; then set -- "$@" --skip=cleanup/apt/lists; fi
mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --include="$packages" --aptopt="$options" "$release" "$partial" "$@" 2>&1
mv "$partial" "$out"
echo "made $out ($(($(stat -c %s "$out") / 1048576)) MB)"
