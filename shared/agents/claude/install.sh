#!/bin/sh
# Claude Code: install.sh VERSION TARGET_DIRECTORY
set -eu
case $1 in
2.1.197) integrity=rIlKmrY0QMyHgPRX/MYWNj039vbypICvI9jVe3rs9Xy2RnNklySjyPxqh62QadznzoftEO23uYQ1tFePcQ//bg== ;;
*) integrity= ;;
esac
# shellcheck source=shared/agents/from_npm.sh
. "$(dirname "$0")/../from_npm.sh"
from_npm claude "$1" "$2" "@anthropic-ai/claude-code-linux-x64@$1" "$integrity" package/claude
