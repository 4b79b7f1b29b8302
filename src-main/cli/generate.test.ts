import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRecipe } from '#main/provenance/read-recipe.ts';
import { sharedPath } from '../../tests/support/shared-folder.ts';

const entry = join(import.meta.dirname, 'main.ts');
const small = ['generate', '--prompt', 'a small house', '--width', '256', '--height', '256', '--steps', '1', '--no-upscale'];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'generate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function generate(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, ZIMAGE_DATA_DIR: join(folder, 'data'), ZIMAGE_PORT: 'not a port' };
  return spawnSync(process.execPath, [entry, ...small, ...args], { env, encoding: 'utf8' });
}

test('the folder of --out is created, the image gets its name there, and variables of the server do not matter', () => {
  const out = join(folder, 'new/folder/x.png');
  expect(generate('--out', out)).toMatchObject({ status: 0, stdout: `${out}\n` });
  expect(readdirSync(join(folder, 'new/folder'))).toEqual(['x.png']);
  expect(readdirSync(join(folder, 'data/unsaved'))).toEqual([]);
});

test.each([
  ['below a file', () => join(folder, 'a-file/x.png'), /a-file cannot be written to \(\w+\)/],
  ['a folder', () => folder, /is a folder. Name a file/],
])('%s: a place that cannot be written is refused before the work', (_, out, reason) => {
  writeFileSync(join(folder, 'a-file'), '');
  const { status, stdout, stderr } = generate('--out', out());
  expect([status, stdout]).toEqual([_ === 'a folder' ? 2 : 1, '']);
  expect(stderr).toMatch(reason);
  expect(stderr).not.toContain('encoding');
});

test('an image that cannot be written at the end is kept, and the error names where', async () => {
  const place = join(folder, 'vanishes');
  const out = join(place, 'x.png');
  const child = spawn(process.execPath, [entry, ...small, '--out', out, '--data-dir', join(folder, 'data')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (part) => {
    stderr += part;
    // the disk is gone, and a file is in the place of its folder
    if (!stderr.includes('encoding') || !existsSync(place) || readdirSync(folder).includes('gone')) return;
    rmSync(place, { recursive: true });
    writeFileSync(place, '');
    writeFileSync(join(folder, 'gone'), '');
  });
  const [status] = await once(child, 'close');
  expect(status).toBe(1);
  const kept = /The image is kept in (.+\.png)\.$/m.exec(stderr)?.[1] ?? 'nothing';
  expect(kept).toContain(join(folder, 'data/unsaved'));
  expect(existsSync(kept)).toBe(true);
});

const goldens = sharedPath('goldens');
test.skipIf(!existsSync(goldens))('a ControlNet guides the image, only what is masked is made again, and both stand in the recipe', async () => {
  const data = join(folder, 'data');
  mkdirSync(join(data, 'controlnets'), { recursive: true });
  copyFileSync(join(goldens, 'controlnet/slow-tokenizer.v2.1-1.safetensors'), join(data, 'controlnets/union.safetensors'));
  const image = join(folder, 'image.png');
  const mask = join(folder, 'mask.png');
  const grey = { width: 320, height: 272, channels: 3, background: '#777' } as const;
  await sharp({ create: grey }).png().toFile(image);
  const white = { input: { create: { width: 40, height: 40, channels: 3, background: '#fff' } }, left: 100, top: 90 } as const;
  await sharp({ create: { ...grey, background: '#000' } })
    .composite([white])
    .png()
    .toFile(mask);
  const make = (name: string, ...args: string[]) => {
    const out = join(folder, name);
    expect(generate('--steps', '2', '--checkpoint', join(goldens, 'slow-tokenizer'), '--data-dir', data, '--out', out, ...args).stderr).not.toContain('Error');
    return sharp(out).raw().toBuffer({ resolveWithObject: true });
  };
  const plain = await make('plain.png');
  const control = ['--control', image, '--controlnet', 'union', '--control-scale', '1'];
  expect((await make('controlled.png', ...control)).data.equals(plain.data)).toBe(false);
  const none = await make('uncontrolled.png', '--control', image, '--controlnet', 'union', '--control-scale', '0');
  expect(none.data.equals(plain.data)).toBe(true);
  const { info, data: pixels } = await make('masked.png', '--image', image, '--mask', mask, '--only-masked', '--padding', '8', ...control);
  expect([info.width, info.height]).toEqual([320, 272]);
  const changed = Array.from({ length: 320 * 272 }, (_, at) => at).filter((at) => pixels[3 * at] !== 0x77);
  expect(changed.length).toBeGreaterThan(100);
  expect(changed.every((at) => at % 320 >= 100 && at % 320 < 140 && at / 320 >= 90 && at / 320 < 130)).toBe(true);
  const recipe = await readRecipe(join(folder, 'masked.png'));
  expect(recipe?.params).toMatchObject({ width: 320, only_masked: true, padding: 8, masked_size: { width: 256, height: 256 } });
  expect(recipe?.params).toMatchObject({ control: { model: 'union', identity: expect.stringMatching(/^[0-9a-f]{64}$/), scale: 1 } });
});

test.each([
  [['--only-masked'], '--image is missing'],
  [['--control', entry, '--controlnet', 'union', '--control-scale', '3'], '--control-scale: '],
  [['--control', entry], '--controlnet: '],
  [['--controlnet', 'union'], '--control: '],
  [['--image', entry, '--only-masked'], '--only-masked: '],
  [['--image', entry, '--expand', '8'], 'expand'],
])('%j is refused with its option', (args, reason) => {
  const { status, stderr } = generate(...args);
  expect([status, stderr]).toEqual([2, expect.stringContaining(reason)]);
});

test('a reader that goes away ends nothing', async () => {
  const out = join(folder, 'unwatched.png');
  const child = spawn(process.execPath, [entry, ...small, '--out', out, '--data-dir', join(folder, 'data')], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  child.stderr.destroy();
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(existsSync(out)).toBe(true);
});
