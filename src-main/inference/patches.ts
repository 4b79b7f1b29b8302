/** Latents [channels, height, width] as tokens [height / patch * width / patch, patch * patch * channels], each patch in the order row, column, channel. */
export function patchify(latents: Float32Array, channels: number, height: number, width: number, patch: number): Float32Array {
  const out = new Float32Array(latents.length);
  eachPatchElement(channels, height, width, patch, (token, plain) => {
    out[token] = latents[plain] ?? 0;
  });
  return out;
}

/** The inverse of `patchify`. */
export function unpatchify(tokens: Float32Array, channels: number, height: number, width: number, patch: number): Float32Array {
  const out = new Float32Array(channels * height * width);
  eachPatchElement(channels, height, width, patch, (token, plain) => {
    out[plain] = tokens[token] ?? 0;
  });
  return out;
}

function eachPatchElement(channels: number, height: number, width: number, patch: number, visit: (token: number, plain: number) => void): void {
  let token = 0;
  for (let top = 0; top < height; top += patch) {
    for (let left = 0; left < width; left += patch) {
      for (let y = top; y < top + patch; y++) {
        for (let x = left; x < left + patch; x++) {
          for (let channel = 0; channel < channels; channel++) visit(token++, (channel * height + y) * width + x);
        }
      }
    }
  }
}
