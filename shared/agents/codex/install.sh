#!/bin/sh
# Codex: install.sh VERSION TARGET_DIRECTORY
# Its newer models work through a second program, which it looks for beside itself: without that they have no tools.
set -eu
case $1 in
0.169.0) integrity=o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww== ;;
*) integrity= ;;
esac
folder=package/vendor/x86_64-unknown-linux-musl/bin
# shellcheck source=shared/agents/from_npm.sh
. "$(dirname "$0")/../from_npm.sh"
from_npm codex "$1" "$2" "@openai/codex@$1-linux-x64" "$integrity" $folder/codex $folder/codex-code-mode-host
