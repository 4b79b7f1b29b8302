import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFileHashes } from './file-hashes.ts';

let dir: string;
let memoryPath: string;
let warnings: string[];
const log = { warn: (_fields: Record<string, unknown>, text: string) => void warnings.push(text) };

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hashes-'));
  memoryPath = join(dir, 'data/identities.json');
  warnings = [];
});
afterEach(() => rm(dir, { recursive: true }));

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Hashes `name` with a memory of its own, as a new start of the program does. */
async function hashAfterRestart(name: string) {
  const hashes = openFileHashes(memoryPath, log);
  const found = await hashes.hashOf(join(dir, name));
  await hashes.save();
  return found;
}

/** Lets the memory say something else of every file, so that a test sees whether it was asked. */
async function forgeMemory(): Promise<string> {
  const forged = 'f'.repeat(64);
  await writeFile(memoryPath, (await readFile(memoryPath, 'utf8')).replace(/[0-9a-f]{64}/g, forged));
  return forged;
}

test('a file is hashed once and then remembered, over restarts and through links', async () => {
  await writeFile(join(dir, 'a'), 'content');
  expect(await hashAfterRestart('a')).toEqual({ sizeBytes: 7, sha256: sha256('content') });
  const forged = await forgeMemory();
  await symlink('a', join(dir, 'link'));
  expect(await hashAfterRestart('a')).toEqual({ sizeBytes: 7, sha256: forged });
  expect(await hashAfterRestart('link')).toEqual({ sizeBytes: 7, sha256: forged });
  expect(warnings).toEqual([]);
});

test('another size, another time or another inode makes it hashed again', async () => {
  await writeFile(join(dir, 'a'), 'first');
  await utimes(join(dir, 'a'), 1000, 1000);
  await hashAfterRestart('a');
  await forgeMemory();

  await writeFile(join(dir, 'a'), 'longer');
  await utimes(join(dir, 'a'), 1000, 1000);
  expect((await hashAfterRestart('a')).sha256).toBe(sha256('longer'));
  await forgeMemory();

  await writeFile(join(dir, 'a'), 'LONGER');
  await utimes(join(dir, 'a'), 1001, 1001);
  expect((await hashAfterRestart('a')).sha256).toBe(sha256('LONGER'));
  await forgeMemory();

  await writeFile(join(dir, 'b'), 'Longer');
  await utimes(join(dir, 'b'), 1001, 1001);
  await rename(join(dir, 'b'), join(dir, 'a'));
  expect((await hashAfterRestart('a')).sha256).toBe(sha256('Longer'));
});

test('an edit is noticed without a restart', async () => {
  const hashes = openFileHashes(memoryPath, log);
  await writeFile(join(dir, 'a'), 'first');
  await utimes(join(dir, 'a'), 1000, 1000);
  expect((await hashes.hashOf(join(dir, 'a'))).sha256).toBe(sha256('first'));
  await writeFile(join(dir, 'a'), 'other');
  expect((await hashes.hashOf(join(dir, 'a'))).sha256).toBe(sha256('other'));
});

const hash64 = 'a'.repeat(64);
test.each([
  ['cut', '{"version":1,"fi', 'cannot be read'],
  ['empty', '', 'cannot be read'],
  ['of another shape', '{"version":1,"files":[]}', 'the field files is not understood'],
  ['with a wrong hash', '{"version":1,"files":{"/x":{"size":"1","mtimeNs":"1","inode":"1","sha256":"zz"}}}', 'the field files is not understood'],
  ['with numbers for texts', `{"version":1,"files":{"/x":{"size":1,"mtimeNs":"1","inode":"1","sha256":"${hash64}"}}}`, 'the field files is not understood'],
])('a cache that is %s is filled again, with a warning', async (_what, content, warning) => {
  await mkdir(join(dir, 'data'));
  await writeFile(memoryPath, content);
  await writeFile(join(dir, 'a'), 'content');
  expect((await hashAfterRestart('a')).sha256).toBe(sha256('content'));
  expect(warnings[0]).toContain(warning);
  const forged = await forgeMemory();
  expect((await hashAfterRestart('a')).sha256).toBe(forged);
});

test('one damaged entry does not cost the others', async () => {
  for (const name of ['a', 'b']) await writeFile(join(dir, name), name);
  await hashAfterRestart('a');
  await hashAfterRestart('b');
  const forged = await forgeMemory();
  const damaged = JSON.parse(await readFile(memoryPath, 'utf8'));
  damaged.files[join(dir, 'a')].size = 1;
  await writeFile(memoryPath, JSON.stringify(damaged));
  expect((await hashAfterRestart('a')).sha256).toBe(sha256('a'));
  expect((await hashAfterRestart('b')).sha256).toBe(forged);
});

test('many askers at once get the same hash and leave one whole memory', async () => {
  const names = Array.from({ length: 20 }, (_, i) => `file-${i}`);
  for (const name of names) await writeFile(join(dir, name), name);
  const hashes = openFileHashes(memoryPath, log);
  const found = await Promise.all(
    [...names, ...names].map(async (name) => {
      const { sha256: hash } = await hashes.hashOf(join(dir, name));
      await hashes.save();
      return hash;
    }),
  );
  expect(found).toEqual([...names, ...names].map(sha256));
  expect(await readdir(join(dir, 'data'))).toEqual(['identities.json']);
  const forged = await forgeMemory();
  for (const name of names) expect((await hashAfterRestart(name)).sha256).toBe(forged);
});

test('where nothing can be remembered the hash is given all the same, and the log says why', async () => {
  await writeFile(join(dir, 'a'), 'content');
  await writeFile(join(dir, 'data'), 'a file where a folder must be');
  expect((await hashAfterRestart('a')).sha256).toBe(sha256('content'));
  expect(warnings).toContain('the hashes of checkpoint files cannot be saved');
});

test('a missing file and a folder are refused', async () => {
  const hashes = openFileHashes(memoryPath, log);
  await expect(hashes.hashOf(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'checkpoint_missing' });
  await expect(hashes.hashOf(dir)).rejects.toMatchObject({ code: 'checkpoint_missing', message: expect.stringContaining('EISDIR') });
});
