import { expect, test } from 'vitest';
import { styleOf, withStyle, withWord } from './prompt-style.ts';

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

test('a word replaces another one of its group, stands before the style, and a second click takes it out', () => {
  const subjects = ['a fox', 'an owl'];
  const places = ['in the snow', 'on a beach'];
  const withPlace = withWord('a fox, pixel art', 'in the snow', places, styles);
  expect(withPlace).toBe('a fox in the snow, pixel art');
  expect(withWord(withPlace, 'on a beach', places, styles)).toBe('a fox on a beach, pixel art');
  expect(withWord(withPlace, 'an owl', subjects, styles)).toBe('an owl in the snow, pixel art');
  expect(withWord(withPlace, 'in the snow', places, styles)).toBe('a fox, pixel art');
  expect(withWord(withPlace, 'pixel art', styles, styles)).toBe('a fox in the snow');
  expect(withWord('', 'a fox', subjects, styles)).toBe('a fox');
  expect(withWord('狐狸', '戴围巾', ['戴围巾'], styles)).toBe('狐狸，戴围巾');
  expect(withWord('狐狸，戴围巾', '戴围巾', ['戴围巾'], styles)).toBe('狐狸');
});

test('finds the style at the end only', () => {
  expect(styleOf('pixel art of a fox', styles)).toBeNull();
  expect(styleOf('a fox, PIXEL ART ', styles)).toBe('pixel art');
});
