import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resourcesDir } from '#main/lib/program-files.ts';
import { assertCanCompile } from './assert-can-compile.ts';

const WEIGHTS = 'transformer/diffusion_pytorch_model.safetensors';
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'can-compile-'));
  await cp(join(resourcesDir, 'models/storybook-uint4'), dir, { recursive: true });
});
afterEach(() => rm(dir, { recursive: true }));

async function editConfig(edit: (config: Record<string, unknown>) => void): Promise<void> {
  const config = JSON.parse(await readFile(join(dir, 'transformer/config.json'), 'utf8'));
  edit(config);
  await writeFile(join(dir, 'transformer/config.json'), JSON.stringify(config));
}

test('a checkpoint that runs is accepted, its configs also without weights', async () => {
  await assertCanCompile(dir, 'all');
  await rm(join(dir, WEIGHTS));
  await assertCanCompile(dir, 'configs');
});

test('a config of another size is refused: the tensors do not fit', async () => {
  await editConfig((config) => {
    config['n_layers'] = Number(config['n_layers']) + 1;
  });
  await expect(assertCanCompile(dir, 'all')).rejects.toMatchObject({ code: 'checkpoint_damaged' });
});

test('weights that were cut are refused', async () => {
  await truncate(join(dir, WEIGHTS), 1_000_000);
  await expect(assertCanCompile(dir, 'all')).rejects.toMatchObject({ code: 'checkpoint_damaged' });
});

test('a config that is not supported is refused without weights', async () => {
  await rm(join(dir, WEIGHTS));
  await editConfig((config) => {
    delete config['n_layers'];
  });
  await expect(assertCanCompile(dir, 'configs')).rejects.toMatchObject({ code: expect.stringMatching(/^checkpoint_/) });
});
