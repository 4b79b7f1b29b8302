import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { needsSharedFolder, sharedPath } from '../../../tests/support/shared-folder.ts';
import { openCheckpointTensors, requireTensor } from '../safetensors/open-checkpoint-tensors.ts';
import { openSafetensors } from '../safetensors/open-safetensors.ts';
import { readFloats } from '../safetensors/read-tensor.ts';
import { dequantize } from './dequantize.ts';
import { hadamardMatrix, hadamardRotation, rotate } from './hadamard.ts';
import { loadQuantizationConfig, parseQuantizationConfig } from './quantization-config.ts';
import { describeQuantizedLinear, type QuantizedLinear } from './quantized-linear.ts';

// written by tests/fixtures/sdnq/make.py with the sdnq package
const fixtures = join(import.meta.dirname, '../../../tests/fixtures/sdnq');
const configs = z.record(z.string(), z.unknown()).parse(await readJsonFile(join(fixtures, 'configs.json')));

async function fixture(name: string): Promise<{ linear: QuantizedLinear; expected: Float32Array; plain: Float32Array }> {
  const table = await openCheckpointTensors(fixtures, name);
  const linear = describeQuantizedLinear(table, 'X', parseQuantizationConfig(configs[name], name));
  if (linear === null) throw new Error(`${name} is quantized`);
  return { linear, expected: await readFloats(requireTensor(table, 'expected')), plain: await readFloats(requireTensor(table, 'expected.plain')) };
}

const layouts: [string, Partial<QuantizedLinear>, { rank: number; transposed: boolean } | null][] = [
  ['uint4-groups', { bits: 4, n: 32, k: 48, groups: 3, groupSize: 16, transposed: false }, null],
  ['uint4-row', { bits: 4, n: 32, k: 48, groups: 1, groupSize: 48, transposed: false }, null],
  ['uint4-svd', { bits: 4, n: 32, k: 48, groups: 3, groupSize: 16, transposed: false }, { rank: 4, transposed: false }],
  ['uint4-svd-bfloat16', { bits: 4, n: 32, k: 48, groups: 3, groupSize: 16, transposed: false }, { rank: 4, transposed: false }],
  ['uint4-svd-matmul', { bits: 4, n: 32, k: 48, groups: 3, groupSize: 16, transposed: false }, { rank: 4, transposed: true }],
  ['int8-row', { bits: 8, n: 32, k: 48, groups: 1, groupSize: 48, transposed: false }, null],
  ['int8-groups', { bits: 8, n: 32, k: 48, groups: 3, groupSize: 16, transposed: false }, null],
  ['int8-uneven-groups', { bits: 8, n: 40, k: 48, groups: 2, groupSize: 24, transposed: false }, null],
  ['int8-matmul', { bits: 8, n: 32, k: 48, groups: 1, groupSize: 48, transposed: true }, null],
  ['int8-matmul-square', { bits: 8, n: 32, k: 32, groups: 1, groupSize: 32, transposed: true }, null],
  ['int8-svd-matmul', { bits: 8, n: 32, k: 48, groups: 1, groupSize: 48, transposed: true }, { rank: 4, transposed: true }],
  ['int8-svd-matmul-groups', { bits: 8, n: 32, k: 48, groups: 3, groupSize: 16, transposed: false }, { rank: 4, transposed: true }],
];

test.each(layouts)('%s is described as sdnq stores it', async (name, layout, svd) => {
  const { linear } = await fixture(name);
  expect(linear).toMatchObject(layout);
  expect(linear.zeroPoint === null).toBe(linear.signed);
  if (svd === null) expect(linear.svd).toBeNull();
  else expect(linear.svd).toMatchObject(svd);
});

test.each(layouts)('%s without its SVD product is bit for bit what sdnq reads', async (name) => {
  const { linear, plain } = await fixture(name);
  expect(await dequantize({ ...linear, svd: null })).toEqual(plain);
});

test.each(layouts)('%s with its SVD product is what sdnq reads, but for the order of summing', async (name) => {
  const { linear, expected } = await fixture(name);
  const ours = await dequantize(linear);
  const largest = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...ours.map((value, i) => Math.abs(value - (expected[i] as number))));
  expect(worst / largest).toBeLessThan(1e-6);
  if (linear.svd !== null) expect(ours).not.toEqual(await dequantize({ ...linear, svd: null }));
});

const packedTypes = [4, 5, 6, 7, 8].flatMap((bits) => [`int${bits}`, `uint${bits}`]).flatMap((type) => [0, 16].map((group) => [type, group] as const));

test.skipIf(!existsSync(sharedPath())).each(packedTypes)('%s in groups of %d (0: one a row) is what sdnq reads', async (type, group) => {
  const path = sharedPath('goldens/packed-types.expected.safetensors');
  const stem = `${type}.g${group}`;
  const table = { ...(await openSafetensors(path)), dir: path, files: [path] };
  const linear = describeQuantizedLinear(table, stem, parseQuantizationConfig({ quant_method: 'sdnq', weights_dtype: type }, path));
  if (linear === null) throw new Error(`${stem} is quantized`);
  const expected = await readFloats(requireTensor(table, `${stem}.expected`));
  const ours = await dequantize(linear);
  if (linear.signed) expect(ours).toEqual(expected);
  // made with a product and a sum, which is one rounding more than a fused multiply-add
  else for (const [i, value] of ours.entries()) expect(Math.abs(value - (expected[i] as number))).toBeLessThan(1e-6);
});

test.each([
  [128, 128, 128],
  [192, 128, 64],
  [512, 256, 256],
  [12, 128, 4],
])('rows of %d are rotated in groups of at most %d by %d, and back by rotating again', (k, largestGroup, group) => {
  const rotation = hadamardRotation(k, { largestGroup, usesFourByFour: true }, 'config.json');
  if (rotation === null) throw new Error('it is rotated');
  expect(rotation.group).toBe(group);
  const values = Float32Array.from({ length: 2 * k }, (_, i) => Math.sin(i * i));
  const twice = values.slice();
  rotate(twice, rotation);
  expect(twice).not.toEqual(values);
  rotate(twice, rotation);
  for (const [i, value] of twice.entries()) expect(value).toBeCloseTo(values[i] as number, 5);
  const matrix = hadamardMatrix(rotation);
  for (const entry of matrix) expect(Math.abs(entry)).toBeCloseTo(1 / Math.sqrt(group), 6);
});

test('every quantized linear of the checkpoints beside the repository is, SVD aside, bit for bit what sdnq reads', async (context) => {
  needsSharedFolder(context);
  const expected = z.record(z.string(), z.string()).parse(await readJsonFile(join(fixtures, 'checkpoints.json')));
  const hashes: Record<string, string> = {};
  for (const folder of Object.keys(expected)) {
    const dir = sharedPath(folder);
    const table = await openCheckpointTensors(dir, folder.endsWith('text_encoder') ? 'model' : 'diffusion_pytorch_model');
    const config = await loadQuantizationConfig(dir);
    const hash = createHash('sha256');
    for (const name of [...table.tensors.keys()].filter((key) => key.endsWith('.weight')).sort()) {
      const linear = describeQuantizedLinear(table, name.slice(0, -'.weight'.length), config);
      if (linear !== null) hash.update(new Uint8Array((await dequantize({ ...linear, svd: null })).buffer));
    }
    hashes[folder] = hash.digest('hex');
  }
  expect(hashes).toEqual(expected);
});
