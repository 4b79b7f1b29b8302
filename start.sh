#!/usr/bin/env bash
# Installs and builds what is missing, then serves: bash start.sh [--port N] [--help]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$root/scripts/prepare.sh"

install_dependencies
find_node
is_built || build || die 'the build failed: what it said is above.'
# a small young generation: the server then keeps 100 MB less of what it has thrown away, and is no slower
exec "$node" --max-semi-space-size=4 "$root/out/main/headless.js" "$@"
