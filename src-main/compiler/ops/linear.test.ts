import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { GraphTarget } from '#main/lib/compiled.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { compileCheckpoint } from '../compile.ts';

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'linear-'));
});
afterEach(() => rm(cacheDir, { recursive: true }));

/** Why weights of the bundled int8 checkpoint are written again for a target. */
async function reasons(target: GraphTarget): Promise<string[]> {
  const checkpointDir = join(resourcesDir, 'models/storybook-int8');
  const { report } = await compileCheckpoint({ checkpointDir, cacheDir, identity: 'int8', target }, () => {});
  return report.graphs.flatMap(({ unpacked }) => unpacked.map(({ reason }) => reason));
}

test('int8 is used in place on a GPU, where its signs are flipped at load; cpu-exact copies it', async () => {
  for (const target of ['gpu-bf16', 'gpu-fp16', 'gpu-fp32', 'emulated-bf16'] as const) expect((await reasons(target)).join()).not.toContain('int8');
  expect((await reasons('cpu-exact')).join()).toContain('int8 is signed or transposed');
});
