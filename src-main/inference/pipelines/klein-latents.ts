import type { CompiledKlein } from '#main/lib/compiled.ts';
import type { TokenGrid } from '../klein-positions.ts';

/** Latents of klein as tokens [rows * columns, channels * patch * patch]: a token holds its patch channel by channel, each row by row. */

/** Latents [channels, patch * rows, patch * columns] -> tokens. */
export function patchifyKlein(latents: Float32Array, channels: number, grid: TokenGrid, patch: number): Float32Array {
  const tokens = new Float32Array(latents.length);
  eachValue(channels, grid, patch, (token, plain) => {
    tokens[token] = latents[plain] ?? 0;
  });
  return tokens;
}

/** The inverse of `patchifyKlein`. */
export function unpatchifyKlein(tokens: Float32Array, channels: number, grid: TokenGrid, patch: number): Float32Array {
  const latents = new Float32Array(tokens.length);
  eachValue(channels, grid, patch, (token, plain) => {
    latents[plain] = tokens[token] ?? 0;
  });
  return latents;
}

function eachValue(channels: number, { rows, columns }: TokenGrid, patch: number, visit: (token: number, plain: number) => void): void {
  let token = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let channel = 0; channel < channels; channel++) {
        for (let y = 0; y < patch; y++) {
          const start = ((channel * rows + row) * patch + y) * columns * patch + column * patch;
          for (let x = 0; x < patch; x++) visit(token++, start + x);
        }
      }
    }
  }
}

/** Planes [width, rows * columns] -> tokens [rows * columns, width], or back with `rows` and `width` exchanged. */
export function transposed(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column] ?? 0;
  return out;
}

/** Tokens as the VAE has them -> as the transformer has them. */
export function normalize(tokens: Float32Array, { means, deviations }: CompiledKlein['latentNorm']): Float32Array {
  return tokens.map((value, i) => (value - (means[i % means.length] ?? 0)) / (deviations[i % means.length] ?? 1));
}

/** The inverse of `normalize`. */
export function denormalize(tokens: Float32Array, { means, deviations }: CompiledKlein['latentNorm']): Float32Array {
  return tokens.map((value, i) => Math.fround(value * (deviations[i % means.length] ?? 1)) + (means[i % means.length] ?? 0));
}
