import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadQuantizationConfig } from './quantization-config.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quantization-'));
});
afterEach(() => rm(dir, { recursive: true }));

const uint4 = { quant_method: 'sdnq', weights_dtype: 'uint4' };

async function load(config: unknown, beside?: unknown) {
  await writeFile(join(dir, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  if (beside !== undefined) await writeFile(join(dir, 'quantization_config.json'), typeof beside === 'string' ? beside : JSON.stringify(beside));
  return loadQuantizationConfig(dir);
}

test('the config is found in config.json, beside it, in both, or nowhere', async () => {
  expect(await load({ hidden_size: 8 })).toBeNull();
  expect(await load({ quantization_config: null })).toBeNull();
  expect(await load({ quantization_config: uint4 })).toMatchObject({ weightsDtype: 'uint4', path: join(dir, 'config.json') });
  expect(await load({}, uint4)).toMatchObject({ weightsDtype: 'uint4', path: join(dir, 'quantization_config.json') });
  expect(await load({ quantization_config: { ...uint4, svd_rank: 16 } }, { ...uint4, svd_rank: 32 })).toMatchObject({ switches: { svd_rank: 16 } });
});

test.each([
  [
    'two types',
    { quantization_config: uint4 },
    { ...uint4, weights_dtype: 'int8' },
    'checkpoint_damaged',
    'weights_dtype is "uint4" in config.json and "int8"',
  ],
  ['another method', { quantization_config: { ...uint4, quant_method: 'gptq' } }, undefined, 'checkpoint_unsupported', 'quantization method is "gptq"; "sdnq"'],
  ['no type', { quantization_config: { quant_method: 'sdnq' } }, undefined, 'checkpoint_damaged', 'weights_dtype'],
  ['no object', { quantization_config: 'uint4' }, undefined, 'checkpoint_damaged', 'quantization_config does not hold'],
  ['rules that are no lists', { quantization_config: { ...uint4, modules_dtype_dict: { int8: 5 } } }, undefined, 'checkpoint_damaged', 'modules_dtype_dict'],
  ['a config.json that is a list', [], undefined, 'checkpoint_damaged', 'is no JSON object'],
  ['a cut config.json', '{"a":', undefined, 'checkpoint_damaged', 'is not valid JSON in UTF-8'],
  ['a cut file beside it', {}, '{', 'checkpoint_damaged', 'quantization_config.json is not valid JSON'],
])('%s is refused', async (_what, config, beside, code, reason) => {
  await expect(load(config, beside)).rejects.toMatchObject({ code, message: expect.stringContaining(reason) });
});

test('a folder without config.json is refused', async () => {
  await expect(loadQuantizationConfig(dir)).rejects.toMatchObject({ code: 'checkpoint_missing' });
});
