#!/usr/bin/env bash
# `make up`: builds, starts the control plane and leaves it running. RUNTIME=docker|sandbox chooses the workers' bodies.
set -euo pipefail
cd "$(dirname "$0")/.."
runtime=${CODEGEN_RUN_RUNTIME:-}
tools/install_packages.sh run
tools/copier.sh
tools/build.sh
[ "$runtime" != docker ] || tools/docker_engine.sh start
# shellcheck source=tools/control_plane.sh
. tools/control_plane.sh
control_plane_start ${runtime:+--runtime "$runtime"} --api-address "${API_ADDRESS:-127.0.0.1:8000}"
[ "$control_plane_started" = yes ] && disown
echo "==> running. Try: build/bin/orchestrator project list     Stop it with: make down"
