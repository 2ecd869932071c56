# shellcheck shell=sh
# Sourced by shared/agents/<name>/install.sh: fetches an agent's program of one pinned version from npm.
#   from_npm NAME VERSION TARGET_DIRECTORY PACKAGE@VERSION INTEGRITY FILE...
# INTEGRITY: what the sha512 of the tarball must be (`npm view PACKAGE@VERSION dist.integrity` without "sha512-"); empty:
# the script does not know that version. FILEs, as in the tarball, come into TARGET_DIRECTORY, which appears whole or not
# at all; safe to run at the same time.
# CODEGEN_AGENT_TARBALLS: a directory with tarballs that were fetched before (an offline machine); they are checked alike.
from_npm() {
    name=$1 version=$2 target=$3 package=$4 integrity=$5
    shift 5
    tarball=$(printf '%s' "$package" | sed 's/^@//; s|/|-|; s/@/-/').tgz
    [ -n "$integrity" ] || { echo "$name $version is not a version that this script knows the hash of" >&2; exit 1; }

    # One installation at a time; whoever waited finds it done.
    mkdir -p "$(dirname "$target")"
    exec 9>"$target.lock"
    flock 9
    if [ -d "$target" ]; then echo "$name $version is installed"; exit 0; fi

    work=$(mktemp -d "$target.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if [ -n "${CODEGEN_AGENT_TARBALLS:-}" ] && [ -f "$CODEGEN_AGENT_TARBALLS/$tarball" ]; then
        file=$CODEGEN_AGENT_TARBALLS/$tarball
    else
        command -v npm >/dev/null || { echo "npm is missing: it fetches $name (apt-get install npm, or install Node.js)" >&2; exit 1; }
        echo "fetching $name $version from npm (about 100 MB)"
        (cd "$work" && npm pack --silent "$package" 2>&1) | tail -n 3
        file=$work/$tarball
    fi
    [ -f "$file" ] || { echo "npm made no $tarball" >&2; exit 1; }
    got=$(openssl dgst -sha512 -binary "$file" | openssl base64 -A)
    [ "$got" = "$integrity" ] || { echo "$tarball: sha512 is $got, expected $integrity" >&2; exit 1; }

    mkdir "$work/unpacked" "$work/root"
    tar -xzf "$file" -C "$work/unpacked" --no-same-owner "$@"
    for part in "$@"; do
        chmod 0755 "$work/unpacked/$part"
        mv "$work/unpacked/$part" "$work/root/"
    done
    chmod 0755 "$work/root"
    mv "$work/root" "$target"
    echo "installed $name $version"
}
