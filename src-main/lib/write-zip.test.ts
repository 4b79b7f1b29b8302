import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { writeZip, type ZipFile } from './write-zip.ts';

const file = (name: string, ...chunks: string[]): ZipFile => ({
  name,
  async *read() {
    for (const chunk of chunks) yield Buffer.from(chunk);
  },
});

/** What Python's zipfile reads, which checks every CRC. */
async function readBack(files: ZipFile[], script: string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'zip-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'a.zip');
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeZip(files)) chunks.push(chunk);
  writeFileSync(path, Buffer.concat(chunks));
  const program = `import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n${script}`;
  return execFileSync('python3', ['-X', 'utf8', '-c', program, path], { encoding: 'utf8' }).trim();
}

test('another reader finds every file with its name and content', async () => {
  const contents = 'print([(name, z.read(name).decode()) for name in z.namelist()])';
  expect(await readBack([file('a fox.png', 'one', 'two'), file('狐狸.png')], contents)).toBe("[('a fox.png', 'onetwo'), ('狐狸.png', '')]");
  expect(await readBack([], contents)).toBe('[]');
});

test('more files than a plain zip can count are a Zip64', async () => {
  const files = Array.from({ length: 65_536 }, (_, index) => file(`${index}.png`, 'x'));
  expect(await readBack(files, 'print(len(z.namelist()), z.namelist()[-1])')).toBe('65536 65535.png');
});

test('a file that cannot be read ends the zip with its error', async () => {
  const broken: ZipFile = {
    name: 'a.png',
    // biome-ignore lint/correctness/useYield: it fails before its first byte
    async *read() {
      throw new Error('the disk is gone');
    },
  };
  await expect(async () => {
    for await (const _chunk of writeZip([broken]));
  }).rejects.toThrow('the disk is gone');
});
