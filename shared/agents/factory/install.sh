#!/bin/sh
# Factory Droid: install.sh VERSION TARGET_DIRECTORY
set -eu
case $1 in
0.215.0) integrity=e2dUrVvT3mSKrvJTpYtJk6fM6tf51nXh+bjS5rbC9FaZhWNCTV7q3UpZpopzsGYPSJL/dBEG+qhevzGPWL0ZjQ== ;;
*) integrity= ;;
esac
# shellcheck source=shared/agents/from_npm.sh
. "$(dirname "$0")/../from_npm.sh"
from_npm factory "$1" "$2" "@factory/cli-linux-x64@$1" "$integrity" package/bin/droid
