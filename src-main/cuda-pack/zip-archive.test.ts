import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { zipBytes } from '../../tests/support/zip-bytes.ts';
import { openZip } from './zip-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'zip-archive-'));
afterAll(() => rmSync(folder, { recursive: true }));

const files = new Map([
  ['a/deflated.txt', Buffer.from('over and over and over and over again')],
  ['a/stored.bin', Buffer.from([0, 1, 2, 3, 250])],
  ['empty', Buffer.from('')],
]);

/** What the archive holds, by path. */
async function unzip(bytes: Buffer): Promise<Map<string, Buffer>> {
  const path = join(folder, 'a.zip');
  writeFileSync(path, bytes);
  const zip = await openZip(path, 'a.zip');
  try {
    const content = new Map<string, Buffer>();
    for (const entry of zip.entries) {
      const chunks: Buffer[] = [];
      for await (const chunk of zip.read(entry)) chunks.push(chunk);
      content.set(entry.fileName, Buffer.concat(chunks));
    }
    return content;
  } finally {
    zip.close();
  }
}

test('deflated, stored and empty files come out as they went in', async () => {
  expect(await unzip(zipBytes(files))).toEqual(files);
});

test('an archive that was cut or has one other byte gives the same files or a sentence, and nothing else', async () => {
  const whole = zipBytes(files);
  for (let at = 0; at < whole.byteLength; at++) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] ?? 0) ^ 0x81;
    for (const bytes of [changed, whole.subarray(0, at)]) {
      const content = await unzip(bytes).catch((thrown: unknown) => thrown);
      // names and unused fields may change; the bytes of a file may not
      if (content instanceof Map)
        expect(
          [...content.values()].every((found) => [...files.values()].some((right) => right.equals(found))),
          `byte ${at}`,
        ).toBe(true);
      else expect(content, `byte ${at}`).toMatchObject({ code: 'cuda_pack_damaged' });
    }
  }
});

/** Changes the directory entry of `path` in a zip of `files`; offsets as in the format, from its mark on. */
function withEntry(path: string, edit: (entry: Buffer) => void): Buffer {
  const bytes = zipBytes(files);
  const directory = bytes.indexOf('PK\x01\x02');
  edit(bytes.subarray(bytes.indexOf(path, directory) - 46));
  return bytes;
}

const hostile: [string, () => Buffer, string][] = [
  ['a name that leads out of the folder', () => zipBytes(new Map([['../outside', Buffer.from('x')]])), 'invalid directory'],
  ['an absolute name', () => zipBytes(new Map([['/etc/passwd', Buffer.from('x')]])), 'invalid directory'],
  ['a name with backslashes', () => zipBytes(new Map([['..\\outside', Buffer.from('x')]])), 'invalid directory'],
  ['a link', () => withEntry('a/stored.bin', (entry) => entry.writeUInt32LE(0o120777 * 2 ** 16, 38)), 'a link in place of a/stored.bin'],
  ['an encrypted file', () => withEntry('a/stored.bin', (entry) => entry.writeUInt16LE(1, 8)), 'invalid directory'],
  ['an unknown compression', () => withEntry('a/deflated.txt', (entry) => entry.writeUInt16LE(93, 10)), 'unknown compression'],
  ['a file that unpacks to more than its entry says', () => withEntry('a/deflated.txt', (entry) => entry.writeUInt32LE(5, 24)), 'damaged a/deflated.txt'],
  ['a file of 4 GB', () => withEntry('a/deflated.txt', (entry) => entry.writeUInt32LE(0xffff_fffe, 24)), 'damaged a/deflated.txt'],
];
test.each(hostile)('%s is refused', async (_what, make, reason) => {
  await expect(unzip(make())).rejects.toMatchObject({ code: 'cuda_pack_damaged', message: expect.stringContaining(reason) });
});
