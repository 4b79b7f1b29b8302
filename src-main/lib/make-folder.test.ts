import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeFolder } from './make-folder.ts';

function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'make-folder-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
}

test('every missing folder is made with the mode, and one that is there is left alone', () => {
  const dir = temporaryFolder();
  makeFolder(join(dir, 'a', 'b'), 0o700);
  expect(statSync(join(dir, 'a', 'b')).mode & 0o777).toBe(0o700);
  makeFolder(join(dir, 'a', 'b'));
  expect(statSync(join(dir, 'a', 'b')).mode & 0o777).toBe(0o700);
});

test('a file in the way is an error', () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, 'file'), '');
  expect(() => makeFolder(join(dir, 'file'))).toThrow('EEXIST');
  expect(() => makeFolder(join(dir, 'file', 'inner'))).toThrow('EEXIST');
});

test.skipIf(process.platform !== 'linux')('a file system that takes no folders is an error at once', () => {
  expect(() => makeFolder('/proc/x/y')).toThrow('ENOENT');
});
