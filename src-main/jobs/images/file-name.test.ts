import { expect, test } from 'vitest';
import { imageFileName, originalFileName, slugOf, upscaledFileName } from './file-name.ts';

test.each([
  ['a cute cat wearing sunglasses, digital art', 'a-cute-cat-wearing-sunglasses'],
  ['  ...Hello,   World!!  ', 'hello-world'],
  ['一只戴墨镜的猫，数字艺术', '一只戴墨镜的猫-数字艺术'],
  ['Ünïcode ÉCOLE', 'ünïcode-école'],
  ['Cafe\u0301 noir', 'café-noir'],
  ['snake_case/and\\path..%2e', 'snake-case-and-path-2e'],
  ['٣ قطط', '٣-قطط'],
  ['🐈🐈', 'image'],
  ['!!!', 'image'],
  ['\ud800', 'image'],
  ['a\u0000b\nc', 'a-b-c'],
  ['½ cup', 'cup'],
  ['x'.repeat(40), 'x'.repeat(30)],
  [`${'x'.repeat(29)} tail`, 'x'.repeat(29)],
  ['𠮷'.repeat(31), '𠮷'.repeat(30)],
  ['con', 'con'],
])('the slug of %j is %j', (prompt, slug) => {
  expect(slugOf(prompt)).toBe(slug);
});

const noon = new Date(2026, 1, 4, 12).getTime();
const digits = 'abc12345';
const id = digits.padEnd(64, '0');

test("the original README's example", () => {
  const name = imageFileName(noon, 'a cute cat wearing sunglasses, digital art', id, () => false);
  expect(name).toBe('20260204-a-cute-cat-wearing-sunglasses-abc12345.png');
  expect(upscaledFileName(name)).toBe('20260204-a-cute-cat-wearing-sunglasses-abc12345-upscaled.png');
});

test('the date is the local one on both sides of midnight', () => {
  expect(imageFileName(new Date(2026, 11, 31, 23, 59, 59).getTime(), 'x', id, () => false)).toBe('20261231-x-abc12345.png');
  expect(imageFileName(new Date(2027, 0, 1, 0, 0, 0).getTime(), 'x', id, () => false)).toBe('20270101-x-abc12345.png');
});

test('a name of another job makes the slug end in a number, within its 30 characters', () => {
  const taken = new Set<string>();
  const take = () => {
    const name = imageFileName(noon, 'x'.repeat(40), id, (candidate) => taken.has(candidate));
    taken.add(name);
    return name;
  };
  expect([take(), take(), take()]).toEqual([
    `20260204-${'x'.repeat(30)}-abc12345.png`,
    `20260204-${'x'.repeat(28)}-2-abc12345.png`,
    `20260204-${'x'.repeat(28)}-3-abc12345.png`,
  ]);
});

test.each([
  ['20260204-a-cat-abc12345.png', '20260204-a-cat-abc12345.png'],
  ['20260204-a-cat-abc12345-upscaled.png', '20260204-a-cat-abc12345.png'],
  ['20260204-猫-abc12345.png', '20260204-猫-abc12345.png'],
  ['../20260204-a-abc12345.png', null],
  ['20260204-a/b-abc12345.png', null],
  ['20260204--abc12345.png', null],
  ['20260204-a-ABC12345.png', null],
  ['20260204-a-abc12345.png\0', null],
  ['20260204-a-abc12345.png/', null],
  ['.20260204-a-abc12345.part', null],
  ['', null],
])('the original of %j is %j', (name, original) => {
  expect(originalFileName(name)).toBe(original);
});
