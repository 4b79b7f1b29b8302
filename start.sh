#!/usr/bin/env bash
# Installs and builds what is missing, then serves: bash start.sh [--port N] [--help]
set -euo pipefail
unset CDPATH
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
source "$root/scripts/prepare.sh"
end_with_signals

install_dependencies
find_node
if ! is_built; then
  # an older build can still print the options
  case " $* " in *' --help '* | *' -h '*) [ -f "$root/out/main/headless.js" ] && is_served && exec "$node" "$root/out/main/headless.js" --help ;; esac
  build || die 'The build failed; see the messages above.'
fi
# a small young generation keeps 100 MB less garbage and is not slower
exec "$node" --max-semi-space-size=4 "$root/out/main/headless.js" "$@"
