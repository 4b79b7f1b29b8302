import { AppError } from '#shared/protocol/errors.ts';
import type { Rotation } from './quantization-config.ts';

/** Each group of `group` values of a row is multiplied by a Hadamard matrix, which is symmetric and its own inverse. */
export interface HadamardRotation {
  group: number;
  /** The matrix is a Kronecker power of this one, [2, 2] or [4, 4], over the root of `group`. */
  base: readonly (readonly number[])[];
}

/** Smaller groups are not rotated. */
const SMALLEST_GROUP = 4;
const sylvester = [
  [1, 1],
  [1, -1],
];
const fourByFour = [
  [1, 1, 1, -1],
  [1, 1, -1, 1],
  [1, -1, 1, 1],
  [-1, 1, 1, 1],
];

/**
 * The rotation of rows of `k` values, or null where `k` has no group that is large enough.
 * Throws `checkpoint_unsupported` where the config at `path` does not say which of two matrices was used.
 * Source: https://github.com/Disty0/sdnq, `src/sdnq/quant_utils.py`.
 */
export function hadamardRotation(k: number, { largestGroup, usesFourByFour }: Rotation, path: string): HadamardRotation | null {
  let group = 2 ** Math.ceil(Math.log2(Math.min(k, largestGroup)));
  while (k % group !== 0) group /= 2;
  if (group < SMALLEST_GROUP) return null;
  const isPowerOfFour = Number.isInteger(Math.log2(group) / 2);
  if (isPowerOfFour && usesFourByFour === null) {
    throw new AppError('checkpoint_unsupported', `${path}: use_hadamard with groups of ${group} needs a sdnq_version: two versions rotate differently.`, {
      path,
    });
  }
  return { group, base: isPowerOfFour && usesFourByFour ? fourByFour : sylvester };
}

/** Rotates `values`, group after group, in place: one pass for each factor of the Kronecker power. */
export function rotate(values: Float32Array, { group, base }: HadamardRotation): void {
  const side = base.length;
  const inputs = new Float64Array(side);
  const rotated = new Float64Array(group);
  const factor = 1 / Math.sqrt(group);
  for (let start = 0; start < values.length; start += group) {
    for (let i = 0; i < group; i++) rotated[i] = (values[start + i] as number) * factor;
    for (let stride = 1; stride < group; stride *= side) {
      for (let first = 0; first < group; first++) {
        if (Math.floor(first / stride) % side !== 0) continue;
        for (let i = 0; i < side; i++) inputs[i] = rotated[first + i * stride] as number;
        for (let i = 0; i < side; i++) {
          const signs = base[i] as readonly number[];
          let sum = 0;
          for (let j = 0; j < side; j++) sum += (signs[j] as number) * (inputs[j] as number);
          rotated[first + i * stride] = sum;
        }
      }
    }
    values.set(rotated, start);
  }
}

/** The matrix itself, [group, group]. */
export function hadamardMatrix(rotation: HadamardRotation): Float32Array {
  const { group } = rotation;
  const matrix = new Float32Array(group * group);
  for (let i = 0; i < group; i++) matrix[i * group + i] = 1;
  rotate(matrix, rotation);
  return matrix;
}
