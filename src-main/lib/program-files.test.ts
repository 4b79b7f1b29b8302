import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { entryFile, programDir, resourcesDir } from './program-files.ts';

const root = resolve(import.meta.dirname, '../..');

test('from the sources, everything is found in the repository', () => {
  expect(programDir).toBe(root);
  expect(resourcesDir).toBe(join(root, 'resources'));
  expect(entryFile('engine/engine.ts')).toBe(join(root, 'src-main/engine/engine.ts'));
  expect(existsSync(entryFile('engine/engine.ts'))).toBe(true);
});
