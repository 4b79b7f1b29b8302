import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { zipBytes } from '../../tests/support/zip-bytes.ts';
import { readZipDirectory, unzipEntry } from './read-zip.ts';

const folder = mkdtempSync(join(tmpdir(), 'read-zip-'));
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
  const file = await open(path, 'r');
  try {
    const content = new Map<string, Buffer>();
    for (const entry of await readZipDirectory(file, 'a.zip')) {
      const chunks: Buffer[] = [];
      for await (const chunk of unzipEntry(file, 'a.zip', entry)) chunks.push(chunk);
      content.set(entry.path, Buffer.concat(chunks));
    }
    return content;
  } finally {
    await file.close();
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
      // names and what nobody reads may change; the bytes of a file may not
      if (content instanceof Map)
        expect(
          [...content.values()].every((found) => [...files.values()].some((right) => right.equals(found))),
          `byte ${at}`,
        ).toBe(true);
      else expect(content, `byte ${at}`).toMatchObject({ code: 'cuda_pack_damaged' });
    }
  }
});
