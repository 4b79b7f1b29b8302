import { deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { Adler32 } from './adler32.ts';

test.each([0, 1, 63, 64, 65, 1023, 1_000_003])("of %d bytes in pieces it is what zlib's own stream ends with", (length) => {
  // the highest bytes bring the sums nearest to their limit
  const data = Uint8Array.from({ length }, (_, i) => 255 - (i % 7 === 0 ? i & 255 : 0));
  const sum = new Adler32();
  for (let start = 0; start < length; start += 70_001) sum.add(data.subarray(start, start + 70_001));
  expect(Buffer.from(sum.bytes())).toEqual(deflateSync(data).subarray(-4));
});

test('all bytes at their highest stay within the sums', () => {
  const data = new Uint8Array(100_000).fill(255);
  const sum = new Adler32();
  sum.add(data);
  expect(Buffer.from(sum.bytes())).toEqual(deflateSync(data).subarray(-4));
});
