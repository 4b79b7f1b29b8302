import { expect, test } from 'vitest';
import { textToImageParamsSchema } from '#shared/protocol/messages.ts';
import { checkDraft, type Draft, firstDraft, limits, seedsFrom } from './draft.ts';

const good: Draft = { ...firstDraft, prompt: 'a fox', seedMode: 'fixed' };

test('the form accepts what the contract accepts', () => {
  const checked = checkDraft({ ...good, width: '2048', height: '2048', steps: '50', guidanceScale: '3.5', seed: String(Number.MAX_SAFE_INTEGER) });
  if (!checked.ok) throw new Error(`refused: ${JSON.stringify(checked.problems)}`);
  expect(textToImageParamsSchema.parse(checked.params)).toEqual(checked.params);
});

test('decimal commas and full-width digits are numbers in every field', () => {
  const typed = { width: '５１２', height: '５１２', steps: '１２', guidanceScale: '3,5', seed: '７', count: '２' };
  expect(checkDraft({ ...good, ...typed })).toMatchObject({ ok: true, count: 2, params: { width: 512, height: 512, steps: 12, guidance_scale: 3.5, seed: 7 } });
});

const wrong: Array<[Partial<Draft>, object]> = [
  [{ prompt: '' }, { prompt: { kind: 'promptEmpty' } }],
  [{ prompt: ' \n ' }, { prompt: { kind: 'promptEmpty' } }],
  [{ prompt: 'x'.repeat(4001) }, { prompt: { kind: 'promptLong', max: 4000, length: 4001 } }],
  [{ prompt: 'a {red|blue} fox\nb', usesPatterns: true, usesLines: true, count: '16', steps: '0' }, { steps: { kind: 'notWhole', min: 1, max: 50 } }],
  [{ prompt: '{a|b|c|d|e|f|g}', usesPatterns: true, count: '16' }, { prompt: { kind: 'tooManyImages', max: 100, count: 112 } }],
  [{ prompt: `{a|${'x'.repeat(4001)}}`, usesPatterns: true }, { prompt: { kind: 'promptLong', max: 4000, length: 4001 } }],
  [{ width: '' }, { width: { kind: 'notWhole', min: 256, max: 2048 } }],
  [{ width: '255' }, { width: { kind: 'notWhole', min: 256, max: 2048 } }],
  [{ width: '1e3' }, { width: { kind: 'notWhole', min: 256, max: 2048 } }],
  [{ height: '300' }, { height: { kind: 'notMultiple', unit: 16, below: 288, above: 304 } }],
  [{ height: '2064' }, { height: { kind: 'notWhole', min: 256, max: 2048 } }],
  [{ steps: '0' }, { steps: { kind: 'notWhole', min: 1, max: 50 } }],
  [{ steps: '9.5' }, { steps: { kind: 'notWhole', min: 1, max: 50 } }],
  [{ count: '17' }, { count: { kind: 'notWhole', min: 1, max: 16 } }],
  [{ seed: '1,500' }, { seed: { kind: 'notWhole', min: 0, max: Number.MAX_SAFE_INTEGER } }],
  [{ steps: '9,5' }, { steps: { kind: 'notWhole', min: 1, max: 50 } }],
  [{ guidanceScale: '-1' }, { guidanceScale: { kind: 'notNumber', min: 0, max: 20 } }],
  [{ guidanceScale: '20.01' }, { guidanceScale: { kind: 'notNumber', min: 0, max: 20 } }],
  [{ seed: '-1' }, { seed: { kind: 'notWhole', min: 0, max: Number.MAX_SAFE_INTEGER } }],
  [{ seed: 'abc' }, { seed: { kind: 'notWhole', min: 0, max: Number.MAX_SAFE_INTEGER } }],
  [
    { steps: 'x', count: 'y' },
    { steps: { kind: 'notWhole', min: 1, max: 50 }, count: { kind: 'notWhole', min: 1, max: 16 } },
  ],
];
test.each(wrong)('%j is reported at its field', (change, problems) => {
  expect(checkDraft({ ...good, ...change })).toEqual({ ok: false, problems });
});

test('the seed field is not checked while the seed is random', () => {
  expect(checkDraft({ ...good, seedMode: 'random', seed: 'abc' }).ok).toBe(true);
});

test('the largest seed is followed by 0', () => {
  expect(seedsFrom(5, 3)).toEqual([5, 6, 7]);
  expect(seedsFrom(limits.seed.max - 1, 4)).toEqual([limits.seed.max - 1, limits.seed.max, 0, 1]);
});
