#!/usr/bin/env bash
# bash bench/peers/setup.sh [PEER ...]: makes bench/peers/.venv/PEER from bench/peers/PEER/requirements.txt, or for all peers by default.
# Does nothing for an installed peer with the same requirements. Needs Python 3.10 or newer and, the first time, the network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

peers=("$@")
[ ${#peers[@]} -gt 0 ] || peers=(*/)
for peer in "${peers[@]%/}"; do
  [ -f "$peer/requirements.txt" ] || { echo "there is no peer $peer: $(echo */)" >&2; exit 2; }
  venv=".venv/$peer"
  cmp -s "$peer/requirements.txt" "$venv/installed.txt" && continue
  command -v python3 >/dev/null || { echo 'python3 was not found: install Python 3.10 or newer with its venv module' >&2; exit 1; }
  echo "installing the peer $peer" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$peer/requirements.txt"
  cp "$peer/requirements.txt" "$venv/installed.txt"
done
