import { expect, test } from 'vitest';
import { decodePng } from '#main/lib/read-png.ts';
import { usedPartOf } from '#shared/domain/reference.ts';
import { needsSharedFolder, sharedPath } from '../../tests/support/shared-folder.ts';
import { resizeAsPillow } from './lanczos.ts';
import { prepareReference } from './pipelines/klein-references.ts';

test("a photo of more than a megapixel becomes Pillow's, to the byte", async (context) => {
  needsSharedFolder(context);
  const photo = await decodePng(sharedPath('goldens/klein/photo-1300x900.png'));
  const expected = await decodePng(sharedPath('goldens/klein/photo-1300x900.prepared.png'));
  const prepared = prepareReference(photo, 16);
  expect([prepared.width, prepared.height]).toEqual([expected.width, expected.height]);
  expect(Buffer.from(prepared.data).equals(Buffer.from(expected.data))).toBe(true);
});

test('a smaller image is not resized, only its middle is kept', () => {
  const image = { width: 66, height: 80, data: Uint8Array.from({ length: 66 * 80 * 3 }, (_, i) => i % 251) };
  const { width, height, data } = prepareReference(image, 16);
  expect([width, height]).toEqual([64, 80]);
  expect([...data.subarray(0, 3)]).toEqual([...image.data.subarray(3, 6)]);
  expect(usedPartOf(image)).toEqual({ scaled: { width: 66, height: 80 }, kept: { left: 1, top: 0, width: 64, height: 80 } });
});

test('one colour stays one colour, up and down', () => {
  const image = { width: 9, height: 7, data: new Uint8Array(9 * 7 * 3).fill(201) };
  for (const [width, height] of [
    [4, 3],
    [20, 31],
  ] as const)
    expect(new Set(resizeAsPillow(image, width, height).data)).toEqual(new Set([201]));
});
