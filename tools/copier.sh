#!/usr/bin/env bash
# Installs Copier (from PyPI, pinned by tools/copier/requirements.txt) into build/copier, once: the scaffolder runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=tools/copier/requirements.txt
cmp -s "$wanted" build/copier/requirements.txt && exit 0
if [ -d build ] && [ ! -w build ]; then
    [ ! -x build/copier/bin/python ] || exit 0   # another version: it is what is there
    echo "Copier is missing and build/ is not writable for you: run tools/copier.sh as its owner" >&2
    exit 1
fi
echo "==> installing Copier (tools/copier/requirements.txt) into build/copier"
rm -rf build/copier
mkdir -p build
/usr/bin/python3 -m venv build/copier
build/copier/bin/pip install --quiet --disable-pip-version-check --retries 5 -r "$wanted"
build/copier/bin/python -m compileall -q build/copier/lib >/dev/null || true   # those who may not write there start as fast
cp "$wanted" build/copier/requirements.txt
