import { expect, test } from 'vitest';
import { styleOf, withStyle } from './prompt-style.ts';

const styles = ['digital art', 'pixel art', '水彩画'];

test.each([
  ['a red fox', 'pixel art', 'a red fox, pixel art'],
  ['a red fox, digital art', 'pixel art', 'a red fox, pixel art'],
  ['a red fox, Digital Art , ', 'pixel art', 'a red fox, pixel art'],
  ['a red fox, digital art', null, 'a red fox'],
  ['digital art', null, ''],
  ['', 'pixel art', 'pixel art'],
  ['一只狐狸', '水彩画', '一只狐狸，水彩画'],
  ['一只狐狸，水彩画', null, '一只狐狸'],
])('%j with the style %j reads %j', (prompt, style, expected) => {
  expect(withStyle(prompt, style, styles)).toBe(expected);
});

test('finds the style at the end only', () => {
  expect(styleOf('pixel art of a fox', styles)).toBeNull();
  expect(styleOf('a fox, PIXEL ART ', styles)).toBe('pixel art');
});
