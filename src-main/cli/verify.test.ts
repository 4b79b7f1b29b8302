import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { encodePng } from '#main/lib/png.ts';
import { imageTexts } from '#main/provenance/image-texts.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import type { RepeatResult, Verification } from '#shared/domain/verification.ts';
import { exitCodeOf } from './describe-verification.ts';

const folder = mkdtempSync(join(tmpdir(), 'verify-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const differs: RepeatResult = { verdict: 'differs', max_levels: 1, psnr_db: 60, because: [] };
const cannot: RepeatResult = { verdict: 'cannot', because: ['It is gone.'] };

test.each<[Verification['pixels'], Verification['repeat'], number]>([
  ['intact', null, 0],
  ['intact', { verdict: 'identical' }, 0],
  ['not_recorded', { verdict: 'identical' }, 0],
  ['changed', null, 3],
  ['changed', differs, 3],
  ['no_recipe', cannot, 4],
  ['not_recorded', null, 4],
  ['not_recorded', differs, 5],
  ['intact', differs, 5],
  ['intact', cannot, 6],
])('%s, repeated: %j ends with %i', (pixels, repeat, code) => {
  expect(exitCodeOf({ format: 'png', width: 1, height: 1, pixels, made_here: null, marked: true, obstacles: [], recipe: null, repeat })).toBe(code);
});

test('several files: one object each, the gravest verdict as exit status, and no database is created', async () => {
  const image = { width: 8, height: 8, data: new Uint8Array(192).fill(7) };
  const recipe: Recipe = {
    ...{ version: 2, role: 'original', job_id: 'a'.repeat(64), task_type: 'text_to_image', created_at: 1, program: { name: 'p', version: '1' } },
    params: { prompt: 'x', width: 8, height: 8, steps: 1, guidance_scale: 0, seed: 1, model_type: 'uint4' },
    ...{ checkpoint: { name: 'lost', identity: 'f00' }, upscaler: { name: 'u', identity: 'j' }, made_on: null, original_sha256: null },
    pixels: { width: 8, height: 8, sha256: createHash('sha256').update(image.data).digest('hex') },
  };
  const file = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const whole = file('whole.png', await encodePng(image, imageTexts(recipe, true)));
  const changed = file('changed.png', await encodePng({ ...image, data: image.data.map((value, i) => value + (i === 100 ? 1 : 0)) }, imageTexts(recipe, true)));
  const run = (...args: string[]) => {
    const argv = [join(import.meta.dirname, 'main.ts'), 'verify', ...args, '--json', '--data-dir', join(folder, 'data')];
    const { status, stdout } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    return {
      status,
      lines: stdout
        .trim()
        .split('\n')
        .map((line): unknown => JSON.parse(line)),
    };
  };
  const obstacles = [expect.stringContaining('The checkpoint lost (f00) is not installed')];
  expect(run(whole, changed, '--repeat')).toEqual({
    status: 3,
    lines: [
      expect.objectContaining({ file: whole, pixels: 'intact', made_here: null, marked: true, obstacles, repeat: { verdict: 'cannot', because: obstacles } }),
      expect.objectContaining({ file: changed, pixels: 'changed' }),
    ],
  });
  const missing = join(folder, 'missing.png');
  expect(run(whole, missing)).toMatchObject({
    status: 1,
    lines: [{ pixels: 'intact' }, { error: { code: 'unknown_image', message: `There is no file ${missing}.` } }],
  });
});
