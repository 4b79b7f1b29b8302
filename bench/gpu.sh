#!/usr/bin/env bash
# bash bench/gpu.sh [--cpu] [--card N] [--checkpoint DIR] [--libraries DIR] [--python FILE] [--no-peer]
#
# The first thing to run on an NVIDIA card, without network and in less than ten minutes. In this order, so that what is simple fails first:
#   1. every GPU form of the bundled checkpoint's graphs is compiled and loaded on the card
#   2. the probe runs every operator in bfloat16, float16 and float32
#   3. one image of the bundled checkpoint is compared with the CPU's
#   4. a checkpoint of the true sizes with random weights (6.6 GB): images of 1024 x 1024, and a denoising step beside the time that its floating point
#      operations would take at the rate of PyTorch's matrix product on this card; the same with diffusers and sdnq on PyTorch
#   5. peak memory, and the versions of the pack
# Results go to bench/results/gpu.json, and all output to .cache/gpu.log, which `npm run doctor -- --report` puts into one file for a bug report.
#
#   --cpu            the same with the bundled checkpoint at 256 x 256 on the CPU: a trial of this script without results
#   --card N         another card than the first
#   --checkpoint DIR where the random checkpoint is kept for later runs (.cache/fullsize/uint4); with --cpu, a checkpoint other than the bundled one
#   --libraries DIR  ONNX Runtime's CUDA provider and NVIDIA's libraries in one folder; without it the CUDA pack of data/, and without that one
#                    a folder made of bench/.carry/ (libonnxruntime_providers_*.so of our version of ONNX Runtime) and Python's nvidia packages
#   --python FILE    a Python with torch, diffusers 0.42.1 and sdnq 0.2.8 (bench/peers/.venv/torch, else python3)
#   --no-peer        without PyTorch: no peer and no rate, only our times
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

node=node_modules/.bin/node
[ -x "$node" ] || node=$(command -v node || true)
[ -n "$node" ] || { echo 'Node.js was not found: run npm ci, or put node on the PATH' >&2; exit 1; }

python=bench/peers/.venv/torch/bin/python
[ -x "$python" ] || python=$(command -v python3 || true)
libraries='' peer=yes device=cuda
arguments=("$@")
for ((i = 0; i < ${#arguments[@]}; i++)); do
  case ${arguments[i]} in
    --help | -h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    --python) python=${arguments[i + 1]:-} ;;
    --libraries) libraries=${arguments[i + 1]:-} ;;
    --cpu) device=cpu ;;
    --no-peer) peer=no ;;
  esac
done

# one flat folder, because ONNX Runtime looks for its providers beside itself
assemble() {
  local into=.cache/gpu-libraries file
  compgen -G 'bench/.carry/libonnxruntime_providers_*.so' >/dev/null || return 0
  rm -rf "$into" && mkdir -p "$into"
  cp bench/.carry/libonnxruntime_providers_*.so node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1 "$into/"
  "$python" -c 'import nvidia; print("\n".join(nvidia.__path__))' | while read -r root; do
    find "$root" -name '*.so*' -path '*/lib/*' | while read -r file; do ln -sf "$file" "$into/"; done
  done
  echo "$into"
}

if [ "$device" = cuda ] && [ -z "$libraries" ]; then
  made=$(assemble)
  [ -z "$made" ] || arguments+=(--libraries "$made")
fi
# a wheel is a zip archive of packages
if [ "$peer" = yes ] && compgen -G 'bench/.carry/*.whl' >/dev/null; then
  for wheel in bench/.carry/*.whl; do "$python" -m zipfile -e "$wheel" .cache/gpu-python; done
  export PYTHONPATH="$PWD/.cache/gpu-python${PYTHONPATH:+:$PYTHONPATH}"
fi
if [ "$peer" = yes ]; then
  [ -n "$python" ] || { echo 'Python was not found: name one with --python, or use --no-peer' >&2; exit 1; }
  arguments+=(--python "$python")
fi
mkdir -p .cache
"$node" bench/gpu.ts ${arguments[@]+"${arguments[@]}"} 2>&1 | tee .cache/gpu.log
