#!/usr/bin/env bash
# bash bench/gpu-bundle.sh [--capability 90] [--pack DIR] [--part-mib 40]
#
# Packs everything that bench/gpu.sh needs on a machine without network, except Python with PyTorch, transformers and NVIDIA's own libraries:
# Node.js, the program with its dependencies, ONNX Runtime's CUDA provider reduced to one compute capability, and the wheels of diffusers and
# sdnq. Writes parts of a limited size to .cache/gpu-bundle/. On the other machine: cat part.* | tar xJ && bash bench/gpu.sh
# The CUDA pack must be installed (npm run cuda -- install), or be named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

capability=90 pack='' mib=40
while [ $# -gt 0 ]; do
  case $1 in
    --capability) capability=$2 ;;
    --pack) pack=$2 ;;
    --part-mib) mib=$2 ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
  shift 2
done
if [ -z "$pack" ]; then
  for folder in data/cuda/*/; do [ -f "$folder/manifest.json" ] && pack=$folder; done
fi
[ -f "$pack/libonnxruntime_providers_cuda.so" ] || { echo 'no CUDA pack found: run npm run cuda -- install, or name its folder with --pack' >&2; exit 1; }

into=.cache/gpu-bundle
rm -rf "$into" && mkdir -p "$into/tree/bench/.carry"
python3 bench/thin-provider.py "$pack/libonnxruntime_providers_cuda.so" "$into/tree/bench/.carry/libonnxruntime_providers_cuda.so" "$capability"
cp "$pack/libonnxruntime_providers_shared.so" "$into/tree/bench/.carry/"

python3 -m pip download --quiet --no-deps --dest "$into/tree/bench/.carry" $(grep -E '^(diffusers|sdnq)==' bench/peers/torch/requirements.txt)

resources=resources/models/storybook-uint4
modules=node_modules
system=$(node -p '`${process.platform}-${process.arch}`')
tar c --dereference --exclude '*.test.ts' --exclude '*.safetensors' --exclude 'bench/results' --exclude 'bench/peers/.venv' --exclude 'bench/.carry' \
  --exclude "$modules/zod/src" --exclude 'musl_*' \
  package.json src-main src-shared bench "$resources" \
  "$modules"/{zod,koffi,onnxruntime-common,undici} "$modules"/@koromix/koffi-"$system" "$modules"/@huggingface/{tokenizers,jinja} \
  "$modules"/onnxruntime-node/{package.json,dist,lib} "$modules/onnxruntime-node/bin/napi-v6/${system/-//}" "$modules/node-$system/bin/node" |
  tar x -C "$into/tree"
mkdir -p "$into/tree/$modules/.bin" && ln -s "../node-$system/bin/node" "$into/tree/$modules/.bin/node"

tar c -C "$into/tree" . | xz -T0 -6 | split -b "${mib}MiB" -d - "$into/part."
rm -rf "$into/tree"
ls -l "$into"
