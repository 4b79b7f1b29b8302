#!/usr/bin/env bash
# Installs what the tests need, runs all checks and tests, and ends with one line: N passed, N failed[, N skipped]
set -uo pipefail
unset CDPATH
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cd "$root"
source scripts/prepare.sh

install_dependencies
find_node
export PATH="$root/node_modules/.bin:$PATH"

# Only some tests need these: a browser, a display, a tracer. Tests that lack one skip and say why.
install_debian_packages() {
  command -v apt-get >/dev/null || return 0
  local wanted=() as_root=()
  command -v chromium >/dev/null || wanted+=(chromium)
  command -v Xvfb >/dev/null || wanted+=(xvfb xauth)
  command -v unzip >/dev/null || wanted+=(unzip)
  command -v strace >/dev/null || wanted+=(strace)
  [ ${#wanted[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  say "Installing Debian packages for the tests: ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get install -y --no-install-recommends "${wanted[@]}"; } </dev/null >/dev/null 2>&1; then
    say "They could not be installed; the tests that need them are skipped."
  fi
}
install_debian_packages

passed=0 failed=0 skipped=0

check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1 </dev/null); then
    passed=$((passed + 1))
    echo "ok: $name"
  else
    failed=$((failed + 1))
    printf '%s\nFAILED: %s\n' "$output" "$name"
  fi
}

# while a server runs from out/, the tests use its build
if is_built && is_served; then check build true; else check build build; fi
check types npm run --silent typecheck
check lint npm run --silent lint
check 'import rules' npm run --silent depcruise
check 'dead code' npm run --silent knip

log=$(mktemp)
trap 'rm -f "$log"' EXIT
vitest run </dev/null 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
tally=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
if [[ $tally =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
  passed=$((passed + BASH_REMATCH[1])) skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
  # a run that fails without a failed test, such as a crash at its end, counts as one failure
  failed=$((failed + (BASH_REMATCH[2] == 0 && status != 0 ? 1 : BASH_REMATCH[2])))
else
  failed=$((failed + 1))
  echo 'FAILED: the test run ended before its closing line'
fi

echo "$passed passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
[ "$failed" -eq 0 ]
