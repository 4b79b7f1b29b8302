import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { keptElsewhere, renameDurably, replaceFile, writeFileDurably } from './write-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'write-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('what was written is there, in place of what was', async () => {
  const path = join(folder, 'a');
  await writeFileDurably(path, Buffer.from('long before'));
  await writeFileDurably(path, Buffer.from('after'));
  expect(readFileSync(path, 'utf8')).toBe('after');
});

test('a file gets its final name', async () => {
  await writeFileDurably(join(folder, 'b.part'), Buffer.from('b'));
  await renameDurably(join(folder, 'b.part'), join(folder, 'b'));
  expect([readFileSync(join(folder, 'b'), 'utf8'), existsSync(join(folder, 'b.part'))]).toEqual(['b', false]);
});

test('a missing folder is named', async () => {
  const missing = join(folder, 'missing');
  await expect(writeFileDurably(join(missing, 'a'), Buffer.from('a'))).rejects.toMatchObject({ code: 'folder_not_writable', data: { folder: missing } });
});

test('a folder in the place of the file is a failure of the disk', async () => {
  const path = join(folder, 'c');
  mkdirSync(path);
  await expect(writeFileDurably(path, Buffer.from('a'))).rejects.toMatchObject({ code: 'disk_failed' });
});

// /dev/full answers every write with ENOSPC
test.skipIf(!existsSync('/dev/full'))('a full disk is reported with the needed and the free bytes', async () => {
  await expect(writeFileDurably('/dev/full', Buffer.alloc(100))).rejects.toMatchObject({
    code: 'disk_full',
    data: { neededBytes: 100, freeBytes: expect.any(Number) },
  });
});

test('a file is replaced in one step and leaves no draft, also when several do so at once', async () => {
  const dir = mkdtempSync(join(folder, 'replace-'));
  const path = join(dir, 'd');
  await Promise.all(['1', '2', '3'].map((text) => replaceFile(path, Buffer.from(text))));
  expect(['1', '2', '3']).toContain(readFileSync(path, 'utf8'));
  mkdirSync(join(dir, 'taken'));
  await expect(replaceFile(join(dir, 'taken'), Buffer.from('x'))).rejects.toMatchObject({ code: 'disk_failed' });
  expect(readdirSync(dir).sort()).toEqual(['d', 'taken']);
});

test('a result that its folder does not take is written to the spare path, which the error names; if that fails too, the first error counts', async () => {
  const write = (path: string) => writeFileDurably(path, Buffer.from('an image'));
  const error = await write(join(folder, 'gone/image.png')).catch((thrown: unknown) => thrown);
  const spare = join(folder, 'unsaved/image.png');
  expect(await keptElsewhere(error, spare, write)).toMatchObject({
    code: 'folder_not_writable',
    message: expect.stringMatching(/ The image was saved as .*unsaved.image\.png\.$/),
  });
  expect(readFileSync(spare)).toEqual(Buffer.from('an image'));
  expect(await keptElsewhere(error, join(spare, 'below-a-file.png'), write)).toBe(error);
});
