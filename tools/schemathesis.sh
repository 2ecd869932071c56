#!/usr/bin/env bash
# Installs schemathesis (from PyPI, pinned by tools/schemathesis/requirements.txt) into build/schemathesis, once.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=tools/schemathesis/requirements.txt
cmp -s "$wanted" build/schemathesis/requirements.txt && exit 0
rm -rf build/schemathesis
mkdir -p build
/usr/bin/python3 -m venv build/schemathesis
build/schemathesis/bin/pip install --quiet --disable-pip-version-check --retries 5 -r "$wanted"
cp "$wanted" build/schemathesis/requirements.txt
