import { expect, test } from 'vitest';
import { encodePng, type PngText } from './png.ts';
import { readPngTexts } from './png-texts.ts';

const image = { width: 5, height: 3, data: Uint8Array.from({ length: 45 }, (_, i) => (i * 37) & 255) };

test('texts come back as they were, in order', async () => {
  const texts: PngText[] = [
    { keyword: 'parameters', text: 'café\nSteps: 9', plain: true },
    { keyword: 'recipe', text: '{"prompt":"一只猫 🐈"}' },
    { keyword: 'empty', text: '' },
  ];
  expect(readPngTexts(await encodePng(image, texts))).toEqual(texts);
});

test('a plain text beyond Latin-1 becomes an international one, a NUL the replacement character', async () => {
  const png = await encodePng(image, [
    { keyword: 'parameters', text: '猫', plain: true },
    { keyword: 'recipe', text: 'a\0b' },
  ]);
  expect(readPngTexts(png)).toEqual([
    { keyword: 'parameters', text: '猫' },
    { keyword: 'recipe', text: 'a\ufffdb' },
  ]);
});

test.for(['', 'k'.repeat(80), ' leading', 'trailing ', 'two  spaces', 'new\nline', '猫'])('keyword %j is refused', async (keyword) => {
  await expect(encodePng(image, [{ keyword, text: '' }])).rejects.toThrow(RangeError);
});
