#!/bin/sh
# Fetches the claude program of one pinned version from npm.
#   install.sh VERSION TARGET_DIRECTORY
# The tarball must have the hash below. TARGET_DIRECTORY appears whole or not at all; safe to run at the same time.
# CODEGEN_AGENT_TARBALLS: a directory with tarballs that were fetched before (an offline machine); they are checked alike.
set -eu
version=$1
target=$2
package=@anthropic-ai/claude-code-linux-x64
tarball=anthropic-ai-claude-code-linux-x64-$version.tgz
case $version in
2.1.197) integrity=rIlKmrY0QMyHgPRX/MYWNj039vbypICvI9jVe3rs9Xy2RnNklySjyPxqh62QadznzoftEO23uYQ1tFePcQ//bg== ;;
*) echo "claude $version is not a version that this script knows the hash of" >&2; exit 1 ;;
esac

# One installation at a time; whoever waited finds it done.
mkdir -p "$(dirname "$target")"
exec 9>"$target.lock"
flock 9
if [ -x "$target/claude" ]; then echo "claude $version is installed"; exit 0; fi

work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ -n "${CODEGEN_AGENT_TARBALLS:-}" ] && [ -f "$CODEGEN_AGENT_TARBALLS/$tarball" ]; then
    file=$CODEGEN_AGENT_TARBALLS/$tarball
else
    command -v npm >/dev/null || { echo "npm is missing: it fetches claude (apt-get install npm, or install Node.js)" >&2; exit 1; }
    echo "fetching claude $version from npm (77 MB)"
    (cd "$work" && npm pack --silent "$package@$version" 2>&1) | tail -n 3
    file=$work/$tarball
fi
[ -f "$file" ] || { echo "npm made no $tarball" >&2; exit 1; }
got=$(openssl dgst -sha512 -binary "$file" | openssl base64 -A)
[ "$got" = "$integrity" ] || { echo "$tarball: sha512 is $got, expected $integrity" >&2; exit 1; }

mkdir "$work/root"
tar -xzf "$file" -C "$work/root" package/claude
chmod 0755 "$work/root" "$work/root/package" "$work/root/package/claude"
rm -rf "$target"
mv "$work/root/package" "$target"
echo "installed claude $version"
