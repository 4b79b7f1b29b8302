import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { encodePng } from '#main/lib/png.ts';
import { shrinkPng } from './shrink.ts';

const folder = mkdtempSync(join(tmpdir(), 'shrink-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function shrunk(width: number, height: number, data: Uint8Array<ArrayBuffer>, wanted: number) {
  const path = join(folder, 'a.png');
  writeFileSync(path, await encodePng({ width, height, data }, []));
  return shrinkPng(path, wanted);
}

test('four pixels become their mean', async () => {
  const data = Uint8Array.from([0, 10, 200, 4, 20, 200, 8, 30, 100, 12, 40, 100]);
  expect(await shrunk(2, 2, data, 1)).toEqual({ width: 1, height: 1, data: Uint8Array.from([6, 25, 150]) });
});

test('a pixel across an edge counts for both sides by its share', async () => {
  // three columns into two: the middle one is shared half and half
  const gray = (values: number[]) => Uint8Array.from(values.flatMap((value) => [value, value, value]));
  expect(await shrunk(3, 1, gray([30, 90, 150]), 2)).toEqual({ width: 2, height: 1, data: gray([50, 130]) });
});

test('a picture is not made larger than it is', async () => {
  const data = Uint8Array.from({ length: 4 * 3 * 3 }, (_, i) => i);
  expect(await shrunk(4, 3, data, 256)).toEqual({ width: 4, height: 3, data });
});

test('of any picture the size keeps its proportions, and the mean of all pixels stays', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), async (width, height, wanted) => {
      const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * i * 31) & 255);
      const small = await shrunk(width, height, data, wanted);
      expect(small.width).toBe(Math.min(width, wanted));
      expect(Math.abs(small.height - (height * small.width) / width)).toBeLessThanOrEqual(0.5 + Number(small.height === 1));
      const mean = (values: Uint8Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(Math.abs(mean(small.data) - mean(data))).toBeLessThanOrEqual(0.5);
    }),
    { numRuns: 40 },
  );
});
