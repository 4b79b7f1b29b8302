import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { safetensorsOf } from '../../../tests/support/safetensors-bytes.ts';
import { needsSharedFolder, sharedCheckpoints, sharedPath } from '../../../tests/support/shared-folder.ts';
import { openCheckpointTensors, requireTensor } from './open-checkpoint-tensors.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'checkpoint-'));
});
afterEach(() => rm(dir, { recursive: true }));

const bytesOf = (...names: string[]) => safetensorsOf(Object.fromEntries(names.map((name) => [name, { dtype: 'U8', shape: [1], data: Uint8Array.of(1) }])));

async function write(files: Record<string, Uint8Array | string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
}

async function refusal(): Promise<AppError> {
  const thrown: unknown = await openCheckpointTensors(dir, 'model').then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );
  if (!(thrown instanceof AppError)) throw new Error(`no AppError: ${String(thrown)}`);
  return thrown;
}

const indexOf = (weightMap: unknown) => JSON.stringify({ metadata: { total_size: 3 }, weight_map: weightMap });

test('a single file', async () => {
  await write({ 'model.safetensors': bytesOf('a', 'b'), 'other.safetensors': 'not looked at', 'model.bin': 'not looked at' });
  const table = await openCheckpointTensors(dir, 'model');
  expect([...table.tensors.keys()]).toEqual(['a', 'b']);
  expect(requireTensor(table, 'b').byteLength).toBe(1);
  expect(() => requireTensor(table, 'c')).toThrow('the tensor "c" is missing among its 2 tensors');
});

test('shards by their index, also where the files are links as in a Hugging Face cache', async () => {
  await mkdir(join(dir, 'blobs'));
  await write({ 'blobs/1': bytesOf('a', 'b'), 'blobs/2': bytesOf('c') });
  await symlink('blobs/1', join(dir, 'model-1.safetensors'));
  await symlink('blobs/2', join(dir, 'model-2.safetensors'));
  await write({ 'model.safetensors.index.json': indexOf({ c: 'model-2.safetensors', a: 'model-1.safetensors', b: 'model-1.safetensors' }) });
  const table = await openCheckpointTensors(dir, 'model');
  expect([...table.tensors.keys()].sort()).toEqual(['a', 'b', 'c']);
  expect(table.files.map((file) => file.slice(-7))).toEqual(['blobs/1', 'blobs/2']);
  expect(requireTensor(table, 'c').file).toBe(table.files[1]);
});

test.each([
  ['model', 'single'],
  ['diffusion_pytorch_model', 'sharded'],
])('%s.safetensors beside an index: the %s form counts, as in its library', async (base, form) => {
  await write({
    [`${base}.safetensors`]: bytesOf('single'),
    'shard.safetensors': bytesOf('sharded'),
    [`${base}.safetensors.index.json`]: indexOf({ sharded: 'shard.safetensors' }),
  });
  expect([...(await openCheckpointTensors(dir, base)).tensors.keys()]).toEqual([form]);
  await rm(join(dir, 'shard.safetensors'));
  expect([...(await openCheckpointTensors(dir, base)).tensors.keys()]).toEqual(['single']);
});

const shard = 'model-1.safetensors';
const good = { [shard]: bytesOf('a') };

/** What is wrong, the folder's files, the code, what the sentence must say. */
const damagedFolders: [string, Record<string, Uint8Array | string>, string, string][] = [
  ['an empty folder', {}, 'checkpoint_missing', 'holds neither model.safetensors nor model.safetensors.index.json'],
  ['another model', { 'diffusion_pytorch_model.safetensors': bytesOf('a') }, 'checkpoint_missing', 'holds neither'],
  ['only a pickle', { 'pytorch_model.bin': 'x' }, 'checkpoint_unsupported', 'pytorch_model.bin is a pickle'],
  ['only a .pt', { 'model.pt': 'x' }, 'checkpoint_unsupported', 'model.pt is a pickle'],
  ['only a .pth', { 'model.pth': 'x' }, 'checkpoint_unsupported', 'model.pth is a pickle'],
  ['only a .ckpt', { 'model.CKPT': 'x' }, 'checkpoint_unsupported', 'model.CKPT is a pickle'],
  ['only a .pkl', { 'model.pkl': 'x' }, 'checkpoint_unsupported', 'model.pkl is a pickle'],
  [
    'a pickle under the name of a safetensors file',
    { 'model.safetensors': Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9) },
    'checkpoint_damaged',
    'announce',
  ],
  ['an index without its shard', { 'model.safetensors.index.json': indexOf({ a: shard }) }, 'checkpoint_missing', `${shard} cannot be opened (ENOENT)`],
  ['an index that is not JSON', { ...good, 'model.safetensors.index.json': '{"weight_map":' }, 'checkpoint_damaged', 'is not valid JSON'],
  [
    'an index that is not UTF-8',
    { ...good, 'model.safetensors.index.json': Uint8Array.of(0x7b, 0xff, 0x7d) },
    'checkpoint_damaged',
    'is not valid JSON in UTF-8',
  ],
  ['an index that is empty', { ...good, 'model.safetensors.index.json': '' }, 'checkpoint_damaged', 'is not valid JSON'],
  ['an index that is null', { ...good, 'model.safetensors.index.json': 'null' }, 'checkpoint_damaged', '"weight_map" is nothing'],
  ['an index without weight_map', { ...good, 'model.safetensors.index.json': '{"metadata":{}}' }, 'checkpoint_damaged', '"weight_map" is nothing'],
  ['a weight_map that is a list', { ...good, 'model.safetensors.index.json': indexOf([shard]) }, 'checkpoint_damaged', '"weight_map" is ["model-1'],
  ['an empty weight_map', { ...good, 'model.safetensors.index.json': indexOf({}) }, 'checkpoint_damaged', '"weight_map" is an object with 0 keys'],
  [
    'a tensor twice in the index',
    { ...good, 'model.safetensors.index.json': `{"weight_map":{"a":"${shard}","a":"${shard}"}}` },
    'checkpoint_damaged',
    '"a" appears twice',
  ],
  ['a number as shard', { ...good, 'model.safetensors.index.json': indexOf({ a: 1 }) }, 'checkpoint_damaged', 'places tensor "a" in 1;'],
  ['null as shard', { ...good, 'model.safetensors.index.json': indexOf({ a: null }) }, 'checkpoint_damaged', 'places tensor "a" in null;'],
  ['a shard above the folder', { ...good, 'model.safetensors.index.json': indexOf({ a: `../${shard}` }) }, 'checkpoint_damaged', 'in the same folder'],
  ['a shard in a subfolder', { ...good, 'model.safetensors.index.json': indexOf({ a: `sub/${shard}` }) }, 'checkpoint_damaged', 'in the same folder'],
  ['a shard by a backslash', { ...good, 'model.safetensors.index.json': indexOf({ a: `..\\${shard}` }) }, 'checkpoint_damaged', 'in the same folder'],
  ['a shard on a drive', { ...good, 'model.safetensors.index.json': indexOf({ a: `C:${shard}` }) }, 'checkpoint_damaged', 'in the same folder'],
  ['an absolute shard', { ...good, 'model.safetensors.index.json': indexOf({ a: `/tmp/${shard}` }) }, 'checkpoint_damaged', 'in the same folder'],
  ['a shard with NUL', { ...good, 'model.safetensors.index.json': indexOf({ a: `a\0${shard}` }) }, 'checkpoint_damaged', 'in the same folder'],
  ['a shard named ..', { ...good, 'model.safetensors.index.json': indexOf({ a: '..' }) }, 'checkpoint_damaged', 'in the same folder'],
  ['a hidden shard', { ...good, 'model.safetensors.index.json': indexOf({ a: '.safetensors' }) }, 'checkpoint_damaged', 'in the same folder'],
  [
    'a pickle as shard',
    { ...good, 'model.safetensors.index.json': indexOf({ a: 'pytorch_model-1.bin' }) },
    'checkpoint_damaged',
    'name of a .safetensors file',
  ],
  [
    'a tensor that no shard holds',
    { ...good, 'model.safetensors.index.json': indexOf({ a: shard, b: shard }) },
    'checkpoint_damaged',
    '"b" in "model-1.safetensors", which does not hold it',
  ],
  [
    'a tensor in another shard than the index says',
    { ...good, 'model-2.safetensors': bytesOf('b', 'c'), 'model.safetensors.index.json': indexOf({ a: shard, b: shard, c: 'model-2.safetensors' }) },
    'checkpoint_damaged',
    '"b" in "model-1.safetensors", but it stands in "model-2.safetensors"',
  ],
  [
    'a tensor in two shards',
    { ...good, 'model-2.safetensors': bytesOf('a', 'b'), 'model.safetensors.index.json': indexOf({ a: shard, b: 'model-2.safetensors' }) },
    'checkpoint_damaged',
    '"a" stands in both model-1.safetensors and model-2.safetensors',
  ],
  [
    'a tensor that the index forgets',
    { [shard]: bytesOf('a', 'b'), 'model.safetensors.index.json': indexOf({ a: shard }) },
    'checkpoint_damaged',
    'does not list tensor "b"',
  ],
  [
    'a shard that is half there',
    { [shard]: bytesOf('a').subarray(0, -1), 'model.safetensors.index.json': indexOf({ a: shard }) },
    'checkpoint_damaged',
    'the download may be incomplete',
  ],
  [
    'a shard that is a Git LFS pointer',
    { [shard]: 'version https://git-lfs.github.com/spec/v1\n', 'model.safetensors.index.json': indexOf({ a: shard }) },
    'checkpoint_damaged',
    'Git LFS',
  ],
];

test.each(damagedFolders)('%s is refused', async (_what, files, code, reason) => {
  await write(files);
  const error = await refusal();
  expect(error.code).toBe(code);
  expect(error.message).toContain(reason);
  expect(error.message).toContain(dir);
});

test('a folder that is not there is refused', async () => {
  await expect(openCheckpointTensors(join(dir, 'nowhere'), 'model')).rejects.toMatchObject({ code: 'checkpoint_missing' });
});

test('every checkpoint beside the repository opens: text encoder, transformer and VAE', async (context) => {
  needsSharedFolder(context);
  for (const checkpoint of sharedCheckpoints) {
    const embedding = [...(await openCheckpointTensors(sharedPath(checkpoint, 'text_encoder'), 'model')).tensors.keys()].filter((name) =>
      name.endsWith('embed_tokens.weight'),
    );
    expect(embedding).toHaveLength(1);
    for (const part of ['transformer', 'vae']) {
      const { tensors } = await openCheckpointTensors(sharedPath(checkpoint, part), 'diffusion_pytorch_model');
      expect(tensors.size).toBeGreaterThan(50);
    }
  }
});
