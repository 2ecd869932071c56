#!/bin/sh
# Makes the server that tests provision, once: Debian with sshd and most of what the playbooks install, so that a test does not
# wait for it; rsync is left for them. Prints the image's name, codegen-test-server:<hash>, as its last line. Needs root.
set -eu
cd "$(dirname "$0")"
packages=openssh-server,python3,python3-apt,sudo,iproute2,procps,nftables,docker.io,unattended-upgrades,curl
tag=codegen-test-server:$(cat build.sh ../worker-base/build.sh | sha256sum | cut -c1-16)
there() { docker image inspect "$tag" >/dev/null 2>&1; }
if ! there; then
    # Several tests may want it at once: one makes it.
    exec 9>"${TMPDIR:-/tmp}/codegen-test-server.lock"
    flock 9
    if ! there; then
        folder=$(mktemp -d)
        trap 'rm -rf "$folder"' EXIT
        ../worker-base/build.sh bookworm "$folder/root.tar" "$packages" lists
        docker import "$folder/root.tar" "$tag" >/dev/null
    fi
fi
echo "$tag"
