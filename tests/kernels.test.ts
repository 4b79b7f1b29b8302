import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { resourcesDir } from '#main/lib/program-files.ts';
import { compileKernels } from '../kernels/compile-kernels.ts';

test('the shipped kernels match their source: npm run kernels', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kernels-'));
  const compiled = await compileKernels(folder);
  await rm(folder, { recursive: true });
  expect(compiled.equals(await readFile(join(resourcesDir, 'kernels/convolution.wasm')))).toBe(true);
});
