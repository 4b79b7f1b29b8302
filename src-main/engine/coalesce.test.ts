import { expect, test } from 'vitest';
import { coalesceHooks } from './coalesce.ts';

const picture = { width: 1, height: 1, data: new Uint8Array(3) };

test('every step passes; other stages pass ten times a second, with their first and last word', () => {
  let now = 0;
  const heard: string[] = [];
  const hooks = coalesceHooks({ onProgress: (stage, done, total) => heard.push(`${stage} ${done}/${total}`) }, () => now);
  for (let done = 1; done <= 50; done++, now += 10) hooks.onProgress('loading', done, 50);
  for (let step = 1; step <= 3; step++) hooks.onProgress('generating', step, 3);
  hooks.onProgress('decoding', 1, 3);
  hooks.onProgress('decoding', 2, 3);
  hooks.onProgress('decoding', 3, 3);
  expect(heard).toEqual([
    ...[1, 11, 21, 31, 41, 50].map((done) => `loading ${done}/50`),
    ...[1, 2, 3].map((step) => `generating ${step}/3`),
    'decoding 1/3',
    'decoding 3/3',
  ]);
});

test('four previews a second, and none without viewers', () => {
  let now = 0;
  const steps: number[] = [];
  const hooks = coalesceHooks({ onProgress: () => {}, onPreview: (step) => steps.push(step) }, () => now);
  for (let step = 1; step <= 10; step++, now += 100) hooks.onPreview?.(step, picture);
  expect(steps).toEqual([1, 4, 7, 10]);
  expect(coalesceHooks({ onProgress: () => {} }).onPreview).toBeUndefined();
});
