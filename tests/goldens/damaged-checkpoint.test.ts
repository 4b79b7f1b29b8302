import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { assertCanCompile } from '#main/compiler/assert-can-compile.ts';
import { compileCheckpoint } from '#main/compiler/compile.ts';
import { loadPipeline } from '#main/inference/load-pipeline.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { AppError } from '#shared/protocol/errors.ts';

let folder: string;
let checkpointDir: string;
let cacheDir: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'damaged-'));
  checkpointDir = join(folder, 'checkpoint');
  cacheDir = join(folder, 'cache');
  await cp(join(resourcesDir, 'models/storybook-int8'), checkpointDir, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const compile = () => compileCheckpoint({ checkpointDir, cacheDir, identity: 'x', target: 'cpu-fast' }, () => {});

async function editConfig(part: string, change: (config: Record<string, unknown>) => void): Promise<void> {
  const path = join(checkpointDir, part, 'config.json');
  const config: Record<string, unknown> = JSON.parse(await readFile(path, 'utf8'));
  change(config);
  await writeFile(path, JSON.stringify(config));
}

const weights = (part: string) => join(checkpointDir, part, part === 'text_encoder' ? 'model.safetensors' : 'diffusion_pytorch_model.safetensors');

test.each<[string, () => Promise<void>, string, RegExp]>([
  ['a half-downloaded transformer', () => truncate(weights('transformer'), 9_000_000), 'checkpoint_damaged', /transformer.*diffusion_pytorch_model/],
  ['a missing VAE', () => rm(join(checkpointDir, 'vae'), { recursive: true }), 'checkpoint_missing', /vae/],
  ['a missing weights file', () => rm(weights('text_encoder')), 'checkpoint_missing', /text_encoder.*model\.safetensors/],
  [
    'a folder of another architecture',
    () => editConfig('text_encoder', (c) => Object.assign(c, { model_type: 'llama', architectures: ['LlamaForCausalLM'] })),
    'checkpoint_unsupported',
    /model_type is "llama".*LlamaForCausalLM/,
  ],
  [
    'another transformer',
    () => editConfig('transformer', (c) => Object.assign(c, { _class_name: 'FluxTransformer2DModel' })),
    'checkpoint_unsupported',
    /_class_name is "FluxTransformer2DModel"/,
  ],
  [
    'a config that its weights do not fit',
    () => editConfig('transformer', (c) => Object.assign(c, { cap_feat_dim: 512 })),
    'checkpoint_unsupported',
    /256 wide.*512/,
  ],
  ['one block more than there is', () => editConfig('transformer', (c) => Object.assign(c, { n_layers: 6 })), 'checkpoint_damaged', /layers\.5\..*missing/],
  [
    'one block fewer than there is',
    () => editConfig('transformer', (c) => Object.assign(c, { n_layers: 4 })),
    'checkpoint_damaged',
    /"layers\.4\.[^"]+" has no place/,
  ],
  [
    'norms that the config denies',
    () => editConfig('transformer', (c) => Object.assign(c, { qk_norm: false })),
    'checkpoint_damaged',
    /norm_[kq]\.weight" has no place/,
  ],
  [
    'one text layer fewer than there is',
    () => editConfig('text_encoder', (c) => Object.assign(c, { num_hidden_layers: 2 })),
    'checkpoint_damaged',
    /"layers\.2\.[^"]+" has no place/,
  ],
  [
    'a VAE without the attention that there is',
    () => editConfig('vae', (c) => Object.assign(c, { mid_block_add_attention: false })),
    'checkpoint_damaged',
    /"decoder\.[^"]+" has no place/,
  ],
  [
    'another type than the tensors have',
    () => editConfig('transformer', (c) => Object.assign(c['quantization_config'] as object, { weights_dtype: 'int5' })),
    'checkpoint_damaged',
    /tensor "[^"]+\.weight" is I8.*int5 is stored as/,
  ],
  [
    'heads that do not divide the width',
    () => editConfig('transformer', (c) => Object.assign(c, { n_heads: 7 })),
    'checkpoint_unsupported',
    /dim 384.*n_heads 7/,
  ],
  ['a VAE of other channels', () => editConfig('vae', (c) => Object.assign(c, { latent_channels: 4 })), 'checkpoint_unsupported', /4 latent channels.*16/],
  [
    'an unknown quantization',
    () => editConfig('transformer', (c) => Object.assign(c['quantization_config'] as object, { weights_dtype: 'float8_e4m3fn' })),
    'checkpoint_unsupported',
    /float8_e4m3fn/,
  ],
  [
    'a codebook',
    () => editConfig('transformer', (c) => Object.assign(c['quantization_config'] as object, { use_codebook: true })),
    'checkpoint_unsupported',
    /use_codebook/,
  ],
  ['a config that is no JSON', () => writeFile(join(checkpointDir, 'vae/config.json'), '{'), 'checkpoint_damaged', /vae.*config\.json/],
])('%s: one sentence, and nothing half-compiled stays', async (_, damage, code, sentence) => {
  await damage();
  const error = await compile().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({ code, message: expect.stringMatching(sentence) });
  expect((error as AppError).message).not.toContain('\n');
  const left = await readdir(cacheDir).catch(() => []);
  expect(left).toEqual([]);
  await expect(assertCanCompile(checkpointDir, 'all')).rejects.toMatchObject({ code, message: expect.stringMatching(sentence) });
});

test('a VAE without an encoder still generates, but no image can start from another', async () => {
  const file = await readFile(weights('vae'), 'latin1');
  await writeFile(weights('vae'), file.replaceAll('"encoder.', '"unknown.'), 'latin1');
  const compiled = await compile();
  expect(compiled.parts.vaeEncoder).toBeNull();
  const pipeline = await loadPipeline(compiled, { threads: 1 }, () => {});
  const params = { prompt: 'a fox', width: 64, height: 64, seed: 1, steps: 2, guidance_scale: 0, model_type: 'int8' as const };
  const [hooks, signal] = [{ onProgress: () => {} }, { cancelled: false }];
  const image = await pipeline.generate(params, hooks, signal);
  const again = pipeline.generate(params, hooks, signal, { source: { image, strength: 1, fit: 'cover' } });
  await expect(again).rejects.toMatchObject({ code: 'checkpoint_unsupported', message: expect.stringContaining('no encoder') });
  await pipeline.release();
});

test('a checkpoint that can run passes the dry run, which writes nothing', async () => {
  const before = await readdir(checkpointDir, { recursive: true });
  await assertCanCompile(checkpointDir, 'all');
  expect(await readdir(checkpointDir, { recursive: true })).toEqual(before);
});

test('a compiled checkpoint is taken from the cache, and made again where a graph of it is gone', async () => {
  const first = await compile();
  expect(await compile()).toEqual(first);
  await rm(first.parts.denoiser.graph.onnxPath);
  const again = await compile();
  expect(again.report.graphs.map(({ name }) => name)).toEqual(first.report.graphs.map(({ name }) => name));
  expect((await readFile(again.parts.denoiser.graph.onnxPath)).byteLength).toBeGreaterThan(0);
  expect(await readdir(cacheDir)).toHaveLength(1);
});
