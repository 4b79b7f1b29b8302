import { deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { joinAdler32 } from './adler32.ts';

/** As zlib's own stream ends with it. */
function adler32(data: Uint8Array): number {
  return deflateSync(data).readUInt32BE(deflateSync(data).length - 4);
}

test.each([0, 1, 70_001, 1_000_003])('of pieces up to byte %d and from there it is that of the whole', (cut) => {
  // the highest bytes bring the sums nearest to their limit
  const data = Uint8Array.from({ length: 1_000_003 }, (_, i) => 255 - (i % 7 === 0 ? i & 255 : 0));
  expect(joinAdler32(adler32(data.subarray(0, cut)), adler32(data.subarray(cut)), data.length - cut)).toBe(adler32(data));
});

test('a piece of nothing changes nothing', () => {
  expect(joinAdler32(1, 1, 0)).toBe(1);
});
