import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resourcesDir } from '#main/lib/program-files.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { needsSharedFolder, sharedPath } from '../../tests/support/shared-folder.ts';
import { type ChoosingRegistry, openModelRegistry } from './registry.ts';

let dir: string;
let dataDir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-'));
  dataDir = join(dir, 'data');
});
afterEach(() => rm(dir, { recursive: true }));

const log = {
  warn(_fields: Record<string, unknown>, text: string): void {
    throw new Error(`nothing is to be logged: ${text}`);
  },
};
/** The registry over these folders. */
function registryOver(...checkpointDirs: string[]): ChoosingRegistry {
  return registryFrom({ resourcesDir, checkpointDirs });
}

function registryFrom(choices: { resourcesDir: string; checkpointDirs: readonly string[] }): ChoosingRegistry {
  return openModelRegistry({ ...choices, dataDir, cacheDir: join(dir, 'hub'), log }).registry;
}

const bundled = (type: string) => join(resourcesDir, 'models', `storybook-${type}`);

async function copyOf(type: 'uint4' | 'int8', name = `copy-${type}`): Promise<string> {
  await cp(bundled(type), join(dir, name), { recursive: true });
  return join(dir, name);
}

async function editJson(path: string, edit: (value: Record<string, unknown>) => void): Promise<void> {
  const value: Record<string, unknown> = JSON.parse(await readFile(path, 'utf8'));
  edit(value);
  await writeFile(path, JSON.stringify(value));
}

test.each(['uint4', 'int8'] as const)('the bundled %s checkpoint runs where nothing else was chosen', async (type) => {
  const { fingerprint, sizeBytes, ...rest } = await registryOver().checkpointFor(type);
  expect(rest).toEqual({
    name: `storybook-${type}`,
    dir: bundled(type),
    modelType: type,
    bundled: true,
    license: 'Apache-2.0',
    sizeUnitPx: 32,
    capabilities: expect.objectContaining({ architecture: 'z-image', most_images: 0 }),
  });
  expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(sizeBytes).toBeGreaterThan(20_000_000);
});

test('the identity is the hash over path, size and hash of every file, by path', async () => {
  const lines: string[] = [];
  for (const entry of await readdir(bundled('uint4'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const relative = path.slice(bundled('uint4').length + 1).replaceAll('\\', '/');
    lines.push(`${relative}\0${bytes.length}\0${createHash('sha256').update(bytes).digest('hex')}\n`);
  }
  const expected = createHash('sha256').update(lines.sort().join('')).digest('hex');
  expect((await registryOver().checkpointFor('uint4')).fingerprint).toBe(expected);
});

test('a chosen folder takes the place of the bundled checkpoint of its kind, the last one of two', async () => {
  const first = await copyOf('int8', 'first');
  const second = await copyOf('int8', 'second');
  const registry = registryOver(first, second);
  expect(await registry.checkpointFor('int8')).toMatchObject({ name: 'second', dir: second, bundled: false, license: 'unknown' });
  expect(await registry.checkpointFor('uint4')).toMatchObject({ name: 'storybook-uint4', bundled: true });
  expect((await registry.list()).map(({ name }) => name)).toEqual(['first', 'second', 'storybook-uint4', 'storybook-int8']);
});

test('the same files in another folder have the same identity; readmes and hidden files do not matter', async () => {
  const copy = await copyOf('uint4');
  await writeFile(join(copy, 'README.md'), '---\nlicense: apache-2.0\ntags:\n- a\n---\n# A model\nlicense: none\n');
  await writeFile(join(copy, 'vae/.cache.json'), '{}');
  const chosen = await registryOver(copy).checkpointFor('uint4');
  expect(chosen.fingerprint).toBe((await registryOver().checkpointFor('uint4')).fingerprint);
  expect(chosen.license).toBe('apache-2.0');
});

test('an edited, a new and a vanished file give another identity at the next request, and back', async () => {
  const copy = await copyOf('uint4');
  const registry = registryOver(copy);
  const before = (await registry.checkpointFor('uint4')).fingerprint;

  const weights = join(copy, 'transformer/diffusion_pytorch_model.safetensors');
  const original = await readFile(weights);
  const edited = Buffer.from(original);
  edited[original.length - 1] = (original.at(-1) ?? 0) ^ 1;
  await writeFile(weights, edited);
  const afterEdit = (await registry.checkpointFor('uint4')).fingerprint;
  expect(afterEdit).not.toBe(before);
  await writeFile(weights, original);
  expect((await registry.checkpointFor('uint4')).fingerprint).toBe(before);

  await writeFile(join(copy, 'tokenizer/added_tokens.json'), '{}');
  expect((await registry.checkpointFor('uint4')).fingerprint).not.toBe(before);
  await rm(join(copy, 'tokenizer/added_tokens.json'));
  expect((await registry.checkpointFor('uint4')).fingerprint).toBe(before);

  await rename(join(copy, 'tokenizer/chat_template.jinja'), join(copy, 'tokenizer/template.jinja'));
  expect((await registry.checkpointFor('uint4')).fingerprint).not.toBe(before);
});

test('a Hugging Face cache is used in place, under its name', async () => {
  const copy = await copyOf('uint4', 'blobs');
  const snapshot = join(dir, 'models--Disty0--Z-Image-Turbo-SDNQ-uint4-svd-r32/snapshots/0123abc');
  await mkdir(snapshot, { recursive: true });
  for (const name of await readdir(copy)) await symlink(join(copy, name), join(snapshot, name));
  const { name, fingerprint } = await registryOver(snapshot).checkpointFor('uint4');
  expect(name).toBe('Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32');
  expect(fingerprint).toBe((await registryOver().checkpointFor('uint4')).fingerprint);
});

test('hashes are remembered in the data folder, by real path', async () => {
  await registryOver().checkpointFor('uint4');
  const memory = await readFile(join(dataDir, 'identities.json'), 'utf8');
  expect(memory).toContain(JSON.stringify(await realpath(join(bundled('uint4'), 'vae/config.json'))));
  await writeFile(join(dataDir, 'identities.json'), memory.replace(/"sha256": "[0-9a-f]{64}"/g, `"sha256": "${'0'.repeat(64)}"`));
  const forged = (await registryOver().checkpointFor('uint4')).fingerprint;
  await rm(dataDir, { recursive: true });
  expect((await registryOver().checkpointFor('uint4')).fingerprint).not.toBe(forged);
});

test('the sizes of checkpoints with an 8-fold VAE come in units of 16', async (context) => {
  needsSharedFolder(context);
  for (const name of ['random-uint4-svd32', 'published-uint4']) {
    expect(await registryOver(sharedPath('goldens', name)).checkpointFor('uint4')).toMatchObject({ name, sizeUnitPx: 16, modelType: 'uint4' });
  }
});

test('the kind is also read from quantization_config.json beside the config', async () => {
  const copy = await copyOf('int8');
  const config = join(copy, 'transformer/config.json');
  const beside = join(copy, 'transformer/quantization_config.json');
  await editJson(config, (value) => {
    delete value['quantization_config'];
  });
  await writeFile(beside, '{"weights_dtype":"int8"}');
  expect((await registryOver(copy).checkpointFor('int8')).dir).toBe(copy);
});

test('the upscaler is the small one, with the hash of its file in its identity', async () => {
  const { fingerprint, ...rest } = await registryOver().upscaler();
  const name = 'realesr-general-x4v3';
  const path = join(resourcesDir, 'upscalers', `${name}.safetensors`);
  const bytes = await readFile(path);
  const line = `${name}.safetensors\0${bytes.length}\0${createHash('sha256').update(bytes).digest('hex')}\n`;
  expect(rest).toEqual({ name, path, sizeBytes: bytes.length, license: 'BSD-3-Clause' });
  expect(fingerprint).toBe(createHash('sha256').update(line).digest('hex'));
});

test('without bundled checkpoints the kind that is missing is named', async () => {
  const registry = registryFrom({ resourcesDir: join(dir, 'empty'), checkpointDirs: [await copyOf('int8')] });
  await expect(registry.checkpointFor('uint4')).rejects.toMatchObject({ code: 'model_not_installed', data: { modelType: 'uint4' } });
  expect((await registry.checkpointFor('int8')).modelType).toBe('int8');
  await expect(registry.upscaler()).rejects.toMatchObject({ code: 'checkpoint_missing' });
});

/** What is wrong, how the copy of a checkpoint is spoilt, the code, what the sentence must say. */
const spoilt: [string, (copy: string) => Promise<void>, string, string][] = [
  ['a folder that is not there', (copy) => rm(copy, { recursive: true }), 'checkpoint_missing', 'cannot be read (ENOENT)'],
  ['no model_index.json', (copy) => rm(join(copy, 'model_index.json')), 'checkpoint_missing', 'has no model_index.json'],
  [
    'no VAE',
    (copy) => rm(join(copy, 'vae'), { recursive: true }),
    'checkpoint_missing',
    'A checkpoint has the folders scheduler, text_encoder, tokenizer, transformer, vae',
  ],
  ['no transformer config', (copy) => rm(join(copy, 'transformer/config.json')), 'checkpoint_missing', 'transformer/config.json cannot be read'],
  ['a cut config', (copy) => writeFile(join(copy, 'transformer/config.json'), '{"dim":'), 'checkpoint_damaged', 'is not valid JSON'],
  ['a config that is a list', (copy) => writeFile(join(copy, 'vae/config.json'), '[]'), 'checkpoint_damaged', 'vae/config.json has invalid values'],
  [
    'another pipeline',
    (copy) => writeFile(join(copy, 'model_index.json'), '{"_class_name":"FluxPipeline"}'),
    'checkpoint_unsupported',
    '_class_name is "FluxPipeline"; "ZImagePipeline" or "Flux2KleinPipeline" is needed',
  ],
  ['a model_index.json that is null', (copy) => writeFile(join(copy, 'model_index.json'), 'null'), 'checkpoint_unsupported', '_class_name is nothing'],
  [
    'another quantization',
    (copy) => writeFile(join(copy, 'transformer/config.json'), '{"quantization_config":{"weights_dtype":"float8_e4m3fn"}}'),
    'checkpoint_unsupported',
    'weights_dtype is "float8_e4m3fn"; int4 to int8, uint4 to uint8 and unquantized weights are supported',
  ],
  [
    'no patch size',
    (copy) =>
      editJson(join(copy, 'transformer/config.json'), (value) => {
        value['all_patch_size'] = [];
      }),
    'checkpoint_damaged',
    'all_patch_size',
  ],
  [
    'a dangling link in place of weights',
    async (copy) => {
      await rm(join(copy, 'vae/diffusion_pytorch_model.safetensors'));
      await symlink('nowhere', join(copy, 'vae/diffusion_pytorch_model.safetensors'));
    },
    'checkpoint_missing',
    'diffusion_pytorch_model.safetensors cannot be read (ENOENT)',
  ],
];

test.each(spoilt)('%s in a chosen folder is reported, not ignored', async (_what, spoil, code, reason) => {
  const copy = await copyOf('uint4');
  await spoil(copy);
  const thrown: unknown = await registryOver(copy)
    .checkpointFor('uint4')
    .catch((error: unknown) => error);
  if (!(thrown instanceof AppError)) throw new Error(`no AppError: ${JSON.stringify(thrown)}`);
  expect(thrown.code).toBe(code);
  expect(thrown.message).toContain(copy);
  expect(thrown.message).toContain(reason);
});

test('a folder of another architecture is named', async () => {
  const folder = join(dir, 'llama');
  await mkdir(folder);
  await writeFile(join(folder, 'config.json'), '{"architectures":["LlamaForCausalLM"]}');
  await expect(registryOver(folder).checkpointFor('uint4')).rejects.toMatchObject({
    code: 'checkpoint_unsupported',
    message: expect.stringContaining('this folder is a LlamaForCausalLM; a ZImagePipeline or Flux2KleinPipeline with a model_index.json is needed'),
  });
});
