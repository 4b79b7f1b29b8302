import { readFloats, readTensor } from '../safetensors/read-tensor.ts';
import { rotate } from './hadamard.ts';
import type { QuantizedLinear, SvdFactors } from './quantized-linear.ts';
import { unpackBits } from './unpack-bits.ts';

/**
 * The weight as float32, row-major [N, K], in float32 arithmetic as the `sdnq` package computes it (there a fused multiply-add for zero points,
 * so one rounding); the SVD product, whose order of summing is not fixed there, is summed in float64.
 * Source: https://github.com/Disty0/sdnq, `src/sdnq/dequantizer.py`.
 */
export async function dequantize(linear: QuantizedLinear): Promise<Float32Array> {
  const { n, k, groups, groupSize, transposed } = linear;
  const q = await readCodes(linear);
  const middle = linear.signed ? middleOf(linear) : 0;
  const scale = await readFloats(linear.scale);
  const zeroPoint = linear.zeroPoint === null ? null : await readFloats(linear.zeroPoint);
  const weight = new Float32Array(n * k);
  for (let row = 0; row < n; row++) {
    for (let group = 0; group < groups; group++) {
      const factor = scale[row * groups + group] as number;
      const offset = zeroPoint === null ? 0 : (zeroPoint[row * groups + group] as number);
      const start = group * groupSize;
      for (let column = start; column < start + groupSize; column++) {
        const stored = transposed ? column * n + row : row * k + column;
        // float64 holds the product exactly, so the store alone rounds, as in a fused multiply-add
        weight[row * k + column] = ((q[stored] as number) - middle) * factor + offset;
      }
    }
  }
  if (linear.svd !== null) await addSvd(weight, linear.svd, n, k);
  if (linear.rotation !== null) rotate(weight, linear.rotation);
  return weight;
}

/** The stored integers as 0 to 2^bits - 1, one an element, in the stored order. A signed integer is its code less the middle one. */
export async function readCodes({ bits, signed, weight }: QuantizedLinear): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readTensor(weight);
  if (bits !== 8) return unpackBits(bytes, bits);
  if (signed) for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] as number) ^ 0x80;
  return bytes;
}

/** The code of zero in a signed type. */
export function middleOf({ bits }: Pick<QuantizedLinear, 'bits'>): number {
  return 2 ** (bits - 1);
}

async function addSvd(weight: Float32Array, svd: SvdFactors, n: number, k: number): Promise<void> {
  const { rank, transposed } = svd;
  const up = transposed ? transpose(await readFloats(svd.up), rank, n) : await readFloats(svd.up); // [N, rank]
  const down = transposed ? transpose(await readFloats(svd.down), k, rank) : await readFloats(svd.down); // [rank, K]
  const sum = new Float64Array(k);
  for (let row = 0; row < n; row++) {
    sum.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = up[row * rank + r] as number;
      for (let column = 0; column < k; column++) sum[column] = (sum[column] as number) + factor * (down[r * k + column] as number);
    }
    for (let column = 0; column < k; column++) weight[row * k + column] = (weight[row * k + column] as number) + (sum[column] as number);
  }
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column] as number;
  }
  return turned;
}

/** [rows, columns] -> [columns, rows]. */
export function transposeBytes(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) out[column * rows + row] = bytes[row * columns + column] ?? 0;
  return out;
}
