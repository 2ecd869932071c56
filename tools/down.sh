#!/usr/bin/env bash
# `make down`: stops the control plane of the state directory. Running workers are kept and adopted at the next start.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/control_plane.sh
. tools/control_plane.sh
lock=$(control_plane_state)/orchestratord.lock
pid=$(cat "$lock" 2>/dev/null || true)
if [ -z "$pid" ] || ! [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = orchestratord ]; then
    echo "no control plane runs on $(control_plane_state)"
    exit 0
fi
kill "$pid"
for _ in $(seq 600); do
    kill -0 "$pid" 2>/dev/null || { echo "==> stopped"; exit 0; }
    sleep 0.05
done
echo "orchestratord (pid $pid) did not stop within 30 s" >&2
exit 1
