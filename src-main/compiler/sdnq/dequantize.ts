import { readFloats, readTensor } from '../safetensors/read-tensor.ts';
import type { QuantizedLinear, SvdFactors } from './quantized-linear.ts';

/**
 * The weight as float32, row-major [N, K], in float32 arithmetic as the `sdnq` package computes it (there a fused multiply-add for zero points,
 * so one rounding); the SVD product, whose order of summing is not fixed there, is summed in float64.
 * Source: https://github.com/Disty0/sdnq, `src/sdnq/dequantizer.py`.
 */
export async function dequantize(linear: QuantizedLinear): Promise<Float32Array> {
  const { n, k, groups, groupSize, transposed } = linear;
  const q = await readIntegers(linear);
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
        weight[row * k + column] = (q[stored] as number) * factor + offset;
      }
    }
  }
  if (linear.svd !== null) await addSvd(weight, linear.svd, n, k);
  return weight;
}

/** The stored integers, one an element, in the stored order. */
async function readIntegers({ bits, weight }: QuantizedLinear): Promise<Int8Array | Uint8Array> {
  const bytes = await readTensor(weight);
  if (bits === 8) return new Int8Array(bytes.buffer);
  const q = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    q[2 * i] = byte & 15;
    q[2 * i + 1] = byte >> 4;
  }
  return q;
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
