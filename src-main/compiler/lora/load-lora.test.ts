import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadLora } from '#main/compiler/lora/load-lora.ts';
import type { LoraTarget } from '#main/lib/compiled.ts';
import { safetensorsBytes } from '../../../tests/support/safetensors-bytes.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'load-lora-'));
});
afterAll(() => rm(dir, { recursive: true }));

const target = (name: string, inWidth = 4, outWidth = 6): LoraTarget => ({ part: 'denoiser', name, inWidth, outWidth });
const attention = ['to_q', 'to_k', 'to_v', 'to_out.0'].map((part) => target(`layers.0.attention.${part}`));
const targets = [...attention, target('layers.0.feed_forward.w1'), target('all_x_embedder.2-1'), target('cap_embedder.1')];

type Tensors = Record<string, { shape: number[]; values?: number[] }>;

/** Loads a file of float32 tensors; without values they count up from 1. */
async function load(tensors: Tensors, metadata?: Record<string, string>) {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  const bytes: number[] = [];
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    const count = shape.reduce((a, b) => a * b, 1);
    const floats = Float32Array.from({ length: count }, (_, i) => values?.[i] ?? i + 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [bytes.length, bytes.length + 4 * count] };
    bytes.push(...new Uint8Array(floats.buffer));
  }
  const path = join(dir, 'lora.safetensors');
  await writeFile(path, safetensorsBytes(header, Uint8Array.from(bytes)));
  return loadLora(path, 'identity', targets);
}

const pair = (module: string, rank = 2, down = 'lora_A.weight', up = 'lora_B.weight', outWidth = 6): Tensors => ({
  [`${module}.${down}`]: { shape: [rank, 4] },
  [`${module}.${up}`]: { shape: [outWidth, rank] },
});

test.for([
  ['transformer.layers.0.attention.to_q', 'layers.0.attention.to_q'],
  ['layers.0.attention.to_q', 'layers.0.attention.to_q'],
  ['diffusion_model.layers.0.feed_forward.w1', 'layers.0.feed_forward.w1'],
  ['base_model.model.transformer.layers.0.attention.to_k', 'layers.0.attention.to_k'],
  ['model.diffusion_model.layers.0.attention.out', 'layers.0.attention.to_out.0'],
  ['lora_unet__layers_0_attention_to_out_0', 'layers.0.attention.to_out.0'],
  ['lora_transformer_layers_0_attention_to_q', 'layers.0.attention.to_q'],
  ['lycoris_layers_0_attention_to.q', 'layers.0.attention.to_q'],
  ['diffusion_model.x_embedder', 'all_x_embedder.2-1'],
  ['lora_unet_cap_embedder_1', 'cap_embedder.1'],
] as const)('%s is %s', async ([module, name]) => {
  expect([...(await load(pair(module))).modules.keys()]).toEqual([name]);
});

test.for([
  ['lora_down.weight', 'lora_up.weight'],
  ['lora.down.weight', 'lora.up.weight'],
  ['lora_A.default.weight', 'lora_B.default.weight'],
] as const)('pairs of %s and %s', async ([down, up]) => {
  expect((await load(pair('layers.0.attention.to_q', 2, down, up))).modules.size).toBe(1);
});

test('each module has the factor of its own alpha and rank', async () => {
  const { modules } = await load({
    ...pair('layers.0.attention.to_q'),
    'layers.0.attention.to_q.alpha': { shape: [], values: [1] },
    ...pair('layers.0.attention.to_k', 1),
    'layers.0.attention.to_k.alpha': { shape: [], values: [3] },
    ...pair('layers.0.attention.to_v'),
  });
  const first = (name: string) => modules.get(`layers.0.attention.${name}`)?.down[0];
  expect([first('to_q'), first('to_k'), first('to_v')]).toEqual([0.5, 3, 1]);
});

test.for([
  [{ lora_alpha: 8 }, 4],
  [{ lora_alpha: 8, use_rslora: true }, 8 / Math.SQRT2],
  [{ lora_alpha: 8, alpha_pattern: { 'attention.to_q': 1 } }, 0.5],
  [{ lora_alpha: 8, alpha_pattern: { ttention: 1 } }, 4],
] as const)("peft's metadata %o make a factor of %f", async ([fields, factor]) => {
  const config = Object.fromEntries(Object.entries(fields).map(([key, value]) => [`transformer.${key}`, value]));
  const { modules } = await load(pair('layers.0.attention.to_q'), { lora_adapter_metadata: JSON.stringify(config) });
  expect(modules.get('layers.0.attention.to_q')?.down[0]).toBeCloseTo(factor, 6);
});

test('fused rows are split in thirds, and give way to split names beside them', async () => {
  const fused = pair('diffusion_model.layers.0.attention.qkv', 1, 'lora_A.weight', 'lora_B.weight', 18);
  const { modules } = await load(fused);
  expect(['to_q', 'to_k', 'to_v'].map((part) => modules.get(`layers.0.attention.${part}`)?.up[0])).toEqual([1, 7, 13]);
  const both = await load({ ...fused, ...pair('diffusion_model.layers.0.attention.to_q', 2) });
  expect([...both.modules].map(([name, { rank }]) => [name, rank])).toEqual([['layers.0.attention.to_q', 2]]);
});

test('LoKr is the Kronecker product, whose alpha counts where a factor is a product', async () => {
  const module = 'diffusion_model.layers.0.attention.to_q';
  const alpha = { [`${module}.alpha`]: { shape: [], values: [3] } };
  const whole = { [`${module}.lokr_w1`]: { shape: [2, 2], values: [1, 2, 3, 4] }, [`${module}.lokr_w2`]: { shape: [3, 2], values: [1, 2, 3, 4, 5, 6] } };
  const split = { ...whole, [`${module}.lokr_w2_a`]: { shape: [3, 1], values: [1, 2, 3] }, [`${module}.lokr_w2_b`]: { shape: [1, 2], values: [1, 10] } };
  delete (split as Tensors)[`${module}.lokr_w2`];
  // numpy.kron([[1, 2], [3, 4]], [[1, 2], [3, 4], [5, 6]])
  const product = [1, 2, 2, 4, 3, 4, 6, 8, 5, 6, 10, 12, 3, 6, 4, 8, 9, 12, 12, 16, 15, 18, 20, 24];
  expect(change((await load({ ...whole, ...alpha })).modules.get('layers.0.attention.to_q'))).toEqual(product);
  // 3 * numpy.kron([[1, 2], [3, 4]], numpy.outer([1, 2, 3], [1, 10]))
  const outer = [3, 30, 6, 60, 6, 60, 12, 120, 9, 90, 18, 180, 9, 90, 12, 120, 18, 180, 24, 240, 27, 270, 36, 360];
  expect(change((await load({ ...split, ...alpha })).modules.get('layers.0.attention.to_q'))).toEqual(outer);
});

/** up times down, [6, 4]. */
function change(factors: { rank: number; up: Float32Array; down: Float32Array } | undefined): number[] {
  const { rank, up, down } = factors ?? expect.fail('the module is missing');
  return Array.from({ length: 24 }, (_, at) => {
    const [row, column] = [Math.floor(at / 4), at % 4];
    return Array.from({ length: rank }, (__, i) => (up[row * rank + i] ?? 0) * (down[i * 4 + column] ?? 0)).reduce((a, b) => a + b, 0);
  });
}

test('tensors of the text encoder are left out with a notice', async () => {
  const { modules, notices } = await load({ ...pair('layers.0.attention.to_q'), ...pair('text_encoder.layers.0.q_proj'), ...pair('lora_te1_layers_0') });
  expect(modules.size).toBe(1);
  expect(notices).toEqual([expect.stringContaining('4 tensors for the text encoder were left out')]);
});

const q = 'layers.0.attention.to_q';
test.for<[string, Tensors, RegExp, Record<string, string>?]>([
  ['a DoRA', { ...pair(q), [`${q}.dora_scale`]: { shape: [6, 1] } }, /DoRA.*dora_scale/],
  ['a DoRA of peft', { ...pair(q), [`${q}.lora_magnitude_vector`]: { shape: [6] } }, /DoRA/],
  ['a DoRA by its metadata', pair(q), /DoRA/, { lora_adapter_metadata: '{"transformer.use_dora":true}' }],
  ['another model', pair('lora_unet_double_blocks_0_img_attn_qkv'), /another model.*double_blocks/],
  ['a layer that this model lacks', { ...pair(q), ...pair('layers.7.attention.to_q') }, /no layers for.*layers\.7.*lora_A.*lora_B/],
  ['other tensors', { ...pair(q), [`${q}.diff`]: { shape: [6, 4] } }, /another kind.*diff/],
  ['half a pair', { [`${q}.lora_A.weight`]: { shape: [2, 4] } }, /no counterpart/],
  ['another width', { [`${q}.lora_A.weight`]: { shape: [2, 5] }, [`${q}.lora_B.weight`]: { shape: [6, 2] } }, /\[2, 5\].*needs \[rank, 4\]/],
  ['ranks that differ', { [`${q}.lora_A.weight`]: { shape: [2, 4] }, [`${q}.lora_B.weight`]: { shape: [6, 3] } }, /ranks/],
  ['NaN', { ...pair(q), [`${q}.lora_A.weight`]: { shape: [2, 4], values: [Number.NaN] } }, /not finite/],
  ['one layer under two names', { ...pair(q), ...pair('lora_unet_layers_0_attention_to_q') }, /two names|same tensor/],
  ['a fused LoKr', { 'layers.0.attention.qkv.lokr_w1': { shape: [3, 2] }, 'layers.0.attention.qkv.lokr_w2': { shape: [6, 2] } }, /fused/],
  ['only the text encoder', pair('text_encoder.layers.0.q_proj'), /no LoRA for the transformer/],
])('%s is refused by name', async ([, tensors, message, metadata]) => {
  await expect(load(tensors, metadata)).rejects.toMatchObject({ code: 'lora_unsupported', message: expect.stringMatching(message) });
});
