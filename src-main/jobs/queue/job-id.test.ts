import { expect, test } from 'vitest';
import { jobIdOf } from './job-id.ts';

const params = { prompt: 'a cat, 猫 \u2028', width: 1024, height: 512, steps: 9, guidance_scale: 0, seed: 42, model_type: 'uint4' as const };
const model = (identity: string) => ({ name: 'any name', identity });
const identity = { taskType: 'text_to_image' as const, params, checkpoint: model('c1'), upscaler: model('u1') };

// digests by Python: sha256(json.dumps(…, sort_keys=True, separators=(',', ':'), ensure_ascii=False))
test.each([
  ['plain', identity, 'f1c8791b794b05ab9efbcb611a7955ae131fb3be6f040385e7cda0ef5a3d3afc'],
  [
    'a fraction and the largest seed',
    { ...identity, params: { ...params, guidance_scale: 3.5, seed: 2 ** 53 - 1 } },
    '40de7c5fb728d77bf7179b5e2115ca5f2cb426b9262c92dfdacc1f6ecbe252c2',
  ],
  [
    'a lone surrogate counts as U+FFFD',
    { ...identity, params: { ...params, guidance_scale: 3.5, seed: 2 ** 53 - 1, prompt: 'x\ud800y' } },
    '7f8446cc1901f69085e239f2dd7297868b45c7cf9b1d728ac9152181cbc6daa2',
  ],
])('the digest of %s', (_, given, digest) => {
  expect(jobIdOf(given)).toBe(digest);
});

test('key order and the way a number is written change nothing', () => {
  const reordered = JSON.parse(
    '{"upscaler":{"identity":"u1"},"checkpoint":{"identity":"c1"},"taskType":"text_to_image","params":{"seed":42.0,"steps":9e0,"model_type":"uint4","guidance_scale":-0.0,"height":512,"width":1024.0,"prompt":"a cat, 猫 \\u2028"}}',
  );
  expect(jobIdOf(reordered)).toBe(jobIdOf(identity));
});

test.each([
  ['checkpoint', { ...identity, checkpoint: model('c2') }],
  ['upscaler', { ...identity, upscaler: model('u2') }],
  ['seed', { ...identity, params: { ...params, seed: 43 } }],
  ['prompt', { ...identity, params: { ...params, prompt: `${params.prompt} ` } }],
])('another %s is another job', (_, other) => {
  expect(jobIdOf(other)).not.toBe(jobIdOf(identity));
});
