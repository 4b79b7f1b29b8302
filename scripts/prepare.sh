# Sourced by start.sh and test.sh, which set `root`: shared preparation before our programs can run.

# set by a foreign parent process; Node.js would act as its child
unset NODE_UNIQUE_ID NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Exits at once on a signal, also as process 1 of a container, which Linux would otherwise protect from signals.
end_with_signals() {
  trap 'stop 143' TERM
  trap 'stop 130' INT
  trap 'stop 129' HUP
}
stop() {
  trap - TERM INT HUP
  [ -z "${child:-}" ] || kill "$child" 2>/dev/null
  exit "$1"
}
# Runs a function in a subshell, so that the traps above can interrupt it. The function ends with exec, so the signal reaches the program that it starts.
interruptible() {
  "$@" &
  child=$!
  local status=0
  wait "$child" || status=$?
  child=
  return $status
}

lock_hash() { sha256sum "$root/package-lock.json" 2>/dev/null || shasum -a 256 "$root/package-lock.json"; }

# The build tools: npm omits them if NODE_ENV or its settings say so.
has_tools() { [ -f "$root/node_modules/electron-vite/bin/electron-vite.js" ] && [ -d "$root/node_modules/vite" ]; }

# True if node_modules matches package-lock.json: our stamp names this lock, or npm installed after the last change of the lock.
is_installed() {
  local stamp="$root/node_modules/.installed-lock" hidden="$root/node_modules/.package-lock.json"
  has_tools || return 1
  if [ -f "$stamp" ]; then
    [ "$(cat "$stamp")" = "$(lock_hash | cut -c1-64)" ]
  else
    [ -f "$hidden" ] && [ ! "$root/package-lock.json" -nt "$hidden" ]
  fi
}

# Install scripts stay off: no package here needs one, and some would download from elsewhere. The other options override npm's configuration.
npm_ci() {
  cd "$root" && NODE_ENV= exec npm ci --ignore-scripts --no-audit --no-fund --include=dev --include=optional --global=false --dry-run=false \
    --package-lock=true --bin-links=true </dev/null >"$1" 2>&1
}

install_dependencies() {
  is_installed && return
  npm --version >/dev/null 2>&1 || die "npm does not work here, and the packages this program needs are not installed yet. Install Node.js 20.18 or newer with npm$(node_options_hint), then run this again."
  say 'Installing packages (npm ci; about a minute, about 1 GB, only this once)'
  local log
  log=$(mktemp 2>/dev/null) || log="$root/npm-ci.log"
  if ! interruptible npm_ci "$log"; then
    tail -n 15 "$log" >&2
    die "The packages could not be installed (npm's last lines are above, all of them are in $log). Check the network and the free disk space, then run this again."
  fi
  has_tools || die "npm left the build tools out; its messages are in $log. Run: npm ci --include=dev"
  rm -f "$log"
  lock_hash | cut -c1-64 >"$root/node_modules/.installed-lock"
}

node_options_hint() { [ -z "${NODE_OPTIONS:-}" ] || printf ', or unset NODE_OPTIONS (it is "%s")' "$NODE_OPTIONS"; }

# Sets `node` to the Node.js in node_modules, else to the one on the PATH if it is new enough.
find_node() {
  node="$root/node_modules/.bin/node"
  if ! [ -x "$node" ] || ! NODE_OPTIONS= "$node" --version >/dev/null 2>&1; then
    node=$(command -v node) || die 'Node.js was not found. Install Node.js 24, then run this again.'
    NODE_OPTIONS= "$node" -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 22 || (major === 22 && minor >= 12) ? 0 : 1)' ||
      die "$node is Node.js $(NODE_OPTIONS= "$node" --version), which is too old. Install version 22.12 or newer; 24 is best."
  fi
  [ -z "${NODE_OPTIONS:-}" ] || "$node" -e 0 2>/dev/null ||
    die "Node.js does not start with NODE_OPTIONS, which is \"$NODE_OPTIONS\": $("$node" -e 0 2>&1 | grep -v '^$' | head -n 1). Unset or correct it, then run this again."
}

# True while a server runs from the build.
is_served() { ! "$node" "$root/scripts/assert-not-served.mjs" 2>/dev/null; }

build() {
  local started="$root/out/.build-started"
  "$node" "$root/scripts/assert-not-served.mjs" || return 1
  say 'Building'
  mkdir -p "$root/out"
  touch "$started" # a source changed while it builds must count as newer than the build
  interruptible run_builder || return 1
  mv "$started" "$root/out/.built"
}
run_builder() {
  cd "$root" && NODE_ENV=production exec "$node" node_modules/electron-vite/bin/electron-vite.js build --logLevel warn </dev/null >&2
}

is_built() {
  local sources=(src-main src-shared src-renderer clients docs/images/storybook.png THIRD-PARTY.md package.json package-lock.json electron.vite.config.ts)
  [ -f "$root/out/.built" ] && [ -z "$(cd "$root" && find "${sources[@]}" -newer out/.built ! -name '*.test.ts' -print -quit)" ]
}
