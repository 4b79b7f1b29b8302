# Sourced by start.sh and test.sh, which set `root`: what both need before anything of ours can run.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

lock_hash() { sha256sum "$root/package-lock.json" 2>/dev/null || shasum -a 256 "$root/package-lock.json"; }

# True when node_modules is what package-lock.json says: our stamp names this lock, or npm itself installed after the lock was last changed.
is_installed() {
  local stamp="$root/node_modules/.installed-lock" hidden="$root/node_modules/.package-lock.json"
  if [ -f "$stamp" ]; then
    [ "$(cat "$stamp")" = "$(lock_hash | cut -c1-64)" ]
  else
    [ -f "$hidden" ] && [ ! "$root/package-lock.json" -nt "$hidden" ]
  fi
}

install_dependencies() {
  is_installed && return
  npm --version >/dev/null 2>&1 || die 'npm was not found, and the packages this program needs are not installed yet: install Node.js 20.18 or newer with npm, then run this again.'
  say 'installing packages (npm ci; about a minute, about 1 GB, only this once)'
  local log
  log=$(mktemp)
  # install scripts stay off: no package here needs one, and some would download from elsewhere
  if ! (cd "$root" && npm ci --ignore-scripts --no-audit --no-fund </dev/null >"$log" 2>&1); then
    tail -n 15 "$log" >&2
    die "the packages could not be installed (npm's last words are above, all of them are in $log): check the network and the free disk space, then run this again."
  fi
  rm -f "$log"
  lock_hash | cut -c1-64 >"$root/node_modules/.installed-lock"
}

# Sets `node` to the Node.js that comes with the packages, else to the one on the PATH if it is new enough.
find_node() {
  node="$root/node_modules/.bin/node"
  [ -x "$node" ] && "$node" --version >/dev/null 2>&1 && return
  node=$(command -v node) || die 'no Node.js was found: install Node.js 24, then run this again.'
  "$node" -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 22 || (major === 22 && minor >= 12) ? 0 : 1)' ||
    die "the Node.js found at $node is $("$node" --version), which is too old: version 22.12 or newer is needed, best is 24."
}

build() {
  local started="$root/out/.build-started"
  say 'building'
  mkdir -p "$root/out"
  touch "$started" # a source changed while it builds must count as newer than the build
  (cd "$root" && NODE_ENV=production "$node" node_modules/electron-vite/bin/electron-vite.js build --logLevel warn </dev/null >&2) || return 1
  mv "$started" "$root/out/.built"
}

is_built() {
  local sources=(src-main src-shared src-renderer package.json package-lock.json electron.vite.config.ts)
  [ -f "$root/out/.built" ] && [ -z "$(cd "$root" && find "${sources[@]}" -newer out/.built ! -name '*.test.ts' -print -quit)" ]
}
