import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inspectExtra, readExtraMetadata } from '#main/compiler/inspect-extra.ts';
import { loraTargets } from '#main/compiler/models/lora-targets.ts';
import { loadTransformerConfig } from '#main/compiler/models/transformer-config.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { createModelLibrary } from '#main/models/create-library.ts';
import { createHubClient } from '#main/models/hub/hub-client.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import type { ModelEntry } from '#shared/domain/model.ts';
import { CDN_ADDRESS, HUB_TOKEN, type HubServer, startHubServer } from './support/hub-server.ts';
import { safetensorsBytes } from './support/safetensors-bytes.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const RANK = 2;
const metadata = { 'modelspec.trigger_phrase': 'ink drawing, fine lines', ss_base_model_version: 'zimage_turbo' };

let dir: string;
let server: HubServer;
let library: ModelLibrary;
let closing: (() => Promise<unknown>)[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'extras-'));
  closing = [];
});
afterEach(async () => {
  for (const close of closing.toReversed()) await close();
  await rm(dir, { recursive: true });
});

/** A LoRA of `to_q` of the first layer, as wide as the bundled checkpoint or otherwise. */
async function lora(width?: number): Promise<Buffer> {
  const config = await loadTransformerConfig(join(resourcesDir, 'models/storybook-uint4/transformer'));
  const target = loraTargets(config).find(({ name }) => name === 'layers.0.attention.to_q');
  const { inWidth, outWidth } = width === undefined ? (target ?? { inWidth: 0, outWidth: 0 }) : { inWidth: width, outWidth: width };
  const downBytes = 4 * RANK * inWidth;
  const upBytes = 4 * RANK * outWidth;
  const header = {
    __metadata__: metadata,
    'transformer.layers.0.attention.to_q.lora_A.weight': { dtype: 'F32', shape: [RANK, inWidth], data_offsets: [0, downBytes] },
    'transformer.layers.0.attention.to_q.lora_B.weight': { dtype: 'F32', shape: [outWidth, RANK], data_offsets: [downBytes, downBytes + upBytes] },
  };
  return Buffer.from(safetensorsBytes(header, downBytes + upBytes));
}

async function open(files: Record<string, Buffer>): Promise<void> {
  server = await startHubServer({ name: 'owner/loras', commit: COMMIT, files: new Map(Object.entries(files)) });
  const proxies = { http: '', https: '', none: '' };
  const hub = createHubClient({ endpoint: server.endpoint, token: HUB_TOKEN, proxies, ca: server.cert, isPublic: (address) => address === CDN_ADDRESS });
  library = createModelLibrary({
    ...{ resourcesDir, dataDir: join(dir, 'data'), checkpointDirs: [], cacheDir: join(dir, 'hub'), hub, log: { warn: () => {} } },
    extraReader: { inspect: inspectExtra, metadata: readExtraMetadata },
  });
  closing.push(
    () => server.close(),
    () => hub.close(),
    () => library.close(),
  );
  library.start();
}

function ended(name: string): Promise<ModelEntry> {
  return new Promise((resolve) => {
    const unwatch = library.watch((entry) => {
      if (entry.name !== name || (entry.state !== 'installed' && entry.state !== 'failed')) return;
      unwatch();
      resolve(entry);
    });
  });
}

test('a LoRA of a repository is installed by the same commands as a checkpoint, sent twice or at once', async () => {
  await open({ 'ink.safetensors': await lora(), 'README.md': Buffer.from('---\nlicense: mit\n---\n') });
  const installed = ended('owner/loras');
  await Promise.all([library.add({ repository: 'owner/loras' }), library.add({ repository: 'owner/loras' })]);
  expect(await installed).toMatchObject({
    ...{ kind: 'lora', state: 'installed', active: false, error: null },
    ...{ trigger_words: ['ink drawing', 'fine lines'], base_model: 'zimage_turbo' },
  });
  expect(await library.loras()).toMatchObject([{ name: 'owner/loras', metadata: { base_model: 'zimage_turbo' } }]);
  expect(await library.controlNets()).toEqual([]);
  expect((await library.list()).map(({ name }) => name)).not.toContain('owner/loras');
  await expect(library.act('owner/loras', 'use')).rejects.toMatchObject({ code: 'model_busy' });
  await library.act('owner/loras', 'verify');
  await expect.poll(async () => (await library.entries()).find(({ name }) => name === 'owner/loras')?.state).toBe('installed');
  expect(await library.act('owner/loras', 'remove')).toMatchObject({ state: 'absent' });
  expect(await library.loras()).toEqual([]);
});

test('one of several files is named, and removing it keeps the others', async () => {
  await open({ 'a/ink.safetensors': await lora(), 'wax.safetensors': Buffer.concat([await lora(), Buffer.alloc(0)]) });
  await expect(library.add({ repository: 'owner/loras' })).rejects.toMatchObject({
    code: 'bad_param',
    data: { field: 'file' },
    message: expect.stringContaining('"a/ink.safetensors" or "wax.safetensors"'),
  });
  await expect(library.add({ repository: 'owner/loras', file: 'oil.safetensors' })).rejects.toMatchObject({ code: 'bad_param', data: { field: 'file' } });
  for (const file of ['a/ink.safetensors', 'wax.safetensors']) {
    const installed = ended(`owner/loras/${file}`);
    await library.add({ repository: 'owner/loras', file });
    expect(await installed).toMatchObject({ state: 'installed' });
  }
  await library.act('owner/loras/a/ink.safetensors', 'remove');
  expect((await library.loras()).map(({ name }) => name)).toEqual(['owner/loras/wax.safetensors']);
});

test('a LoRA for another model is refused with its key and width, and no job can name it', async () => {
  await open({ 'ink.safetensors': await lora(96) });
  const failed = ended('owner/loras');
  await library.add({ repository: 'owner/loras' });
  const { error } = await failed;
  expect(error).toMatchObject({ code: 'lora_unsupported', message: expect.stringContaining('"transformer.layers.0.attention.to_q.lora_A.weight" is [2, 96]') });
  expect(await library.loras()).toEqual([]);
  const path = join(dir, 'other.safetensors');
  await writeFile(path, await lora(96));
  await expect(library.add({ file: path })).rejects.toMatchObject({ code: 'lora_unsupported' });
  await writeFile(path, 'no safetensors');
  await expect(library.add({ file: path })).rejects.toMatchObject({ code: 'checkpoint_damaged' });
  await expect(library.add({ file: join(dir, 'none.safetensors') })).rejects.toMatchObject({ code: 'checkpoint_missing' });
});

test('a local file is used in place, as are the files of the folder loras, and a LoRA for the published model needs none installed', async () => {
  await open({});
  const path = join(dir, 'ink.safetensors');
  await writeFile(path, await lora());
  await mkdir(join(dir, 'data/loras'), { recursive: true });
  await cp(path, join(dir, 'data/loras/ink.safetensors'));
  const [first, again] = await Promise.all([library.add({ file: path }), library.add({ file: path })]);
  expect(first).toMatchObject({
    name: 'ink-2',
    kind: 'lora',
    state: 'installed',
    source: { type: 'folder', path },
    trigger_words: ['ink drawing', 'fine lines'],
  });
  expect(again.name).toBe(first.name);
  expect((await library.loras()).map(({ name }) => name)).toEqual(['ink', 'ink-2']);
  await writeFile(path, await lora(3840));
  expect((await library.entries()).find(({ name }) => name === 'ink-2')).toMatchObject({ state: 'damaged' });
  await library.act('ink-2', 'verify');
  await expect.poll(async () => (await library.entries()).find(({ name }) => name === 'ink-2')?.state).toBe('installed');
  await rm(path);
  expect((await library.loras()).map(({ name }) => name)).toEqual(['ink']);
  await library.act('ink-2', 'remove');
  expect((await library.loras()).map(({ name }) => name)).toEqual(['ink']);
});
