import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';

/** The scripts that take the GPU bench to a machine without network. */

const root = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'gpu-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) console.log('thinning the CUDA provider is skipped: python3 is not here');

/** An entry of a fat binary: machine code for one compute capability. */
function entry(capability: number, code: Buffer): Buffer {
  const header = Buffer.alloc(64);
  header.writeUInt16LE(2, 0);
  header.writeUInt32LE(header.length, 4);
  header.writeBigUInt64LE(BigInt(code.length), 8);
  header.writeUInt32LE(capability, 28);
  return Buffer.concat([header, code]);
}

function container(...entries: Buffer[]): Buffer {
  const body = Buffer.concat(entries);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba55ed50, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(header.length, 6);
  header.writeBigUInt64LE(BigInt(body.length), 8);
  return Buffer.concat([header, body]);
}

test.skipIf(!hasPython)('of a library only the code of other cards is blank afterwards', () => {
  const [kept, gone, blank] = [Buffer.from('code for 9.0'), Buffer.from('code for 8.0!'), Buffer.alloc(13)];
  const library = (other: Buffer) =>
    Buffer.concat([
      Buffer.from('ELF, and then '),
      container(entry(80, other), entry(90, kept)),
      Buffer.from(' between '),
      container(entry(90, kept), entry(80, other)),
    ]);
  const [from, to] = [join(folder, 'from.so'), join(folder, 'to.so')];
  writeFileSync(from, library(gone));
  const thin = (capability: string) => spawnSync('python3', [join(root, 'bench/thin-provider.py'), from, to, capability], { encoding: 'utf8' });
  expect(thin('90')).toMatchObject({ status: 0, stdout: expect.stringContaining('90: 0.0 MB kept') });
  expect(readFileSync(to)).toEqual(library(blank));
  expect(thin('75')).toMatchObject({ status: 1, stderr: expect.stringContaining('no code for 75; it has [80, 90]') });
});

test('the scripts list their options, and what is missing', () => {
  const run = (script: string, ...args: string[]) => spawnSync('bash', [join(root, 'bench', script), ...args], { encoding: 'utf8' });
  expect(run('gpu.sh', '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--libraries DIR') });
  expect(run('gpu-bundle.sh', '--pack', folder)).toMatchObject({ status: 1, stderr: expect.stringContaining('npm run cuda -- install') });
});
